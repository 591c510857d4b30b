"""What is said of runs in flight: as without an upgrade, more than that, less than that, or nothing certain."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from rich.console import Console

from harness import cli
from harness.catalog import build
from harness.due import Due, Outlook
from harness.prepare import OptionError, Options, Prepared
from harness.runtime.base import StartError
from harness.upgrade import command
from harness.upgrade.findings import Assessment, Finding, Row, Severity, Side, Verdict, verdict
from harness.upgrade.rehearsal import drive, judge, migration, stack
from harness.upgrade.rehearsal.outcome import Outcome, RunEnd, TaskEnd
from harness.upgrade.rehearsal.run import OWN_CONTENT, masked, overlay
from harness.upgrade.rehearsal.specimens import OWN, Hold, Specimen, SpecimenError, select
from harness.upgrade.report.machine import to_json, to_junit
from harness.upgrade.report.page import to_html
from harness.upgrade.report.terminal import show

SPECIMEN = Specimen("deferred", "rehearsal_deferred", "deferred", {"wait": "deferred"})
END = RunEnd(
    "success",
    {"begin": TaskEnd("success", 1), "wait": TaskEnd("success", 1)},
    {"begin/return_value": {"a": 1}},
    ("begin: slack.message #c {}",),
)
CONTROL = Outcome((END,))


def judged(end: RunEnd, stuck: str = "") -> list[Finding]:
    return judge.judge(SPECIMEN, "", CONTROL, Outcome((end,)), stuck)


def test_what_ends_as_its_control_survives() -> None:
    assert judged(END) == []


@pytest.mark.parametrize(
    ("end", "severity", "reason"),
    [
        (replace(END, state="failed"), Severity.BREAKS, "its run ended as failed"),
        (replace(END, state="running"), Severity.BREAKS, "never ended, and is running"),
        (replace(END, tasks={"begin": END.tasks["begin"]}), Severity.BREAKS, "task wait is gone"),
        (
            replace(END, tasks={**END.tasks, "wait": TaskEnd("skipped", 1)}),
            Severity.BREAKS,
            "task wait is skipped instead of success",
        ),
        (
            replace(END, tasks={**END.tasks, "wait": TaskEnd("success", 2)}),
            Severity.DEGRADES,
            "task wait took 2 tries instead of 1",
        ),
        (replace(END, xcoms={}), Severity.BREAKS, "XCom begin/return_value is gone"),
        (
            replace(END, xcoms={"begin/return_value": "cannot be read: TypeError"}),
            Severity.BREAKS,
            'XCom begin/return_value is "cannot be read: TypeError"',
        ),
        (
            replace(END, xcoms={"begin/return_value": {"a": "1"}}),
            Severity.DEGRADES,
            'XCom begin/return_value.a is "1" instead of 1',
        ),
        (
            replace(END, xcoms={"begin/return_value": {"a": [1, 2]}}),
            Severity.DEGRADES,
            "XCom begin/return_value.a is [1, 2] instead of 1",
        ),
        (replace(END, effects=()), Severity.BREAKS, "a side effect did not happen"),
        (replace(END, effects=END.effects * 2), Severity.DEGRADES, "a side effect happened once more"),
        (replace(END, silent=("wait",)), Severity.DEGRADES, "the log of wait cannot be read"),
    ],
)
def test_each_difference_is_told_with_what_to_do(end: RunEnd, severity: Severity, reason: str) -> None:
    (found,) = judged(end)
    assert (found.severity, found.check) == (severity, "runs")
    assert reason in found.reason
    assert found.advice
    assert found.subject == "deferred (deferred)"


def test_a_run_that_does_not_end_tells_which_task_is_left_and_what_for() -> None:
    end = replace(END, state="running", tasks={**END.tasks, "wait": TaskEnd("deferred", 1)}, xcoms={})
    (found,) = judged(end, "its trigger does not sleep")
    assert "wait is deferred" in found.reason
    assert "its trigger does not sleep" in found.reason


def test_what_was_not_in_its_state_or_fails_without_an_upgrade_is_unknown() -> None:
    unready = judge.judge(SPECIMEN, "wait is running", CONTROL, CONTROL)
    broken = judge.judge(SPECIMEN, "", Outcome((replace(END, state="failed"),)), CONTROL)
    nothing = judge.judge(SPECIMEN, "", Outcome(()), Outcome(()))
    for found in (unready, broken, nothing):
        assert verdict(found) is Verdict.UNKNOWN
    assert "wait is running" in unready[0].reason


def test_a_run_that_was_never_made_breaks() -> None:
    (found,) = judge.judge(SPECIMEN, "", CONTROL, Outcome(()), "no event")
    assert found.severity is Severity.BREAKS
    assert "0 runs instead of 1" in found.reason


def test_ended_runs_have_to_look_as_before_but_do_nothing_once_more() -> None:
    later = {"a": Outcome((replace(END, effects=()),))}
    assert judge.history({"a": CONTROL}, later) == []
    changed = {"a": Outcome((replace(END, xcoms={}),))}
    assert verdict(judge.history({"a": CONTROL}, changed)) is Verdict.BREAKS
    assert verdict(judge.history({"a": CONTROL}, {})) is Verdict.BREAKS
    mute = {"a": Outcome((replace(END, silent=("wait",)),))}
    (told,) = judge.history(mute, mute)
    assert (told.severity, "1 tasks cannot be read on the old" in told.reason) == (Severity.NOTE, True)


def test_runs_that_are_not_shown_and_ids_that_are_rounded_are_told() -> None:
    before = judge.Shown(frozenset({"r", "s"}), 7)
    assert judge.shown(before, judge.Shown(frozenset({"r", "s", "t"}), 2**53 - 1)) == []
    gone, rounded = judge.shown(before, judge.Shown(frozenset({"s"}), 2**53))
    assert "1 of 2 runs are not shown" in gone.reason
    assert (gone.detail, gone.severity) == ("r", Severity.BREAKS)
    assert str(2**53) in rounded.reason


def test_every_specimen_has_its_dag_and_its_own_name() -> None:
    texts = "\n".join(path.read_text() for path in OWN_CONTENT.rglob("*.py"))
    assert len({s.name for s in OWN}) == len(OWN)
    for specimen in OWN:
        assert f'dag_id="{specimen.dag_id}"' in texts
        assert specimen.at or specimen.hold in (Hold.PAUSED, Hold.ASSET), specimen.name


def test_runs_are_chosen_by_name_or_brought_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "own.py").write_text("text")
    (tmp_path / "specimens.toml").write_text(
        '[specimen.own]\ndag_id = "own"\nstate = "mine"\nconf = {x = 1}\n'
        'at = {a = "deferred", b = "none", c = ["queued", "running"]}\n'
    )
    chosen = select(f"deferred,{tmp_path}")
    assert [s.name for s in chosen.specimens] == ["deferred", "own"]
    at = {"a": "deferred", "b": None, "c": ("queued", "running")}
    assert chosen.specimens[1] == Specimen("own", "own", "mine", at, conf={"x": 1})
    assert overlay(chosen)["dags/own.py"] == "text"
    assert "shared/rehearsal_kit/__init__.py" in overlay(chosen)
    assert select(None).specimens == OWN
    assert "human" not in {s.name for s in select(None).on("2.11")}
    assert "human" in {s.name for s in select(None).on("3")}


def test_a_wrong_choice_is_told_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(SpecimenError, match=r"'nope' is no run .* deferred, "):
        select("nope")
    with pytest.raises(SpecimenError, match=r"specimens\.toml tells of no specimen"):
        select(str(tmp_path))
    (tmp_path / "specimens.toml").write_text('[specimen.own]\nstate = "x"\n')
    with pytest.raises(SpecimenError, match="own needs dag_id"):
        select(str(tmp_path))
    (tmp_path / "specimens.toml").write_text('[specimen.own]\ndag_id = "own"\nat = {a = 3}\n')
    with pytest.raises(SpecimenError, match="a state is a text, or a list of texts, not 3"):
        select(str(tmp_path))


def test_the_matrix_is_in_every_report() -> None:
    side = Side("3.2.2", "i", "sha256:1", "3.2.2", "3.11.9")
    rows = (
        Row("deferred", "deferred", "success", "success", Verdict.SURVIVES, "success"),
        Row("running", "running", "success", "success, 2 tries", Verdict.DEGRADED, "failed"),
    )
    assessment = Assessment(side, side, "x", (), rows=rows)
    console = Console(width=140, record=True)
    show(assessment, console)
    for text in (console.export_text(), to_html(assessment)):
        for word in ("not upgraded", "rolled back", "success, 2 tries", "failed", "degraded"):
            assert word in text
    assert json.loads(to_json(assessment))["rows"][1]["verdict"] == "degraded"
    cases = ElementTree.fromstring(to_junit(assessment, False))[0].findall("testcase")  # noqa: S314
    assert [c.get("name") for c in cases if c.get("classname") == "upgrade.runs"] == ["deferred: deferred"]


def test_the_last_error_that_a_log_names_is_the_cause() -> None:
    words = (
        "x INFO a\n  KeyError: 'first'\nairflow.exceptions.TaskDeferralError: Trigger failure\n  at line 3\n"
    )
    assert judge.cause(words) == "airflow.exceptions.TaskDeferralError: Trigger failure"
    assert judge.cause("nothing of that kind") == ""


def test_the_schedulers_last_warning_that_names_a_dag_is_told_without_what_differs_each_time() -> None:
    log = (
        "2026-11-27T22:35:08Z [warning  ] early.a is late [airflow.x] loc=x.py:1\n"
        "2026-11-27T22:35:08Z [warning  ] TaskInstance <TaskInstance: late.b run [scheduled] ti_id=01a2-1e14> has no "
        "dag_version_id [airflow.jobs.SchedulerJobRunner] loc=scheduler_job_runner.py:1125\n"
        "2026-11-27T22:35:09Z [info     ] late.b is queued\n"
    )
    assert (
        judge.warning(log, "late")
        == "TaskInstance <TaskInstance: late.b run [scheduled]> has no dag_version_id"
    )
    assert judge.warning(log, "other") == ""


def test_a_rehearsal_that_comes_to_no_end_is_no_verdict_on_the_upgrade() -> None:
    found = command.not_made(StartError("worker-1: ended while it was starting\nits last words"))
    assert verdict([found]) is Verdict.UNKNOWN
    assert found.reason == "it could not be made: worker-1: ended while it was starting"
    assert "its last words" in found.detail


def test_what_components_say_is_told_without_secrets() -> None:
    said = Finding(Severity.BREAKS, "start", "Airflow", "key=topsecret is wrong", detail="a topsecret\nb")
    (found,) = masked([said], ("topsecret",))
    assert "topsecret" not in found.reason + found.detail
    assert found.reason == "key=*** is wrong"


def prepared(version: str, *pods: str) -> Any:
    return SimpleNamespace(
        topology=SimpleNamespace(airflow=version, pods=[SimpleNamespace(name=pod) for pod in pods])
    )


def test_pods_are_replaced_in_the_order_that_is_asked_for_and_then_the_others() -> None:
    old, new = prepared("3.3.1", "api", "scheduler", "worker-1"), prepared("3.3.2")
    assert command.rolling("worker-1", old, new) == ("worker-1", "api", "scheduler")
    assert command.rolling("", old, new) == ("api", "scheduler", "worker-1")
    with pytest.raises(OptionError, match=r"no pod nope; there are api, scheduler, worker-1"):
        command.rolling("nope", old, new)
    with pytest.raises(OptionError, match=r"3\.2\.2 and 3\.3\.2 cannot be there at once"):
        command.rolling("", prepared("3.2.2"), new)


def test_what_cannot_be_rehearsed_together_is_told_before_anything_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for options in (["--rolling", "--rollback"], ["--runs", "nope"]):
        assert cli.main(["upgrade", "--from", "3.2.2", *options]) == 3
    told = capsys.readouterr().err
    assert "--rolling or --rollback" in told
    assert "'nope' is no run" in told


NOW = datetime(2026, 1, 1, tzinfo=UTC)
DUE = Due(NOW + timedelta(hours=1), "the trigger of x")


class FakeStack:
    """A stack in which nothing changes: `busy`, and one due moment."""

    def __init__(self, *busy: str, due: tuple[Due, ...] = (DUE,)) -> None:
        self.seen = Outlook(busy, due, NOW, NOW)
        self.jumped: list[Due] = []
        self.clock = SimpleNamespace(
            outlook=lambda: self.seen, now=lambda: NOW, jump_to=lambda due: self.jumped.append(due)
        )
        self.database = SimpleNamespace(rows=lambda query: [])


def stepped(fake: FakeStack, monkeypatch: pytest.MonkeyPatch, stuck: float) -> bool:
    """Two looks of what moves the clock, where nothing changes for long enough in between."""
    monkeypatch.setattr(drive, "SETTLED", 0.0)
    monkeypatch.setattr(drive, "STUCK", stuck)
    quiet = drive._Quiet(cast(Any, fake), ["rehearsal_pool"])
    quiet.step()
    return quiet.step()


def test_time_is_skipped_when_nothing_is_at_work_or_what_is_does_not_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_work = "work of d, r, is running"
    for fake, patience, jumps in (
        (FakeStack(), 60.0, [DUE]),
        (FakeStack(at_work), 60.0, []),
        (FakeStack(at_work), 0.0, [DUE]),
        (FakeStack("second of rehearsal_pool, r, is scheduled"), 60.0, [DUE]),
        (FakeStack("second of other, r, is scheduled"), 60.0, []),
        (FakeStack(due=(replace(DUE, moment=NOW),)), 60.0, []),
    ):
        assert not stepped(fake, monkeypatch, patience) or not jumps
        assert fake.jumped == jumps, fake.seen.busy


def test_nothing_is_waited_for_when_all_that_is_left_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stepped(FakeStack("work of d, r, is running", due=()), monkeypatch, 0.0)
    assert not stepped(FakeStack("work of d, r, is running", due=()), monkeypatch, 60.0)
    assert not stepped(FakeStack(due=()), monkeypatch, 60.0)


class Stopping:
    """A runtime that only stops services, and whose workers say that they do."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def stop(self, service: str) -> None:
        self.done.append(service)

    def logs(self, service: str, tail: int | None = None) -> str:
        return "worker: Warm shutdown (MainProcess)"


