"""Measured values, and the file that keeps a session's: what, how often, on which machine, of which revision.

{
  "machine":  {"cpus": 2, "memory": 8329854976, "kernel": "6.1.0", "engine": "docker 20.10.24"},
  "revision": {"commit": "a5420e5…", "dirty": false},
  "at":       "2026-11-24T20:08:00+00:00",
  "facts":    {"airflow": "3.3.2", …},
  "measures": {"boot": {"unit": "s", "values": [17.1, 16.8], "median": 16.95, "bound_by": "Python imports"}}
}
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROUNDING = 1e-6
"""How far the median in a file may be from that of its values."""


class ResultError(ValueError):
    """A result that cannot be used; the message names the file, the place in it and the fault."""


@dataclass(frozen=True, slots=True)
class Series:
    """What was measured, once or more often. `bound_by` says in words what keeps it from being quicker now."""

    name: str
    unit: str
    values: tuple[float, ...]
    bound_by: str = ""

    def __post_init__(self) -> None:
        if not self.values:
            raise ResultError(f"{self.name}: there are no values")
        for value in self.values:
            if not math.isfinite(value) or value < 0:
                raise ResultError(f"{self.name}: {value!r} is not a measured value (finite, not negative)")

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def min(self) -> float:
        return min(self.values)

    @property
    def max(self) -> float:
        return max(self.values)

    @property
    def spread(self) -> float:
        """Half the interquartile range, as a fraction of the median; 0 for a single value."""
        if self.n == 1 or self.min == self.max:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        if low == high:
            return 0.0
        return (high - low) / 2 / self.median if self.median else math.inf


@dataclass(frozen=True, slots=True)
class Machine:
    """What values depend on beside the project. `memory` is in bytes."""

    cpus: int
    memory: int
    kernel: str
    engine: str

    @classmethod
    def here(cls, engine: str) -> Machine:
        """This machine; `engine` is the container engine with its version, such as ``docker 20.10.24``."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(os.cpu_count() or 1, memory, platform.release(), engine)

    def __str__(self) -> str:
        return f"{self.cpus} CPUs, {self.memory / 2**30:.1f} GiB, kernel {self.kernel}, {self.engine}"


@dataclass(frozen=True, slots=True)
class Revision:
    """What was measured. `dirty`: with changes that are not committed."""

    commit: str
    dirty: bool

    @classmethod
    def of(cls, checkout: Path) -> Revision:
        """The revision of `checkout`; raises `ResultError` when it is none of git's."""
        commit = _git(checkout, "rev-parse", "HEAD").strip()
        return cls(commit, bool(_git(checkout, "status", "--porcelain").strip()))

    def __str__(self) -> str:
        return self.commit[:12] + (" with uncommitted changes" if self.dirty else "")


def _git(checkout: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ResultError(f"git cannot be run: {error}") from error
    if done.returncode != 0:
        raise ResultError(f"{checkout} has no revision: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Result:
    """The measures of one session on one machine. `facts` say on what (see `Prepared.facts`)."""

    machine: Machine
    revision: Revision
    measures: tuple[Series, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def __post_init__(self) -> None:
        names = [series.name for series in self.measures]
        double = {name for name in names if names.count(name) > 1}
        if double:
            raise ResultError(f"measured twice: {', '.join(sorted(double))}")

    def by_name(self) -> dict[str, Series]:
        return {series.name: series for series in self.measures}

    def to_json(self) -> dict[str, Any]:
        """The file's data; see the module."""
        return {
            "machine": asdict(self.machine),
            "revision": asdict(self.revision),
            "at": self.at,
            "facts": dict(self.facts),
            "measures": {
                series.name: {
                    "unit": series.unit,
                    "values": list(series.values),
                    "median": series.median,
                    "bound_by": series.bound_by,
                }
                for series in self.measures
            },
        }

    @classmethod
    def from_json(cls, data: object) -> Result:
        """The result in a file's data; raises `ResultError` naming the first place that is not as it must be."""
        top = _Place(data, "the result")
        machine, revision = top.object("machine"), top.object("revision")
        measures, facts = top.object("measures"), top.object("facts")
        return cls(
            Machine(
                machine.whole("cpus"), machine.whole("memory"), machine.text("kernel"), machine.text("engine")
            ),
            Revision(revision.text("commit"), revision.flag("dirty")),
            tuple(_series(name, measures.object(name)) for name in measures.names()),
            {name: facts.text(name) for name in facts.names()},
            _moment(top),
        )

    def save(self, path: Path) -> None:
        """Write the file; a reader never sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            partial.write_text(json.dumps(self.to_json(), indent=2) + "\n")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Result:
        """Read a file; raises `ResultError` when it cannot be read or is not a result."""
        try:
            return cls.from_json(json.loads(path.read_text()))
        except OSError as error:
            raise ResultError(f"{path} cannot be read: {error.strerror}") from error
        except json.JSONDecodeError as error:
            raise ResultError(f"{path} is not JSON: {error}") from error
        except ResultError as error:
            raise ResultError(f"{path}: {error}") from error


# ---- validation


@dataclass(frozen=True, slots=True)
class _Place:
    """A JSON object and where it stands in the file; each reader raises `ResultError` for what it cannot read."""

    data: Any
    where: str

    def __post_init__(self) -> None:
        if not isinstance(self.data, dict):
            raise ResultError(f"{self.where} is {_kind(self.data)}, not an object")

    def names(self) -> list[str]:
        return list(self.data)

    def at(self, key: str) -> str:
        return key if self.where == "the result" else f"{self.where}.{key}"

    def get(self, key: str) -> Any:
        if key not in self.data:
            raise ResultError(f"{self.at(key)} is missing")
        return self.data[key]

    def object(self, key: str) -> _Place:
        return _Place(self.get(key), self.at(key))

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            raise ResultError(f"{self.at(key)} is {_kind(value)}, not a text")
        return value

    def flag(self, key: str) -> bool:
        value = self.get(key)
        if not isinstance(value, bool):
            raise ResultError(f"{self.at(key)} is {_kind(value)}, not true or false")
        return value

    def whole(self, key: str) -> int:
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ResultError(f"{self.at(key)} is {_kind(value)}, not a whole number above 0")
        return value

    def numbers(self, key: str) -> tuple[float, ...]:
        values = self.get(key)
        if not isinstance(values, list):
            raise ResultError(f"{self.at(key)} is {_kind(values)}, not a list")
        return tuple(_number(value, f"{self.at(key)}[{index}]") for index, value in enumerate(values))


def _number(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ResultError(f"{where} is {_kind(value)}, not a number")
    return float(value)


def _kind(value: object) -> str:
    """How an error names a wrong value."""
    shown = json.dumps(value)
    return shown if len(shown) <= 40 else shown[:39] + "…"


def _series(name: str, place: _Place) -> Series:
    series = Series(name, place.text("unit"), place.numbers("values"), place.text("bound_by"))
    median = _number(place.get("median"), place.at("median"))
    if not math.isclose(median, series.median, rel_tol=ROUNDING, abs_tol=ROUNDING):
        raise ResultError(f"{place.at('median')} is {median}, but that of the values is {series.median}")
    return series


def _moment(top: _Place) -> str:
    text = top.text("at")
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise ResultError(f"at is {text!r}, not a time in ISO 8601") from error
    return text
