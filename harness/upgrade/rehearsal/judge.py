"""What an upgrade did to a specimen: its outcome beside that of the same specimen that was not upgraded. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.upgrade.findings import Finding, Severity
from harness.upgrade.rehearsal.outcome import ENDED, Outcome, RunEnd
from harness.upgrade.rehearsal.specimens import Specimen

LARGEST = 2**53 - 1
"""The largest number that JavaScript holds exactly."""
SHOWN = 120
"""Characters of a value that a reason shows."""

UNREADABLE = "cannot be read"
"""What a specimen's task pushes in place of a value that it could not read."""

UNENDED = (
    "Let it end before the upgrade, or clear the task afterwards; look at the details for what it waits for."
)
RETRY = "Give the workers a longer grace period, or let such tasks end first; what they do has to bear a second try."
DOUBLED = "Make the task idempotent, or let it end before the upgrade."
LOST = "Let such runs end before the upgrade, or repeat by hand what they did not do."
VALUES = "Let runs whose later tasks read it end first, or push plain JSON values instead."
SMALL_IDS = "Set `serial_normalization` before the schema is made: docs/cockroachdb.md."
LOGS = (
    "Look at the log's place in S3: the connection `airflow_logging`, and the path that each version makes."
)
CONTROL = "Nothing can be said about the upgrade before it works without: look at the old image first."


def judge(
    specimen: Specimen,
    unready: str,
    control: Outcome,
    upgraded: Outcome,
    stuck: str = "",
    detail: str = "",
    check: str = "runs",
) -> list[Finding]:
    """Findings about one specimen; none: it survives.

    `unready` says why one of the two was not in its state before Airflow was stopped, `stuck` what the upgraded one
    still waited for when it was given up, `detail` more of that (import errors, the end of a log).
    """
    subject = f"{specimen.name} ({specimen.state})"

    def finding(severity: Severity, reason: str, advice: str, more: str = "") -> Finding:
        return Finding(severity, check, subject, reason, advice, detail=more)

    if unready:
        return [
            finding(
                Severity.UNKNOWN, f"it was not in its state before the upgrade: {unready}", CONTROL, detail
            )
        ]
    wrong = [run.state for run in control.runs if run.state != specimen.ends]
    if control.problem or wrong or not control.runs:
        told = control.problem or f"ended as {', '.join(wrong) or 'nothing'} instead of {specimen.ends}"
        return [finding(Severity.UNKNOWN, f"its control, which was not upgraded, {told}", CONTROL)]
    if upgraded.problem:
        return [finding(Severity.BREAKS, upgraded.problem, UNENDED, detail)]
    if len(upgraded.runs) != len(control.runs):
        reason = f"{len(upgraded.runs)} runs instead of {len(control.runs)}"
        return [finding(Severity.BREAKS, f"there are {reason}; {stuck}".rstrip("; "), UNENDED, detail)]
    return [
        finding(severity, reason, advice, detail if severity is Severity.BREAKS else "")
        for before, after in zip(control.runs, upgraded.runs, strict=True)
        for severity, reason, advice in differences(before, after, stuck)
    ]


def cause(words: str) -> str:
    """The last error that a log names; nothing, where it names none."""
    errors = re.findall(r"^.*?\b((?:[\w.]*(?:Error|Exception|Failure|Timeout))\b: .+)$", words, re.MULTILINE)
    return _short(errors[-1].strip()) if errors else ""


def warning(log: str, dag_id: str) -> str:
    """The scheduler's last warning that names a DAG, without when and where; nothing, where there is none."""
    said = [line for line in log.splitlines() if "[warning" in line and f"{dag_id}." in line]
    beside = r"^.*?\[warning\s*\]\s*|\s*\[airflow\S*\] loc=.*$| ti_id=[0-9a-f-]+"
    return re.sub(beside, "", said[-1]) if said else ""


def differences(before: RunEnd, after: RunEnd, stuck: str = "") -> Iterator[tuple[Severity, str, str]]:
    """What differs, with how bad it is and what to do; the consequences of a run that did not end well are left out."""
    unended = {name: task.state for name, task in after.tasks.items() if _differs(before, after, name)}
    if after.state != before.state:
        how = f"ended as {after.state}" if after.state in ENDED else f"never ended, and is {after.state}"
        tasks = ", ".join(f"{name} is {state or 'none'}" for name, state in unended.items())
        yield Severity.BREAKS, "; ".join(filter(None, (f"its run {how}", tasks, stuck))), UNENDED
        return
    for name in before.tasks.keys() - after.tasks.keys():
        yield Severity.BREAKS, f"task {name} is gone", LOST
    for name, state in unended.items():
        yield Severity.BREAKS, f"task {name} is {state or 'none'} instead of {_state(before, name)}", UNENDED
    for name in sorted(before.tasks.keys() & after.tasks.keys()):
        one, other = before.tasks[name].tries, after.tasks[name].tries
        if one != other:
            yield Severity.DEGRADES, f"task {name} took {other} tries instead of {one}", RETRY
    yield from xcoms(before.xcoms, after.xcoms)
    yield from effects(before.effects, after.effects)
    if lost := sorted(set(after.silent) - set(before.silent)):
        yield Severity.DEGRADES, f"the log of {', '.join(lost)} cannot be read", LOGS