def test_components_stop_group_after_group_and_workers_are_told_of_when_they_begin_to() -> None:
    runtime = Stopping()
    env = cast(Any, SimpleNamespace(runtime=runtime))
    stack.stop_airflow(
        env, [["scheduler"], ["worker-1"], ["api-server"]], lambda w: runtime.done.append(f"{w}!")
    )
    assert runtime.done[0] == "scheduler"
    assert set(runtime.done[1:3]) == {"worker-1", "worker-1!"}
    assert runtime.done[3] == "api-server"


def test_no_setting_that_is_made_for_one_release_is_left_in_the_pods() -> None:
    topology = build("default", "stand-in", virtual_clock=True)
    given = cast(Any, Prepared(Options(), topology, "stand-in", False, {}))
    kept = stack._with_environment(given, {"A": "1"}, stack.OF_ONE_RELEASE).topology.pods
    for pod in kept:
        assert pod.main.environment["A"] == "1"
        assert not pod.main.environment.keys() & {"ITEST_EXECUTION_API", "ITEST_IMPORTS", "ITEST_ROUTES"}
        assert "ITEST_IDENTITY" in pod.main.environment
    assert "ITEST_EXECUTION_API" in topology.pods[0].main.environment


def test_the_migration_joins_only_what_it_needs() -> None:
    topology = build("default", "stand-in", virtual_clock=True)
    given = Prepared(Options(), topology, "stand-in", False, {})
    by_way = {way: [s.name for s in migration.services(given, way)] for way in migration.WAYS}
    assert by_way == {
        "crdb-upgrade": ["scratch", "crdb-upgrade-sandbox", "crdb-upgrade"],
        "stock": ["migrate-sandbox", "migrate"],
    }
    upgrade = migration.services(given, "crdb-upgrade")[-1]
    assert "/airflow_new?" in upgrade.environment["CRDB_UPGRADE_TARGET"]
    assert upgrade.one_shot


