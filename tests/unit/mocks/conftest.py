"""A whole mocks server on free ports of this machine, met by official clients under production host names."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.mocks.names import Service, service_of
from harness.mocks.provision import CA_BUNDLE
from harness.mocks.readers import MocksControl
from harness.mocks.server import Mocks
from harness.mocks.settings import Ports, Settings

SLACK_TOKEN = "xoxb-for-this-test-run"
CLIENT_EMAIL = "rollout@itest.iam.gserviceaccount.com"
VERSION = "a" * 40
UNKNOWN_HOST = "not-mocked.example.com"
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


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    private, public = private_key_pem()
    root = tmp_path_factory.mktemp("mocks")
    settings = Settings(
        slack_token=SLACK_TOKEN,
        google_public_key=public,
        google_client_email=CLIENT_EMAIL,
        shared_dir=root / "shared",
        state_dir=root / "state",
        listen_address="127.0.0.1",
        ports=Ports(0, 0, 0, 0),
    )
    mocks = Mocks(settings, extra_hosts={"localhost": Service.IC_NNS})
    mocks.start()
    yield Running(mocks.ports(), settings.shared_dir, settings.state_dir, private)
    mocks.stop()


@pytest.fixture
def mocks(running: Running) -> Iterator[MocksControl]:
    """Pristine mocks, through the handle that the harness uses."""
    with MocksControl(f"http://127.0.0.1:{running.ports.control}") as control:
        control.reset()
        yield control


@pytest.fixture
def production_names(running: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """Production host names lead to the mocks in this process, and every client trusts their authority."""
    resolve, connect = socket.getaddrinfo, socket.socket.connect
    local = {80: running.ports.http, 443: running.ports.https}

    def mocked(host: Any) -> bool:
        name = host.decode() if isinstance(host, bytes) else str(host)
        return service_of(name) is not None or name == UNKNOWN_HOST

    def resolve_locally(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if mocked(host):
            return resolve("127.0.0.1", local[int(port)], *args, **kwargs)
        return resolve(host, port, *args, **kwargs)

    def connect_locally(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and mocked(address[0]):
            address = ("127.0.0.1", local[address[1]])
        connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_locally)
    # httplib2 connects to the name, not to the address that it looked up.
    monkeypatch.setattr(socket.socket, "connect", connect_locally)
    for name in ("SSL_CERT_FILE", "HTTPLIB2_CA_CERTS", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(running.ca_bundle))
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
