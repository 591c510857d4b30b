"""The rehearsal from its beginning to its end, as findings and rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from harness.environment import ContentSource, Environment, mask
from harness.prepare import Prepared
from harness.progress import Tracker
from harness.runtime.base import StartError
from harness.settings import StackSettings, new_stack_name
from harness.upgrade.findings import Finding, Row, Severity, Verdict, verdict
from harness.upgrade.rehearsal import drive, holds, judge, migration, stack
from harness.upgrade.rehearsal.drive import Stage
from harness.upgrade.rehearsal.observe import observe, patience, shown_by
from harness.upgrade.rehearsal.outcome import Outcome
from harness.upgrade.rehearsal.specimens import Hold, Selection, Specimen
from harness.waits import Deadline, WaitTimeout, eventually

T = TypeVar("T")

OWN_CONTENT = Path(__file__).parent / "content"
NOTICED_AFTER = timedelta(minutes=11)
"""More than Airflow waits for a task's heartbeat, or for a queued task's start."""
QUEUED = " is queued"
QUEUED_AGAIN = 3
"""How often a task may be queued in vain: Airflow queues it twice more, and then lets it fail."""
LATE_ADVICE = (
    "Nothing is lost, but such tasks wait for `[scheduler] task_queued_timeout`; clear them to be quicker."
)
QUIET = 12.0
SETTLES_WITHIN = 120

START_ADVICE = (
    "Read the component's last words, and correct its settings or content; or go back to the old database."
)
IMPORT_ADVICE = "Correct the DAG file so that it works on both versions, and push that before the upgrade."


LOSS = "rows that the new version has written"
LOSS_ADVICE = (
    f"What the new version did is left in the database {migration.LEFT}: which runs ended, and what they did outside, "
    "happens again from the state before the upgrade. Repeat by hand what people changed meanwhile."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is rehearsed: from `old` to `new`, with `content`, and these runs in flight."""

    old: Prepared
    new: Prepared
    content: ContentSource
    selection: Selection
    way: migration.Way
    stop: str
    """``all`` or ``ordered``: how the old version is stopped."""
    order: tuple[str, ...]
    """Instead, pods that are replaced one by one, in this order."""
    rollback: bool
    folder: Path


@dataclass
class Result:
    """What the rehearsal has found so far."""

    findings: list[Finding] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def overlay(selection: Selection) -> dict[str, str]:
    """The files of the rehearsal's own content and of the selection's folders, by path below content."""
    found = {}
    for folder in (OWN_CONTENT, *selection.folders):
        for part in ("dags", "plugins", "shared"):
            for path in sorted((folder / part).rglob("*.py")):
                found[str(path.relative_to(folder))] = path.read_text()
    return found


def rehearse(plan: Plan) -> Result:
    """Rehearse; whatever breaks is a finding. Nothing is left running. Raises `StartError` where the old image's stack
    cannot even be started, and `ContentError`."""
    rehearsal = _Rehearsal(plan)
    try:
        rehearsal.play()
    except StartError as error:
        raise StartError(mask(str(error), rehearsal.settings.secrets)) from None
    finally:
        rehearsal.end()
    rehearsal.result.findings = masked(rehearsal.result.findings, rehearsal.settings.secrets)
    return rehearsal.result


def masked(findings: Sequence[Finding], secrets: tuple[str, ...]) -> list[Finding]:
    """The same findings without the stack's secrets, which the words of components and tasks may have."""
    return [replace(f, reason=mask(f.reason, secrets), detail=mask(f.detail, secrets)) for f in findings]


