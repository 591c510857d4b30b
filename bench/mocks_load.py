"""How much the mocks carry: `python -m bench.mocks_load` posts to a mocks container from 50 connections for a minute.

It measures, and counts what matters: every request answered rightly, and an entry of each in the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
from docker.models.containers import Container

from harness import engine, prepare
from harness.labels import Owner
from harness.mocks.readers import MocksControl
from harness.prepare import Options
from harness.services import mocks
from harness.settings import StackSettings
from harness.waits import eventually

CONNECTIONS, RATE, SECONDS = 50, 500, 60
HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one load did. Latencies in milliseconds; `late`: requests sent more than 50 ms after their turn."""

    asked: int
    answered: Counter[str]
    seconds: float
    median: float
    p99: float
    most: float
    late: int


@contextmanager
def container() -> Iterator[tuple[Container, StackSettings]]:
    """A mocks container on the engine's own network, with ports of the kernel's choice."""
    name = f"mocks-load-{uuid.uuid4().hex[:6]}"
    settings = StackSettings.generate(name)
    prepared = prepare.with_images(prepare.decide(Options.from_environment()), ("mocks",))
    known = ("ITEST_SLACK_TOKEN", "ITEST_GOOGLE_PUBLIC_KEY", "ITEST_GOOGLE_CLIENT_EMAIL")
    started = engine.client().containers.create(
        prepared.references["mocks"],
        name=name,
        environment={key: settings.placeholders[key] for key in known},
        labels=Owner.this_process().labels(name),
        ports={f"{port}/tcp": (engine.bind_address(), 0) for port in (HTTP_PORT, mocks.CONTROL_PORT)},
    )
    try:
        started.start()
        eventually(lambda: b"mocks: serving" in started.logs(), "the mocks to serve", 30)
        started.reload()
        yield started, settings
    finally:
        started.remove(force=True, v=True)


def address(started: Container, port: int) -> str:
    """Where a port of the container is reached from here."""
    bound = (started.ports[f"{port}/tcp"] or [])[0]
    return f"http://{bound['HostIp']}:{bound['HostPort']}"


async def load(url: str, token: str, connections: int, rate: int, seconds: int) -> Outcome:
    """Post `rate` messages a second, spread evenly over connections that are kept open.

    With aiohttp: httpx takes 2.7 ms of CPU a request, so that one process of it cannot ask 500 times a second.
    """
    began = time.perf_counter() + 0.5
    answered: Counter[str] = Counter()
    latencies: list[float] = []
    late = 0

    async def one(number: int) -> None:
        nonlocal late
        headers = {"Host": "slack.com", "Authorization": f"Bearer {token}"}
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(url, headers=headers, connector=connector) as client:
            for turn in range(rate * seconds // connections):
                due = began + (turn * connections + number) / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                late += time.perf_counter() - due > 0.05
                sent = time.perf_counter()
                body = {"channel": "ic-os-rollout", "text": f"{number}/{turn}"}
                try:
                    async with client.post("/api/chat.postMessage", json=body) as answer:
                        text = await answer.text()
                    told = "ok" if json.loads(text).get("ok") else f"{answer.status} {text[:80]}"
                except (aiohttp.ClientError, ValueError) as error:
                    told = f"{type(error).__name__}: {error}"
                answered[told] += 1
                latencies.append((time.perf_counter() - sent) * 1000)

    await asyncio.gather(*(one(number) for number in range(connections)))
    cuts = statistics.quantiles(latencies, n=100)
    return Outcome(
        asked=rate * seconds // connections * connections,
        answered=answered,
        seconds=time.perf_counter() - began,
        median=cuts[49],
        p99=cuts[98],
        most=max(latencies),
        late=late,
    )


def main() -> int:
    """Print a table; exit 0 when every request was answered and journaled."""
    parser = argparse.ArgumentParser(prog="bench.mocks_load", description=__doc__)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--rate", type=int, default=RATE, help="requests a second, over all connections")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    asked = parser.parse_args()
    with container() as (started, settings):
        token = settings.placeholders["ITEST_SLACK_TOKEN"]
        url = address(started, HTTP_PORT)
        outcome = asyncio.run(load(url, token, asked.connections, asked.rate, asked.seconds))
        with MocksControl(address(started, mocks.CONTROL_PORT), timeout=120) as control:
            texts = [entry.request["text"] for entry in control.journal(service="slack")]
    missing = outcome.asked - len(set(texts))
    rows = [
        ("requests", f"{outcome.asked} from {asked.connections} connections"),
        ("rate", f"{outcome.asked / outcome.seconds:.0f}/s of {asked.rate}/s"),
        ("errors", str(outcome.asked - outcome.answered["ok"])),
        ("journal misses", str(missing)),
        ("journal has twice", str(len(texts) - len(set(texts)))),
        ("latency", f"median {outcome.median:.1f} ms, p99 {outcome.p99:.0f} ms, most {outcome.most:.0f} ms"),
        ("sent late (> 50 ms)", str(outcome.late)),
    ]
    print("\n".join(f"| {name} | {value} |" for name, value in (("measure", "value"), ("---", "---"), *rows)))
    for told, count in outcome.answered.items():
        if told != "ok":
            print(f"{count} x {told}", file=sys.stderr)
    return 0 if outcome.answered["ok"] == outcome.asked and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
