"""The bell that scheduler and triggerer wait for while somebody skips time."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.mocks import pods_site


class Hours:
    """Time that passes by sleeping only; the bell rings at the given moments."""

    def __init__(self, file: Path, rings: tuple[float, ...] = ()) -> None:
        self.now = 100.0
        self._file = file
        self._rings = sorted(rings)
        self._count = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        while self._rings and self._rings[0] <= self.now:
            self._rings.pop(0)
            self._count += 1
            with self._file.open("r+b") as file:
                file.seek(8)
                file.write(self._count.to_bytes(8, sys.byteorder))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module as the pods import it."""
    monkeypatch.syspath_prepend(str(Path(pods_site.__file__).parent))
    yield importlib.import_module("itest_bell")
    sys.modules.pop("itest_bell", None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "bells"
    made.write_bytes(bytes(16))
    return made


def waits(module: Any, monkeypatch: pytest.MonkeyPatch, hours: Hours, bell: Any, usual: float) -> float:
    """How long one wait takes."""
    monkeypatch.setattr(module, "time", hours)
    began = hours.now
    bell.wait(usual, hours.sleep)
    return round(hours.now - began, 2)


def test_who_is_not_rung_for_waits_as_usual(module: Any, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    hours = Hours(file)
    bell = module.Bell(str(file), 1)
    assert [waits(module, monkeypatch, hours, bell, usual) for usual in (0.1, 0.4)] == [0.1, 0.4]


def test_a_ring_ends_a_wait_and_the_next_one_is_waited_for_a_second_at_most(
    module: Any, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    hours = Hours(file, rings=(100.05, 100.55))
    bell = module.Bell(str(file), 1)
    found = [waits(module, monkeypatch, hours, bell, 0.1) for _ in range(3)]
    assert found == [pytest.approx(0.05, abs=0.01), pytest.approx(0.5, abs=0.01), 1.0]


def test_the_other_components_bell_is_not_heard(
    module: Any, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    hours = Hours(file, rings=(100.05,))
    assert waits(module, monkeypatch, hours, module.Bell(str(file), 0), 0.1) == 0.1


def test_a_ring_during_the_round_ends_the_next_wait_at_once(
    module: Any, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    hours = Hours(file, rings=(100.2,))
    bell = module.Bell(str(file), 1)
    hours.sleep(0.3)
    assert waits(module, monkeypatch, hours, bell, 0.1) == 0.0


def test_some_seconds_after_the_last_ring_the_waits_are_the_usual_ones(
    module: Any, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    hours = Hours(file, rings=(100.05,))
    bell = module.Bell(str(file), 1)
    waits(module, monkeypatch, hours, bell, 0.1)
    hours.sleep(module.ATTENDED)
    assert waits(module, monkeypatch, hours, bell, 0.1) == 0.1


def test_in_real_time_there_is_no_bell(module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VIRTUAL_CLOCK", raising=False)
    assert module.of_this_stack("scheduler") is None
    monkeypatch.setenv("VIRTUAL_CLOCK", str(tmp_path))
    assert module.of_this_stack("scheduler") is None, "a clock without one"
    (tmp_path / "bells").write_bytes(bytes(16))
    assert module.of_this_stack("scheduler") is not None
