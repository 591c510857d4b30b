"""Values keep their spread, and a result file is read back as it was saved or refused with a reason."""

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.stats import Machine, Result, ResultError, Revision, Series

MACHINE = Machine(2, 8 * 2**30, "6.1.0", "docker 20.10.24")


def result(*measures: Series) -> Result:
    return Result(
        MACHINE, Revision("a" * 40, False), measures, {"airflow": "3.3.2"}, "2026-11-24T20:00:00+00:00"
    )


BOOT = Series("boot", "s", (17.0, 16.0, 20.0, 18.0), "Python imports")


def test_a_series_tells_its_median_extremes_and_count() -> None:
    assert (BOOT.median, BOOT.min, BOOT.max, BOOT.n) == (17.5, 16.0, 20.0, 4)


def test_the_spread_is_half_the_interquartile_range_by_the_median() -> None:
    assert Series("x", "s", (1, 2, 3, 4, 5)).spread == pytest.approx((4 - 2) / 2 / 3)
    assert Series("x", "s", (9, 10)).spread == pytest.approx(0.5 / 2 / 9.5)


def test_a_single_value_and_equal_values_have_no_spread() -> None:
    assert Series("x", "s", (3.0,)).spread == 0
    assert Series("x", "s", (0.0, 0.0, 0.0)).spread == 0
    assert Series("x", "s", (0.0, 0.0, 0.0, 0.0, 0.0, 7.0)).spread == 0


def test_values_about_a_median_of_nothing_have_no_bound_to_their_spread() -> None:
    assert Series("x", "s", (0.0, 0.0, 0.0, 5.0, 5.0)).spread == math.inf


@pytest.mark.parametrize("values", [(), (1.0, math.nan), (math.inf,), (-1.0,)])
def test_what_cannot_have_been_measured_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ResultError, match="boot"):
        Series("boot", "s", values)


def test_a_name_is_measured_once_only() -> None:
    with pytest.raises(ResultError, match="measured twice: boot"):
        result(BOOT, BOOT)


# ---- files


def test_a_result_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    made = result(BOOT, Series("push to served", "s", (1.5,)))
    made.save(tmp_path / "new" / "result.json")
    assert Result.load(tmp_path / "new" / "result.json") == made
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result.json"]


def test_the_file_has_the_agreed_shape() -> None:
    assert result(BOOT).to_json() == {
        "machine": {"cpus": 2, "memory": 8589934592, "kernel": "6.1.0", "engine": "docker 20.10.24"},
        "revision": {"commit": "a" * 40, "dirty": False},
        "at": "2026-11-24T20:00:00+00:00",
        "facts": {"airflow": "3.3.2"},
        "measures": {
            "boot": {
                "unit": "s",
                "values": [17.0, 16.0, 20.0, 18.0],
                "median": 17.5,
                "bound_by": "Python imports",
            }
        },
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    """A good file's data with one place changed; deleted when `value` is `KeyError`."""
    data = result(BOOT).to_json()
    *parents, last = path.split(".")
    place = data
    for name in parents:
        place = place[name]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("machine", KeyError, "machine is missing"),
        ("machine", [], r"machine is \[\], not an object"),
        ("machine.cpus", "2", 'machine.cpus is "2", not a whole number above 0'),
        ("machine.cpus", True, "machine.cpus is true, not a whole number"),
        ("machine.memory", 0, "machine.memory is 0"),
        ("machine.kernel", KeyError, "machine.kernel is missing"),
        ("revision.commit", None, "revision.commit is null, not a text"),
        ("revision.dirty", 0, "revision.dirty is 0, not true or false"),
        ("at", "yesterday", "at is 'yesterday', not a time in ISO 8601"),
        ("facts.airflow", 3, "facts.airflow is 3, not a text"),
        ("measures", KeyError, "measures is missing"),
        ("measures.boot", 17, "measures.boot is 17, not an object"),
        ("measures.boot.unit", KeyError, "measures.boot.unit is missing"),
        ("measures.boot.values", 17, "measures.boot.values is 17, not a list"),
        ("measures.boot.values", [1, "2"], r'measures.boot.values\[1\] is "2", not a number'),
        ("measures.boot.values", [], "boot: there are no values"),
        ("measures.boot.values", [1, math.nan], "boot: nan is not a measured value"),
        ("measures.boot.median", 3.0, r"measures.boot.median is 3.0, but that of the values is 17.5"),
        ("measures.boot.bound_by", KeyError, "measures.boot.bound_by is missing"),
    ],
)
def test_a_bad_file_is_refused_with_the_place_and_the_fault(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(changed(path, value)))
    with pytest.raises(ResultError, match=f"bad.json: {message}"):
        Result.load(file)


def test_files_that_are_absent_or_not_json_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"none\.json cannot be read: No such file"):
        Result.load(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"machine": ')
    with pytest.raises(ResultError, match=r"half\.json is not JSON"):
        Result.load(tmp_path / "half.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ResultError, match=r"list.json: the result is \[\], not an object"):
        Result.load(tmp_path / "list.json")


# ---- machine and revision


def test_this_machine_has_cores_memory_and_a_kernel() -> None:
    here = Machine.here("docker 1")
    assert here.cpus >= 1
    assert here.memory > 2**20
    assert here.kernel
    assert here.engine == "docker 1"


def test_a_checkout_with_changes_is_dirty_and_one_without_revision_is_refused(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    git("init")
    with pytest.raises(ResultError, match="has no revision"):
        Revision.of(tmp_path)
    git("commit", "--allow-empty", "--message=first")
    clean = Revision.of(tmp_path)
    assert len(clean.commit) == 40
    assert not clean.dirty
    (tmp_path / "new").write_text("x")
    assert Revision.of(tmp_path) == Revision(clean.commit, True)
    assert str(Revision.of(tmp_path)) == f"{clean.commit[:12]} with uncommitted changes"
