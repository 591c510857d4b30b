"""DAG import, DAG by DAG: errors, DAGs and tasks that went, and whether what is stored can still be read."""

from __future__ import annotations

from collections.abc import Iterator

from harness.upgrade.compare.common import last_line
from harness.upgrade.facts import Answers, DagFacts, Facts
from harness.upgrade.findings import Finding, Severity

CHECK = "dags"


def compare(old: Facts, new: Facts, answers: Answers) -> Iterator[Finding]:
    """Errors that are new with their traces; a file that fails on both images is noted only."""
    before, after = old["content"], new["content"]
    for file, error in after["dag_errors"].items():
        is_new = file not in before["dag_errors"]
        yield Finding(
            Severity.BREAKS if is_new else Severity.NOTE,
            CHECK,
            file,
            f"cannot be imported: {last_line(error)}" + ("" if is_new else " (nor on the old image)"),
            "Mend it; the full error follows." if is_new else "What the upgrade does to its DAGs is unknown.",
            (file,),
            error,
        )
    for dag_id, dag in before["dags"].items():
        if dag_id in after["dags"]:
            yield from _changed(dag_id, dag, after["dags"][dag_id], answers.get("dags", {}).get(dag_id, ""))
        elif dag["file"] not in after["dag_errors"]:
            yield Finding(
                Severity.BREAKS,
                CHECK,
                dag_id,
                "does not exist any more; its file is imported without an error",
                "Look for what the file does depending on the version.",
                (dag["file"],),
            )


def _changed(dag_id: str, old: DagFacts, new: DagFacts, unreadable: str) -> Iterator[Finding]:
    where = (new["file"],)
    if lost := sorted(old["tasks"].keys() - new["tasks"].keys()):
        yield Finding(
            Severity.BREAKS,
            CHECK,
            dag_id,
            f"loses {len(lost)} of its tasks; runs in flight lose them, too",
            "Keep the ids of tasks over the upgrade.",
            where,
            "\n".join(lost),
        )
    if new["unserializable"] and not old["unserializable"]:
        yield Finding(
            Severity.BREAKS,
            CHECK,
            dag_id,
            f"cannot be stored: {last_line(new['unserializable'])}",
            "Mend it; the full error follows.",
            where,
            new["unserializable"],
        )
    if unreadable:
        yield Finding(
            Severity.BREAKS,
            CHECK,
            dag_id,
            f"as the old version has stored it, the new one cannot read it: {unreadable}",
            "Runs in flight need it: let them end before the upgrade.",
            where,
        )
    moved = {t: c for t, c in new["tasks"].items() if old["tasks"].get(t, c) != c}
    if moved:
        yield Finding(
            Severity.NOTE,
            CHECK,
            dag_id,
            f"{len(moved)} tasks have operators of another class path",
            where=where,
            detail="\n".join(f"{task}: {old['tasks'][task]} → {cls}" for task, cls in sorted(moved.items())),
        )
