"""Two results give a verdict for each measure, never across machines, and never about noise."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.compare import Comparison, compare, main
from bench.stats import Machine, Result, ResultError, Revision, Series

MACHINE = Machine(2, 8 * 2**30, "6.1.0", "docker 20.10.24")


def result(*measures: Series, machine: Machine = MACHINE) -> Result:
    return Result(machine, Revision("a" * 40, False), measures, {}, "2026-11-24T20:00:00+00:00")


def seconds(*values: float, name: str = "boot", unit: str = "s") -> Series:
    return Series(name, unit, values)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (10.0, 8.0, "faster"),
        (10.0, 12.0, "slower"),
        (10.0, 10.5, "same within noise"),
        (10.5, 10.0, "same within noise"),
        (10.0, 10.6, "slower"),
        (0.0, 0.0, "same within noise"),
        (0.0, 1.0, "slower"),
        (1.0, 0.0, "faster"),
    ],
)
def test_a_difference_above_five_percent_is_a_verdict(before: float, after: float, verdict: str) -> None:
    assert Comparison(seconds(before), seconds(after)).verdict == verdict


def test_a_difference_within_the_spread_of_both_is_none() -> None:
    wide = Comparison(seconds(8, 10, 12), seconds(9.5, 11.5, 13.5))
    assert wide.noise == pytest.approx(0.1 + 1 / 11.5)
    assert wide.verdict == "same within noise"
    narrow = Comparison(seconds(10, 10, 10), seconds(11.5, 11.5, 11.5))
    assert narrow.verdict == "slower"


def test_of_a_rate_more_is_better() -> None:
    better = Comparison(seconds(100, unit="runs/s"), seconds(150, unit="runs/s"))
    assert better.ratio == pytest.approx(1.5)
    assert better.verdict == "faster"
    assert Comparison(seconds(150, unit="runs/s"), seconds(100, unit="runs/s")).verdict == "slower"
    assert Comparison(seconds(1, unit="runs/s"), seconds(0, unit="runs/s")).verdict == "slower"


def test_different_units_are_refused() -> None:
    with pytest.raises(ResultError, match="boot is measured in 's' before and 'ms' after"):
        compare(result(seconds(1)), result(seconds(1000, unit="ms")))


def test_only_what_both_have_is_compared() -> None:
    before = result(seconds(1), seconds(1, name="gone"))
    after = result(seconds(1, name="new"), seconds(1))
    assert [one.before.name for one in compare(before, after)] == ["boot"]


def test_different_machines_are_refused_by_name_unless_forced() -> None:
    other = replace(MACHINE, cpus=8, kernel="6.12")
    before, after = result(seconds(1)), result(seconds(2), machine=other)
    with pytest.raises(ResultError, match=r"different machines \(cpus: 2 and 8, kernel: 6.1.0 and 6.12\)"):
        compare(before, after)
    assert compare(before, after, force=True)[0].ratio == 2


# ---- the command


def saved(folder: Path, name: str, made: Result) -> str:
    made.save(folder / name)
    return str(folder / name)


def test_the_command_shows_verdicts_and_succeeds_without_a_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    before = saved(tmp_path, "a", result(seconds(10), seconds(5, name="gone")))
    after = saved(tmp_path, "b", result(seconds(20), seconds(5, name="new")))
    assert main([before, after]) == 0
    shown = capsys.readouterr().out
    assert "2.00" in shown
    assert "slower" in shown
    assert "only before" in shown
    assert "only after" in shown


def test_the_command_fails_above_the_limit_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = saved(tmp_path, "a", result(seconds(10)))
    after = saved(tmp_path, "b", result(seconds(13)))
    assert main([before, after, "--fail-above", "1.25"]) == 1
    assert "boot is 1.30 times what it was; the limit is 1.25" in capsys.readouterr().err
    assert main([before, after, "--fail-above", "1.5"]) == 0
    assert main([after, before, "--fail-above", "1.25"]) == 0


def test_noise_does_not_fail_the_command(tmp_path: Path) -> None:
    before = saved(tmp_path, "a", result(seconds(7, 10, 13)))
    after = saved(tmp_path, "b", result(seconds(9, 13, 17)))
    assert main([before, after, "--fail-above", "1.25"]) == 0


def test_a_measure_that_is_gone_fails_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = saved(tmp_path, "a", result(seconds(10), seconds(1, name="run")))
    after = saved(tmp_path, "b", result(seconds(10)))
    assert main([before, after]) == 0
    assert main([before, after, "--fail-above", "1.25"]) == 1
    assert "run was measured before and is not any more" in capsys.readouterr().err


def test_the_command_refuses_other_machines_and_bad_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = saved(tmp_path, "a", result(seconds(10)))
    after = saved(tmp_path, "b", result(seconds(10), machine=replace(MACHINE, cpus=8)))
    assert main([before, after]) == 2
    assert "different machines" in capsys.readouterr().err
    assert main([before, after, "--force"]) == 0
    assert "no verdict on the code" in capsys.readouterr().err
    assert main([before, str(tmp_path / "none")]) == 2


@pytest.mark.parametrize("limit", ["0.9", "much", "nan", "inf"])
def test_a_limit_that_is_no_ratio_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["a", "b", "--fail-above", limit])
    assert "is not a ratio of at least 1" in capsys.readouterr().err