class _Rehearsal:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.result = Result()
        self._stack = new_stack_name()
        self.settings = StackSettings.generate(self._stack)
        specimens = plan.selection.on(plan.old.line.name)
        self.control = Stage("control", 0, specimens)
        self.upgraded = Stage("upgraded", 1, specimens)
        self._env: Environment | None = None
        self._tracker: Tracker
        self._files: list[str] = []
        self._broken: set[str] = set()
        """DAG files that the old image cannot import either."""
        self._queued_again: set[str] = set()
        """Specimens with tasks that were queued, and that no worker was ever told of."""
        self._closed = False
        """Whether an exchange has begun that did not succeed."""

    @property
    def env(self) -> Environment:
        assert self._env is not None, "the stack was started"  # noqa: S101 - for the type checker
        return self._env

    def play(self) -> None:
        plan = self.plan
        names = f"{plan.old.topology.airflow} → {plan.new.topology.airflow}"
        with Tracker(f"Rehearsing {names}", 8 + 4 * plan.rollback) as self._tracker:
            self._step("boot the old image", self._boot)
            self._step("the control: bring it into every state", lambda: drive.bring(self.env, self.control))
            controls = self._step("the control: let it end", lambda: self._let_end(self.control))[0]
            self.control.keep(self.env)
            self._step("bring the runs into every state", lambda: drive.bring(self.env, self.upgraded))
            shown = shown_by(self.env)
            if not (self._step("replace pod after pod", self._roll) if plan.order else self._replace_all()):
                self._give_up(controls)
                return
            self._import_errors()
            ends, stuck = self._step("let the runs end", lambda: self._let_end(self.upgraded, killed=True))
            self._step("look at what had ended", lambda: self._history(controls, shown))
            self._judge(controls, ends, stuck)
            if plan.rollback:
                self._roll_back(controls)

    def _step(self, name: str, action: Callable[[], T]) -> T:
        with self._tracker.step(name):
            return action()

    def end(self) -> None:
        """Remove the stack, whatever it is in."""
        if self._env is not None and self._closed:
            self._env.runtime.remove()
        elif self._env is not None:
            self._env.stop(self.plan.folder)

    # ---- steps

    def _boot(self) -> None:
        content = stack.content_with(self.plan.content, overlay(self.plan.selection))
        self._env = Environment.start(
            self.plan.old, self.plan.folder, content, stack=self._stack, settings=self.settings
        )
        self._files = self._env.content.dag_files()
        stack.check_components(self._env)
        self._broken = set(self._env.airflow.import_errors())

    def _let_end(self, stage: Stage, killed: bool = False) -> tuple[dict[str, Outcome], dict[str, str]]:
        """Release the stage's runs, and wait for their ends. Outcomes, and what those that are stuck wait for.

        With `killed`, Airflow gets the time to notice what the stop has killed, and what it has queued in vain.
        """
        stuck = drive.release(self.env, stage)
        if killed:
            self._notice_deaths()
        waiting = drive.finish(self.env, stage)
        for _ in range(QUEUED_AGAIN if killed else 0):
            queued = {name for name, why in waiting.items() if QUEUED in why}
            if not queued:
                break
            self._queued_again |= queued
            self.env.clock.advance(NOTICED_AFTER)
            waiting = drive.finish(self.env, stage)
        stuck |= {name: why for name, why in waiting.items() if name not in stuck}
        return self._observe(stage), stuck

    def _observe(self, stage: Stage) -> dict[str, Outcome]:
        logs = patience()
        return {
            s.name: observe(self.env, stage.runs(self.env, s), logs, self._ignored(s))
            for s in stage.specimens
        }

    def _ignored(self, specimen: Specimen) -> tuple[str, ...]:
        """The XComs that cannot be compared."""
        same = self.plan.old.line.name == self.plan.new.line.name
        return (*specimen.differing, *(() if same else specimen.told_otherwise))

    def _notice_deaths(self) -> None:
        """Once nothing moves any more, jump to when Airflow notices what the stop has killed."""
        seen: list[object] = [None]
        quiet = Deadline.after(QUIET)

        def still() -> bool:
            nonlocal quiet
            now = self.env.database.rows(drive.STATES)
            if now != seen[0]:
                seen[0], quiet = now, Deadline.after(QUIET)
            return quiet.passed

        with contextlib.suppress(WaitTimeout):
            eventually(still, "nothing to move", SETTLES_WITHIN)
        self.env.clock.advance(NOTICED_AFTER)

    def _stop(self) -> None:
        stack.stop_airflow(self.env, self._groups(), self._open_late_gates)

    def _open_late_gates(self, worker: str) -> None:
        for specimen in self.upgraded.specimens:
            if specimen.hold is Hold.LATE_GATE:
                holds.open_in(self.env.runtime, worker, self.upgraded.run_id(specimen))

    def _groups(self) -> Sequence[Sequence[str]]:
        names = [pod.name for pod in self.env.topology.pods]
        if self.plan.stop == "all":
            return [names]
        workers = [name for name in names if name.startswith("worker")]
        last = self.env.line.api_server
        first = [name for name in names if name not in (*workers, last)]
        return [first, workers, [last]]

    def _replace_all(self) -> bool:
        self._step("stop Airflow", self._stop)
        return self._step("migrate, boot the new image", self._upgrade)

    def _roll(self) -> bool:
        """Replace the pods in the plan's order; no migration, as a minor version has one schema."""
        new = stack.patient(self.plan.new)
        return self._change(
            lambda: stack.roll(
                self.env, new, self.plan.folder, self._files, self.plan.order, self._open_late_gates
            ),
            new,
            "start",
        )

    def _upgrade(self) -> bool:
        """Migrate and start the new pods; False, and a finding, where that fails."""
        env, plan = self.env, self.plan
        return self._exchange(
            plan.new, lambda: migration.migrate(env.runtime, env.settings, plan.new, plan.way), "start"
        )

    def _exchange(self, other: Prepared, between: Callable[[], None], check: str) -> bool:
        patient = stack.patient(other)
        return self._change(
            lambda: stack.exchange(self.env, patient, self.plan.folder, self._files, between), other, check
        )

    def _change(self, change: Callable[[], Environment], other: Prepared, check: str) -> bool:
        """Take the environment that `change` makes; False, and a finding, where it fails."""
        self._closed = True
        try:
            self._env = change()
        except migration.MigrationError as error:
            self._finding(Severity.BREAKS, "migration", self.plan.way, error, migration.ADVICE[self.plan.way])
            return False
        except StartError as error:
            subject = f"Airflow {other.topology.airflow}"
            self._finding(Severity.BREAKS, check, subject, error, START_ADVICE)
            return False
        self._closed = False
        return True

    def _finding(self, severity: Severity, check: str, subject: str, error: Exception, advice: str) -> None:
        lines = str(error).strip().splitlines()
        detail = "\n".join(lines)
        self.result.findings.append(Finding(severity, check, subject, lines[0], advice, detail=detail))

    def _import_errors(self) -> None:
        for name, trace in self.env.airflow.import_errors().items():
            if name in self._broken:
                continue
            last = trace.strip().splitlines()[-1] if trace.strip() else "no reason"
            where = f"dags/{name.rpartition('dags/')[2]}"  # Airflow 2 has the whole path
            reason = f"the new image cannot import it: {last}"
            self.result.findings.append(
                Finding(Severity.BREAKS, "start", where, reason, IMPORT_ADVICE, (where,), trace)
            )

    def _history(self, controls: dict[str, Outcome], before: judge.Shown) -> None:
        seen = self._observe(self.control)
        self.result.findings += judge.history(controls, seen)
        self.result.findings += judge.shown(before, shown_by(self.env))

    def _judge(self, controls: dict[str, Outcome], ends: dict[str, Outcome], stuck: dict[str, str]) -> None:
        for specimen in self.upgraded.specimens:
            control, end = controls[specimen.name], ends[specimen.name]
            unready = self.upgraded.unready.get(specimen.name) or self.control.unready.get(specimen.name, "")
            detail = self._detail(specimen) if end != control else ""
            why = stuck.get(specimen.name, "") or judge.cause(detail)
            if specimen.name in self._queued_again:
                warned = judge.warning(self.env.runtime.logs("scheduler"), specimen.dag_id)
                why = "; ".join(filter(None, (why, warned)))
            found = judge.judge(specimen, unready, control, end, why, detail)
            found += self._lateness(specimen, found, "runs")
            self.result.findings += found
            self.result.rows.append(
                Row(specimen.name, specimen.state, control.summary, end.summary, verdict(found))
            )

    def _lateness(self, specimen: Specimen, found: Sequence[Finding], check: str) -> list[Finding]:
        """What to say of a specimen that was late, and is otherwise well."""
        if specimen.name not in self._queued_again or verdict(found) is Verdict.BREAKS:
            return []
        subject = f"{specimen.name} ({specimen.state})"
        reason = "a task was queued in vain, and again when Airflow noticed that after ten minutes"
        return [Finding(Severity.DEGRADES, check, subject, reason, LATE_ADVICE)]

    def _detail(self, specimen: Specimen) -> str:
        """The last words of the tasks that have failed."""
        told = []
        for key in self.upgraded.runs(self.env, specimen):
            with contextlib.suppress(Exception):
                told.append(self.env.airflow.run(*key).explain())
        return "\n".join(told)

    def _give_up(self, controls: dict[str, Outcome]) -> None:
        """The new version never came up: no run goes on."""
        for specimen in self.upgraded.specimens:
            gone = Outcome((), "the new version did not come up")
            found = judge.judge(
                specimen, self.upgraded.unready.get(specimen.name, ""), controls[specimen.name], gone
            )
            self.result.rows.append(
                Row(
                    specimen.name,
                    specimen.state,
                    controls[specimen.name].summary,
                    "not started",
                    verdict(found),
                )
            )
        # The finding of what broke tells all of it.

    def _roll_back(self, controls: dict[str, Outcome]) -> None:
        """Put the old database back under the old image, and let the same runs end again."""
        self._step(
            "stop the new version", lambda: stack.stop_airflow(self.env, self._groups(), lambda worker: None)
        )
        done = [s for s in self.upgraded.specimens if drive.ended(self.env, self.upgraded, s)]
        if not self._step("restore the database, boot the old image", lambda: self._restore(done)):
            return
        self._queued_again.clear()
        ends, stuck = self._step("let the runs end again", lambda: self._let_end(self.upgraded, killed=True))
        for place, specimen in enumerate(self.upgraded.specimens):
            name = specimen.name
            unready = self.upgraded.unready.get(name, "")
            found = judge.judge(
                specimen, unready, controls[name], ends[name], stuck.get(name, ""), check="rollback"
            )
            self.result.findings += [*found, *self._lateness(specimen, found, "rollback")]
            self.result.rows[place] = replace(self.result.rows[place], after_rollback=ends[name].summary)

    def _restore(self, done: Sequence[Specimen]) -> bool:
        """The old database and image; `done` had ended on the new version, and begin again where they were."""
        env = self.env

        def restore() -> None:
            migration.go_back(env.runtime)
            counts = ", ".join(f"{count} {table}" for table, count in migration.lost(env.runtime).items())
            reason = f"{LOSS} ({counts}); {len(done)} runs that had ended go on again from before the upgrade"
            detail = "\n".join(f"{s.dag_id} ({s.state})" for s in done)
            self.result.findings.append(
                Finding(Severity.NOTE, "rollback", "what is lost", reason, LOSS_ADVICE, detail=detail)
            )

        return self._exchange(self.plan.old, restore, "rollback")
