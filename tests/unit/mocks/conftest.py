"""A whole mocks server on free ports of this machine, met by official clients under production host names."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.mocks.identity import Identity
from harness.mocks.names import Service
from harness.mocks.provision import CA_BUNDLE, SITE
from harness.mocks.readers import MocksControl
from harness.mocks.server import Mocks
from harness.mocks.settings import Ports, Settings

from .redirect import redirected

ROOT = Path(__file__).parents[3]
SLACK_TOKEN = "xoxb-for-this-test-run"
CLIENT_EMAIL = "rollout@itest.iam.gserviceaccount.com"
VERSION = "a" * 40
OLD_VERSION = "e915efecc8af90993ccfc499721ebe826aadba60"
SUBNET = "io67a-2jmkw-zup3h-snbwi-g6a5n-rm5dn-b6png-lvdpl-nqnto-yih6l-gqe"


def private_key_pem() -> tuple[str, str]:
    """A new RSA key: (private PEM, public PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


@dataclass(frozen=True)
class Running:
    """The server of this test session and what its clients need."""

    ports: Ports
    shared_dir: Path
    state_dir: Path
    google_private_key: str

    @property
    def ca_bundle(self) -> Path:
        return self.shared_dir / CA_BUNDLE

    def trust(self) -> dict[str, str]:
        """The environment that makes every client trust the mocks' authority."""
        names = ("SSL_CERT_FILE", "HTTPLIB2_CA_CERTS", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
        return dict.fromkeys(names, str(self.ca_bundle))

    def pod(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program as a pod of the mirror would: `sitecustomize` and all, under production names."""
        return run_in_pod(self, script, arguments, environment)


def run_in_pod(
    running: Running, script: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """The program's end. `environment` adds to what pods have; the program must say nothing on stderr."""
    ports = running.ports
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.mocks.redirect", *arguments],
        input=script,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{running.shared_dir / SITE}{os.pathsep}{ROOT}",
            # Pods mount the volume read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
            "ITEST_IDENTITY": f"localhost:{ports.identity}/{ports.http},{ports.https}",
            "REDIRECT": f"{ports.http},{ports.https},{ports.dns}",
            **running.trust(),
            **environment,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done


def exported(identity: Identity) -> dict[str, str]:
    """What Airflow puts into the environment of a task process."""
    return {
        "AIRFLOW_CTX_DAG_ID": identity.dag_id,
        "AIRFLOW_CTX_DAG_RUN_ID": identity.run_id,
        "AIRFLOW_CTX_TASK_ID": identity.task_id,
        "AIRFLOW_CTX_TRY_NUMBER": str(identity.try_number),
    }


def task_of(tenant: str, task_id: str = "tell") -> Identity:
    """A task instance in a run of the tenant's."""
    return Identity("rollout", f"manual__{tenant}/2026-11-16T09:00:00+00:00", task_id, -1, 1)


@contextmanager
def running_mocks(root: Path, *, keep_exchanges: bool = False) -> Iterator[Running]:
    """Mocks on free ports, with their files below `root`."""
    private, public = private_key_pem()
    settings = Settings(
        slack_token=SLACK_TOKEN,
        google_public_key=public,
        google_client_email=CLIENT_EMAIL,
        shared_dir=root / "shared",
        state_dir=root / "state",
        listen_address="127.0.0.1",
        ports=Ports(0, 0, 0, 0, 0),
        keep_exchanges=keep_exchanges,
    )
    mocks = Mocks(settings, extra_hosts={"localhost": Service.IC_NNS})
    mocks.start()
    try:
        yield Running(mocks.ports(), settings.shared_dir, settings.state_dir, private)
    finally:
        mocks.stop()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_mocks(tmp_path_factory.mktemp("mocks")) as started:
        yield started


@pytest.fixture
def mocks(running: Running) -> Iterator[MocksControl]:
    """Pristine mocks, through the handle that the harness uses."""
    with MocksControl(f"http://127.0.0.1:{running.ports.control}") as control:
        control.reset()
        yield control


@pytest.fixture
def production_names(running: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """Production host names lead to the mocks in this process, and every client trusts their authority."""
    ports = running.ports
    resolve, connect = redirected(ports.http, ports.https, ports.dns)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    for name, value in running.trust().items():
        monkeypatch.setenv(name, value)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return running


@pytest.fixture
def service_account(running: Running) -> dict[str, str]:
    """A keyfile as the `google_cloud_default` connection holds it."""
    return {
        "type": "service_account",
        "project_id": "itest",
        "private_key_id": "1",
        "private_key": running.google_private_key,
        "client_email": CLIENT_EMAIL,
        "token_uri": "https://oauth2.googleapis.com/token",
    }


@pytest.fixture
def registry(mocks: MocksControl) -> list[dict[str, Any]]:
    """Mainnet's subnets, put into the mocked registry."""
    path = Path(__file__).parents[2] / "data" / "mainnet-subnets.json"
    subnets: list[dict[str, Any]] = json.loads(path.read_text())
    mocks.ic.set_registry(subnets)
    return subnets