def _differs(before: RunEnd, after: RunEnd, name: str) -> bool:
    return name not in before.tasks or before.tasks[name].state != after.tasks[name].state


def _state(run: RunEnd, name: str) -> str:
    return (run.tasks[name].state or "none") if name in run.tasks else "not there"


def xcoms(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[Severity, str, str]]:
    """Values that are gone, cannot be read, or are others."""
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield Severity.BREAKS, f"XCom {name} is gone", VALUES
        elif name not in before:
            yield Severity.DEGRADES, f"there is an XCom {name} that was not there", VALUES
        elif before[name] != after[name]:
            unreadable = UNREADABLE in str(after[name])
            severity = Severity.BREAKS if unreadable else Severity.DEGRADES
            place, one, other = _part(before[name], after[name])
            yield severity, f"XCom {name}{place} is {_json(other)} instead of {_json(one)}", VALUES


def _part(before: Any, after: Any, place: str = "") -> tuple[str, Any, Any]:
    """The innermost part of two values that holds all of their difference, and where it is."""
    inner: list[tuple[str, Any, Any]] = []
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        inner = [(f".{key}", before[key], after[key]) for key in before if before[key] != after[key]]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        inner = [
            (f"[{i}]", *pair) for i, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]
        ]
    if len(inner) == 1:
        step, one, other = inner[0]
        return _part(one, other, place + step)
    return place, before, after


def effects(before: Iterable[str], after: Iterable[str]) -> Iterator[tuple[Severity, str, str]]:
    """Side effects that did not happen, or happened more often."""
    one, other = Counter(before), Counter(after)
    for effect, times in sorted((one - other).items()):
        yield Severity.BREAKS, f"a side effect did not happen{_times(times)}: {_short(effect)}", LOST
    for effect, times in sorted((other - one).items()):
        yield Severity.DEGRADES, f"a side effect happened once more{_times(times)}: {_short(effect)}", DOUBLED


def _times(times: int) -> str:
    return f" ({times} times)" if times > 1 else ""


def _json(value: Any) -> str:
    return _short(json.dumps(value, default=repr, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def history(before: Mapping[str, Outcome], after: Mapping[str, Outcome]) -> list[Finding]:
    """What had ended before the upgrade, seen by the old version and by the new: states, XComs, logs."""
    findings = []
    for name, old in before.items():
        new = after.get(name, Outcome((), "was not looked at"))
        if new.problem or len(new.runs) != len(old.runs):
            reason = new.problem or f"{len(new.runs)} of its {len(old.runs)} runs are left"
            findings.append(Finding(Severity.BREAKS, "history", name, f"its ended run: {reason}", LOST))
            continue
        for one, other in zip(old.runs, new.runs, strict=True):
            told = RunEnd(other.state, other.tasks, other.xcoms, one.effects, other.silent)
            findings += [
                Finding(severity, "history", name, f"the run that had ended, shown anew: {reason}", advice)
                for severity, reason, advice in differences(one, told)
            ]
    silent = [task for old in before.values() for run in old.runs for task in run.silent]
    if silent:
        reason = f"the logs of {len(silent)} tasks cannot be read on the old version either"
        findings.append(Finding(Severity.NOTE, "history", "logs", reason, LOGS))
    return findings


@dataclass(frozen=True, slots=True)
class Shown:
    """What a version shows: the runs that its API tells, and the largest id of an event."""

    runs: frozenset[str]
    event: int


def shown(before: Shown, after: Shown) -> list[Finding]:
    """Runs that are not shown any more, and ids that the UI, which is JavaScript, cannot hold."""
    findings = []
    if missing := sorted(before.runs - after.runs):
        reason = f"{len(missing)} of {len(before.runs)} runs are not shown by the new version"
        findings.append(Finding(Severity.BREAKS, "history", "runs", reason, LOST, detail="\n".join(missing)))
    if before.event <= LARGEST < after.event:
        reason = f"ids have become too large for the UI, which rounds them: {after.event}"
        findings.append(Finding(Severity.DEGRADES, "history", "ids", reason, SMALL_IDS))
    return findings