def test_only_a_way_that_switches_at_its_end_lets_the_old_version_be_started_again() -> None:
    unharmed = {
        way for way in migration.WAYS if "the old version can be started again" in migration.ADVICE[way]
    }
    assert unharmed == {"crdb-upgrade"}


class Told:
    """A stack whose database tells of one run, in `run`, with `tasks`; `queue` are DAGs with an asset's event."""

    def __init__(self, run: str | None, tasks: dict[tuple[str, int], str | None], *queue: str) -> None:
        self.answers = {
            drive.RUN: [(run,)] if run else [],
            drive.TASKS: [(task, index, state) for (task, index), state in tasks.items()],
            drive.ALL_RUNS: [],
            "queue": [(dag,) for dag in queue],
        }
        self.database = SimpleNamespace(rows=lambda query, parameters=(): self.answers[query])
        self.line = SimpleNamespace(tables=SimpleNamespace(asset_queue="queue"))


MAPPED = Specimen(
    "m", "rehearsal_mapped", "mapped", {"each[0]": "success", "each[1]": "deferred", "total": None}
)
ASKED = Specimen("h", "rehearsal_human", "asked", {"ask": ("deferred", "awaiting_input")})
CONSUMER = Specimen("consumer", "rehearsal_consumer", "asset events", {}, Hold.ASSET)
AS_IT_SHOULD = {("each", 0): "success", ("each", 1): "deferred", ("total", -1): None}


