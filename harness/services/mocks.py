"""The mocks pod: Slack, Google, S3, the Internet Computer, and the DNS that hears every other name."""

from __future__ import annotations

from harness.mocks import names
from harness.topology import SHARED_DIR, Healthcheck, Mount, Service, in_sandbox

NAME = "mocks"
CONTROL_PORT = 8099
HTTPS_PORT = 443
"""Forwarded, too: a local Airflow can be pointed at the stack's mocks (`harness.local`)."""
IDENTITY_PORT = 8098


def mocks() -> tuple[Service, Service]:
    """(sandbox, mocks): one container that answers on every production host name, through network aliases."""
    ask = f"import urllib.request as u;u.urlopen('http://127.0.0.1:{CONTROL_PORT}/healthz',timeout=5)"
    return in_sandbox(
        Service(
            name=NAME,
            image="mocks",
            memory=512,
            environment={
                "ITEST_STACK": "${ITEST_STACK}",
                "ITEST_SHARED_DIR": SHARED_DIR,
                "ITEST_SLACK_TOKEN": "${ITEST_SLACK_TOKEN}",
                "ITEST_GOOGLE_PUBLIC_KEY": "${ITEST_GOOGLE_PUBLIC_KEY}",
                "ITEST_GOOGLE_CLIENT_EMAIL": "${ITEST_GOOGLE_CLIENT_EMAIL}",
            },
            mounts=(Mount("shared", SHARED_DIR),),
            aliases=names.aliases(),
            healthcheck=Healthcheck(("python3", "-c", ask), "mocks: serving"),
            forwarded_ports=(CONTROL_PORT, HTTPS_PORT),
            fixed_address=True,
        )
    )
