"""The process that keeps the clock, run here on files of its own; and sleeps that follow it."""

import os
import socket
import subprocess
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.mocks import pods_site
from harness.paths import ROOT

CLOCK = ROOT / "harness/containers/clock/clock"
DAY = 86400 * 10**9
SLEEP = """
import asyncio, time
from unittest import mock
real, ahead = time.time, [0]
def virtual():
    return real() + ahead[0]
async def jump():
    for seconds in (600, 600, 600):
        await asyncio.sleep(0.05)
        ahead[0] += seconds
async def main():
    began, ahead[0] = time.monotonic(), 0
    with mock.patch("time.time", virtual):
        sleeping = [asyncio.create_task(asyncio.sleep(n, n)) for n in (1700, 599, 1199, 7200)]
        sleeping[3].cancel()
        jumping = asyncio.create_task(jump())
        for told in asyncio.as_completed(sleeping[:3]):
            print(await told, ahead[0])
        await asyncio.sleep(1, "short")
        await jumping
    assert time.monotonic() - began < 60, "it slept in real time"
    assert sleeping[3].cancelled()
asyncio.run(main())
asyncio.run(main())
"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Where the clock of this test answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(CLOCK), str(tmp_path), str(port)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"clock: serving\n"
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.communicate()


def test_a_new_clock_shows_real_time_and_nobody_sleeps(url: str, tmp_path: Path) -> None:
    assert httpx.get(url).json() == {"offset_ns": 0, "sleepers": []}
    assert (tmp_path / "offset").read_bytes() == bytes(8)


def test_a_moved_clock_is_what_every_process_reads_from_the_file(url: str, tmp_path: Path) -> None:
    assert httpx.put(url, json={"offset_ns": DAY}).json() == {"offset_ns": DAY}
    assert int.from_bytes((tmp_path / "offset").read_bytes(), sys.byteorder) == DAY
    assert httpx.get(url).json()["offset_ns"] == DAY


def test_the_clock_does_not_go_back(url: str) -> None:
    httpx.put(url, json={"offset_ns": DAY})
    refused = httpx.put(url, json={"offset_ns": DAY - 1})
    assert (refused.status_code, httpx.get(url).json()["offset_ns"]) == (409, DAY)
    assert "does not go back" in refused.json()["error"]


def test_each_ring_of_a_bell_is_counted_at_its_place(url: str, tmp_path: Path) -> None:
    bells = tmp_path / "bells"
    assert bells.read_bytes() == bytes(16)
    assert [httpx.post(f"{url}triggerer").json() for _ in range(2)] == [{"rings": 1}, {"rings": 2}]
    httpx.post(f"{url}scheduler")
    assert array("q", bells.read_bytes()).tolist() == [1, 2]
    refused = httpx.post(f"{url}worker")
    assert (refused.status_code, array("q", bells.read_bytes()).tolist()) == (404, [1, 2])
    assert "/scheduler, /triggerer" in refused.json()["error"]
    assert httpx.get(url).json()["offset_ns"] == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"offset_ns": "1"}', b'{"offset_ns": true}', b'{"offset_ns": 1e30}']
)
def test_nonsense_is_refused_and_changes_nothing(url: str, body: bytes) -> None:
    assert httpx.put(url, content=body).status_code == 400
    assert httpx.get(url).json()["offset_ns"] == 0


def test_who_sleeps_is_told_until_when(url: str, tmp_path: Path) -> None:
    name = b"task dag/run/t"
    with (tmp_path / "sleepers").open("r+b") as file:
        file.seek(256)
        file.write(DAY.to_bytes(8, sys.byteorder) + name)
    assert httpx.get(url).json()["sleepers"] == [{"name": name.decode(), "until_ns": DAY}]


def test_long_sleeps_of_asyncio_end_when_the_clock_jumps_past_their_moments(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(pods_site.__file__).parent),
        "VIRTUAL_CLOCK": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SLEEP],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    woken = "599 600\n1199 1200\n1700 1800\n"
    assert (run.stdout, run.returncode) == (woken * 2, 0), run.stderr


NAMES = """
import sys, types
from contextvars import ContextVar
import itest_clock

before = itest_clock.name_of_trigger()
kept = types.ModuleType("trigger_handler")
kept.ctx_task_instance, kept.ctx_trigger_id = ContextVar("task_instance"), ContextVar("trigger_id")
sys.modules["airflow.utils.log.trigger_handler"] = kept
nobodys = itest_clock.name_of_trigger()
kept.ctx_task_instance.set(types.SimpleNamespace(dag_id="d", run_id="r/1", task_id="t", map_index=-1, try_number=2))
kept.ctx_trigger_id.set(7)
print([before, nobodys, itest_clock.name_of_trigger()])
"""


def test_a_trigger_of_airflow_2_sleeps_under_the_name_that_airflow_3_gives() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(pods_site.__file__).parent)}
    said = subprocess.run(
        [sys.executable, "-c", NAMES], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "['', '', 'd/r/1/t/-1/2 (ID 7)']"
