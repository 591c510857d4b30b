"""The mocks pod: Slack, Google, S3, the Internet Computer, and the DNS that hears every other name."""

from __future__ import annotations

from harness.mocks import names
from harness.topology import SHARED_DIR, Healthcheck, Mount, Service

NAME = "mocks"
CONTROL_PORT = 8099


def mocks() -> Service:
    """One container that answers on every production host name, through network aliases."""
    ask = f"import urllib.request as u;u.urlopen('http://127.0.0.1:{CONTROL_PORT}/healthz',timeout=5)"
    return Service(
        name=NAME,
        image="mocks",
        environment={
            "ITEST_STACK": "${ITEST_STACK}",
            "ITEST_SHARED_DIR": SHARED_DIR,
            "ITEST_SLACK_TOKEN": "${ITEST_SLACK_TOKEN}",
            "ITEST_GOOGLE_PUBLIC_KEY": "${ITEST_GOOGLE_PUBLIC_KEY}",
            "ITEST_GOOGLE_CLIENT_EMAIL": "${ITEST_GOOGLE_CLIENT_EMAIL}",
        },
        mounts=(Mount("shared", SHARED_DIR),),
        aliases=names.aliases(),
        healthcheck=Healthcheck(("python3", "-c", ask)),
        forwarded_ports=(CONTROL_PORT,),
        fixed_address=True,
        guarded=True,
    )
