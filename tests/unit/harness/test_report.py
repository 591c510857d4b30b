"""Counts add up, reports keep what they hold, and secrets are masked."""

import dataclasses
import json
from pathlib import Path

import pytest
from rich.console import Console

from harness.environment import mask
from harness.history import History, read
from harness.prepare import OptionError, Options
from harness.report import Report, Tally, load, save, show
from harness.settings import StackSettings
from harness.waits import WaitTimeout, eventually


def report(database: str, runs: int) -> Report:
    tally = Tally(dag_runs=runs, tasks=10 * runs)
    return Report("s", tally, "3.3.2", "default", database, "base (built)", "real", "quick")


def test_a_report_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    made = [report("stand-in", 3), report("CockroachDB", 1)]
    save(made, tmp_path)
    assert load(tmp_path) == made


def test_the_table_adds_stacks_up_and_names_every_database() -> None:
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    show([report("stand-in", 2), report("CockroachDB", 3)], console)
    console.file.close()
    lines = console.export_text().splitlines()
    assert any("DAG runs" in line and "5" in line for line in lines)
    assert any("Tasks" in line and "50" in line for line in lines)
    assert any("CockroachDB, stand-in" in line for line in lines)


def test_the_table_tells_how_many_commits_were_made_to_fail_where_that_was_asked_for() -> None:
    for told, expected in (("3 of 60 COMMITs were made to fail on s", 1), ("", 0)):
        console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
        show([dataclasses.replace(report("stand-in", 2), conflicts=told)], console)
        console.file.close()
        text = console.export_text()
        assert (text.count("3 of 60"), text.count("Conflicts")) == (expected, expected)


def test_secrets_are_masked_also_where_line_breaks_are_escaped() -> None:
    settings = StackSettings.generate("itest-x")
    escaped = json.dumps({"private_key": settings.google_private_key})
    text = f"{settings.placeholders['ITEST_GIT_TOKEN']} {escaped} {settings.proposer_key}"
    masked = mask(text, settings.secrets)
    assert "PRIVATE KEY" not in masked
    assert settings.placeholders["ITEST_GIT_TOKEN"] not in masked
    assert masked.count("***") == 3


def test_settings_are_saved_for_their_owner_only_and_read_back(tmp_path: Path) -> None:
    settings = StackSettings.generate("itest-x")
    path = tmp_path / "s" / "settings.json"
    settings.save(path)
    assert path.stat().st_mode & 0o077 == 0
    assert StackSettings.load(path) == settings
    assert StackSettings.generate("itest-x") != settings


def test_history_keeps_events_in_order_with_their_time(tmp_path: Path) -> None:
    history = History(tmp_path / "h" / "history.jsonl")
    history.record("push", revision="a")
    history.record("served", pods=["p"])
    history.close()
    events = list(read(history.path))
    assert [e["kind"] for e in events] == ["push", "served"]
    assert all(str(e["at"]).endswith("+00:00") for e in events)


def test_an_option_that_cannot_be_followed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITEST_DATABASE", "oracle")
    with pytest.raises(OptionError, match="database is 'oracle'; it can be auto, cockroachdb, stand-in"):
        Options.from_environment()


def test_a_given_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITEST_DATABASE", "stand-in")
    monkeypatch.setenv("AIRFLOW_IMAGE", "team/airflow:7")
    options = Options.from_environment(database="cockroachdb", registry=None)
    assert (options.database, options.given) == ("cockroachdb", {"airflow": "team/airflow:7"})


def test_waiting_in_vain_says_for_what_and_what_was_seen() -> None:
    with pytest.raises(WaitTimeout, match="for the moon, in vain\nlast seen: clouds"):
        eventually(lambda: None, "the moon", 0, describe=lambda: "last seen: clouds")
