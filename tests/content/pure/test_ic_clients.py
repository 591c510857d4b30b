"""Asking the registry, the proposals API and Prometheus."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from dfinity.metrics import firing_alerts, replicas_by_revision
from dfinity.proposals import (
    PAGE_SIZE,
    UPGRADE_SUBNET,
    Proposal,
    ProposalRequest,
    find_standing_proposal,
    proposal_status,
)
from dfinity.subnets import Subnet, all_subnets
from dfinity.web import MalformedAnswerError, Query, WebError, async_client, fetch, fetch_async

Answering = Callable[[Callable[[httpx.Request], httpx.Response]], list[httpx.Request]]
NOW = datetime(2026, 11, 23, tzinfo=UTC)
REVISION = "a" * 40


def answer_json(content: Any, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, json=content)


def standing(revision: str) -> Proposal | None:
    """What stands for the upgrade of the subnet io67a-x."""
    targets = frozenset({"io67a-x"})
    request = ProposalRequest(UPGRADE_SUBNET, "propose", (), "title", "summary", targets, revision)
    return find_standing_proposal(request, NOW)


def proposal(
    number: int,
    subnet: str = "other",
    status: str = "EXECUTED",
    age_days: int = 0,
    revision: str = REVISION,
) -> dict[str, Any]:
    return {
        "proposal_id": number,
        "status": status,
        "proposal_timestamp_seconds": int((NOW - timedelta(days=age_days)).timestamp()),
        "payload": {"subnet_id": subnet, "replica_version_id": revision},
    }


def paged(proposals: list[dict[str, Any]]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        first, size = (int(request.url.params[name]) for name in ("offset", "limit"))
        return httpx.Response(200, json={"data": proposals[first : first + size]})

    return answer


def test_the_registry_lists_subnets(answering: Answering) -> None:
    item = {
        "subnet_id": "io67a-x",
        "replica_count": 13,
        "subnet_type": "system",
        "replica_version_id": REVISION,
    }
    seen = answering(answer_json([item]))
    assert fetch(all_subnets()) == [Subnet("io67a-x", 13, REVISION)]
    assert seen[0].url.host == "dashboard.mainnet.dfinity.network"


@pytest.mark.parametrize("status", ["OPEN", "ADOPTED", "EXECUTED"])
def test_a_standing_proposal_for_the_subnet_and_revision_is_found(answering: Answering, status: str) -> None:
    answering(paged([proposal(3), proposal(2, "io67a-x", status)]))
    found = standing(REVISION)
    assert found is not None
    assert (found.proposal_id, found.status) == (2, status)


@pytest.mark.parametrize("status", ["REJECTED", "FAILED"])
def test_a_proposal_that_came_to_nothing_does_not_count(answering: Answering, status: str) -> None:
    answering(paged([proposal(2, "io67a-x", status)]))
    assert standing(REVISION) is None


def test_a_proposal_of_another_revision_does_not_count(answering: Answering) -> None:
    answering(paged([proposal(2, "io67a-x")]))
    assert standing("b" * 40) is None


def test_an_executed_proposal_no_longer_stands_once_a_newer_one_has_set_another_revision(
    answering: Answering,
) -> None:
    answering(paged([proposal(3, "io67a-x", revision="b" * 40), proposal(2, "io67a-x")]))
    assert standing(REVISION) is None
    found = standing("b" * 40)
    assert found is not None
    assert found.proposal_id == 3


def test_a_newer_proposal_of_another_revision_that_came_to_nothing_changes_nothing(
    answering: Answering,
) -> None:
    answering(paged([proposal(3, "io67a-x", "REJECTED", revision="b" * 40), proposal(2, "io67a-x")]))
    found = standing(REVISION)
    assert found is not None
    assert found.proposal_id == 2


def test_the_search_goes_on_through_the_pages(answering: Answering) -> None:
    seen = answering(paged([*[proposal(n) for n in range(250, 0, -1)], proposal(0, "io67a-x")]))
    found = standing(REVISION)
    assert found is not None
    assert [request.url.params["offset"] for request in seen] == ["0", "100", "200"]


def test_the_search_ends_with_proposals_that_are_too_old_to_matter(answering: Answering) -> None:
    seen = answering(paged([proposal(n, age_days=91) for n in range(500)]))
    assert standing(REVISION) is None
    assert len(seen) == 1
    assert int(seen[0].url.params["limit"]) == PAGE_SIZE


def test_prometheus_counts_replicas_by_revision(answering: Answering) -> None:
    samples = [
        {"metric": {"ic_subnet": "io67a-x", "ic_active_version": version}, "value": [1700000000.1, count]}
        for version, count in ((REVISION, "12"), ("b" * 40, "1"))
    ]
    seen = answering(answer_json({"status": "success", "data": {"resultType": "vector", "result": samples}}))
    assert fetch(replicas_by_revision("io67a-x")) == {REVISION: 12, "b" * 40: 1}
    expected = 'sum by (ic_subnet,ic_active_version) (ic_replica_info{ic_subnet="io67a-x"})'
    assert seen[0].url.params["query"] == expected


def test_prometheus_names_the_firing_alerts(answering: Answering) -> None:
    samples = [{"metric": {"alertname": name}, "value": [1, "1"]} for name in ("NodeDown", "Lag")]
    seen = answering(answer_json({"status": "success", "data": {"resultType": "vector", "result": samples}}))
    assert fetch(firing_alerts("io67a-x")) == ["Lag", "NodeDown"]
    expected = 'sum by (ic_subnet,alertname) (ALERTS{ic_subnet="io67a-x",alertstate="firing"})'
    assert seen[0].url.params["query"] == expected


@pytest.mark.parametrize(
    "content",
    [{}, [], {"status": "error"}, {"status": "success", "data": {"resultType": "matrix", "result": []}}],
)
def test_an_answer_of_another_shape_is_an_error(answering: Answering, content: object) -> None:
    answering(answer_json(content))
    with pytest.raises(MalformedAnswerError):
        fetch(firing_alerts("io67a-x"))


def test_an_error_answer_is_quoted(answering: Answering) -> None:
    answering(answer_json({"detail": "no such proposal"}, 404))
    with pytest.raises(WebError, match=r"proposals/7 answered 404: .*no such proposal"):
        fetch(proposal_status(7))


def test_html_instead_of_json_is_an_error(answering: Answering) -> None:
    answering(lambda _: httpx.Response(200, text="<html>"))
    with pytest.raises(MalformedAnswerError):
        fetch(proposal_status(7))


def test_an_unreachable_server_is_an_error(answering: Answering) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    answering(refuse)
    with pytest.raises(WebError, match="ConnectError: refused"):
        fetch(proposal_status(7))


class Greeting(BaseHTTPRequestHandler):
    """Answers every request with a JSON string."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'"hello"')

    def log_message(self, format: str, *args: object) -> None:
        """Stays quiet."""


@pytest.fixture
def https_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server whose certificate only one CA vouches for, and the file with that CA."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with HTTPServer(("127.0.0.1", 0), Greeting) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://localhost:{server.server_port}/", ca_file
        server.shutdown()
        thread.join()


def test_tls_trusts_the_authorities_of_the_environment_and_no_others(
    https_server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca_file = https_server
    query = Query(url, {}, str)

    async def ask() -> str:
        async with async_client() as client:
            return await fetch_async(query, client)

    with pytest.raises(WebError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(query)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    assert (fetch(query), asyncio.run(ask())) == ("hello", "hello")
