import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from syncer_kit import Origin, Setup, eventually, serves, sidecar, status

from content_syncer.metrics import exposition
from content_syncer.status import Status, is_ready

TOKEN = "c0ntrol-t0ken"


class Client:
    """Talks to a sidecar."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, path: str, token: str | None = None, method: str = "GET") -> tuple[int, str]:
        """Return status code and body."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.address + path, method=method, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def client(setup: Setup, token_file: Path) -> Iterator[Client]:
    """A sidecar that syncs when asked to only."""
    port = free_port()
    with sidecar(setup, interval="100000", http_listen=f":{port}", http_token_file=str(token_file)):
        yield Client(port)


def test_probes_metrics_and_status_tell_what_is_served(client: Client, setup: Setup) -> None:
    revision = status(setup)["revision"]
    assert client.ask("/healthz") == (200, "alive\n")
    assert client.ask("/readyz") == (200, "ready\n")
    assert client.ask("/nothing")[0] == 404
    code, text = client.ask("/metrics")
    assert code == 200
    assert f'content_syncer_revision_info{{revision="{revision}"}} 1\n' in text
    assert "content_syncer_attempts_total 1\n" in text
    code, text = client.ask("/status")
    assert (code, json.loads(text)) == (200, status(setup))


def test_post_sync_makes_the_sidecar_sync_now(client: Client, setup: Setup, origin: Origin) -> None:
    revision = origin.commit({"content/dags/rollout.py": "dag 2\n"})
    assert client.ask("/sync", TOKEN, "POST")[0] == 202
    eventually(partial(serves, setup, revision), "the new revision was published")


def test_post_hold_and_release_pin_and_unpin(client: Client, setup: Setup, origin: Origin) -> None:
    first = status(setup)["revision"]
    second = origin.commit({"content/dags/rollout.py": "dag 2\n"})
    assert client.ask("/hold", TOKEN, "POST")[0] == 202
    eventually(lambda: status(setup)["held"] is True, "the status says held")
    assert serves(setup, first)
    assert client.ask(f"/hold?revision={second}", TOKEN, "POST")[0] == 202
    eventually(partial(serves, setup, second), "the named revision was published")
    assert client.ask("/hold?revision=a%20b", TOKEN, "POST")[0] == 400
    assert client.ask("/release", TOKEN, "POST")[0] == 202
    eventually(lambda: status(setup)["held"] is False, "the status says released")


def test_control_needs_the_token_which_may_be_rotated(client: Client, setup: Setup, token_file: Path) -> None:
    for path in ("/sync", "/hold", "/release"):
        for token in (None, TOKEN + "x", TOKEN[:-1]):
            assert client.ask(path, token, "POST")[0] == 401
    token_file.write_text("an0ther")
    assert client.ask("/sync", TOKEN, "POST")[0] == 401
    assert client.ask("/sync", "an0ther", "POST")[0] == 202
    token_file.unlink()
    assert client.ask("/sync", "an0ther", "POST")[0] == 403
    assert not (setup.target / ".syncer/hold").exists()


def test_readiness_unlatches_when_the_origin_stays_away_and_comes_back(setup: Setup, origin: Origin) -> None:
    port = free_port()
    limits = {"interval": "0.1", "ready_limit": "1", "max_back_off": "0.1"}
    with sidecar(setup, http_listen=f":{port}", **limits):
        client = Client(port)
        eventually(lambda: client.ask("/readyz")[0] == 200, "the sidecar is ready")
        away = origin.path.rename(origin.path.parent / "away")
        eventually(lambda: client.ask("/readyz")[0] == 503, "readiness is lost")
        assert "the last success was at" in client.ask("/readyz")[1]
        assert client.ask("/healthz")[0] == 200
        assert setup.run("healthcheck")[0] == 0
        code, _, errors = setup.run("readycheck", "--ready-limit", "1")
        assert (code, "not ready" in errors) == (1, True)
        assert re.search(r'content_syncer_failures_total\{reason="git"\} [1-9]', client.ask("/metrics")[1])
        assert "content_syncer_ready 0\n" in client.ask("/metrics")[1]
        away.rename(origin.path)
        eventually(lambda: client.ask("/readyz")[0] == 200, "readiness is back")


def test_an_address_that_is_taken_is_an_error_that_says_so(setup: Setup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, errors = setup.run("run", http_listen=f"127.0.0.1:{taken.getsockname()[1]}")
    assert (code, "error cannot listen" in errors) == (1, True)


def test_a_pod_is_ready_only_with_a_revision_and_a_recent_success() -> None:
    fields = {"revision": "r", "last_success": "2026-01-01T00:00:00.000Z"}
    assert not is_ready(fields, 300)
    assert is_ready(fields, 1e12)
    assert not is_ready({**fields, "revision": None}, 1e12)
    assert not is_ready({**fields, "last_success": "soon"}, 1e12)


def test_the_metrics_are_in_prometheus_format() -> None:
    text = exposition(Status("https://h.org/a", "main", "content", 1).fields(None), 300)
    sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"\})? \S+')
    for line in text.splitlines():
        assert line.startswith(("# HELP content_syncer_", "# TYPE content_syncer_")) or sample.fullmatch(line)
    assert text.count("failures_total{") == 9
