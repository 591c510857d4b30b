"""Answers HTTP requests of the content's clients from the test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings

from dfinity.subnets import Subnet

# No deadline: how long an example takes is the machine's affair.
settings.register_profile("content", database=None, deadline=None, max_examples=60)
settings.load_profile("content")

DATA = Path(__file__).parents[2] / "data"
Answer = Callable[[httpx.Request], httpx.Response]
Answering = Callable[[Answer], list[httpx.Request]]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Call it with a function from request to response; returns the list of requests seen."""

    def install(answer: Answer) -> list[httpx.Request]:
        seen: list[httpx.Request] = []

        def handle(_: object, request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return answer(request)

        async def handle_async(_: object, request: httpx.Request) -> httpx.Response:
            return handle(_, request)

        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle_async)
        return seen

    return install


@pytest.fixture(scope="session")
def mainnet() -> list[Subnet]:
    """The 42 subnets of the registry."""
    items: list[dict[str, Any]] = json.loads((DATA / "mainnet-subnets.json").read_text())
    return [Subnet(i["subnet_id"], i["replica_count"], i["replica_version_id"]) for i in items]


@pytest.fixture(scope="session")
def mainnet_plan() -> str:
    """The text of the real plan: 18 batches, 50 subnets."""
    return (DATA / "mainnet-guestos-plan.yaml").read_text()