@pytest.mark.parametrize(
    ("specimen", "told", "lacks"),
    [
        (MAPPED, Told("running", AS_IT_SHOULD), ""),
        (MAPPED, Told("queued", AS_IT_SHOULD), "its run is queued instead of running"),
        (MAPPED, Told(None, {}), "its run is not there instead of running"),
        (
            MAPPED,
            Told("running", {**AS_IT_SHOULD, ("each", 1): "success"}),
            "each[1] is success instead of deferred",
        ),
        (
            MAPPED,
            Told("running", {**AS_IT_SHOULD, ("total", -1): "running"}),
            "total is running instead of none",
        ),
        (MAPPED, Told("running", {("each", 0): "success"}), "each[1] is not there instead of deferred"),
        (ASKED, Told("running", {("ask", -1): "awaiting_input"}), ""),
        (
            ASKED,
            Told("running", {("ask", -1): "queued"}),
            "ask is queued instead of deferred or awaiting_input",
        ),
        (CONSUMER, Told(None, {}, "rehearsal_consumer"), ""),
        (CONSUMER, Told(None, {}, "other"), "no asset event waits for rehearsal_consumer"),
    ],
)
def test_a_specimen_is_only_in_its_state_if_the_database_says_so(
    specimen: Specimen, told: Told, lacks: str
) -> None:
    stage = drive.Stage("control", 0, (specimen,))
    assert drive.lacks(cast(Any, told), stage, specimen) == lacks


def test_the_runs_of_a_stage_that_is_over_stay_what_they_were() -> None:
    stage = drive.Stage("control", 0, (CONSUMER,))
    told = Told(None, {})
    told.answers[drive.ALL_RUNS] = [("first",)]
    stage.keep(cast(Any, told))
    told.answers[drive.ALL_RUNS] = [("first",), ("second",)]
    assert stage.runs(cast(Any, told), CONSUMER) == [("rehearsal_consumer", "first")]
    later = drive.Stage("upgraded", 1, (CONSUMER,), before=frozenset({"first"}))
    assert later.runs(cast(Any, told), CONSUMER) == [("rehearsal_consumer", "second")]
