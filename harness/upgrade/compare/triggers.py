"""Triggers that runs in flight may be waiting in: a triggerer loads them by their class path and stored keywords."""

from __future__ import annotations

from collections.abc import Iterator

from harness.upgrade.compare.common import lines
from harness.upgrade.facts import Answers, Facts, Questions, TriggerFacts
from harness.upgrade.findings import Finding, Severity

CHECK = "triggers"


def stored(old: Facts) -> dict[str, TriggerFacts]:
    """Every class path that a trigger of content, Airflow or a provider could be stored under, with its class."""
    classes = {**old["triggers"], **old["content"]["triggers"]}
    found = {path: cls for cls in classes.values() for path in cls["stored_as"]}
    return found | {path: cls for path, cls in classes.items() if path in found}


def used(old: Facts) -> set[str]:
    """Class paths that content's own tasks can wait in: its triggers, and those of the classes that it imports."""
    found = {path for cls in old["content"]["triggers"].values() for path in cls["stored_as"]}
    for what, result in old["content"]["imports"].items():
        found.update(result["cls"]["triggers"] if result["cls"] else ())
        found.update({result["lives"], what.replace(":", ".")})
    return found & stored(old).keys()


def questions(old: Facts, new: Facts) -> Questions:
    """What only the new image can answer: whether what content uses, and what its source lacks, can be imported."""
    return {
        "classes": sorted(used(old) | (stored(old).keys() - new["triggers"].keys())),
        "dags": {i: dag["serialized"] for i, dag in old["content"]["dags"].items() if dag["serialized"]},
    }


def compare(old: Facts, new: Facts, answers: Answers) -> Iterator[Finding]:
    """What content uses is told one by one, and breaks; the others are noted together."""
    after = {**new["triggers"], **new["content"]["triggers"]}
    ours = used(old)
    others: dict[str, str] = {}
    for path, cls in sorted(stored(old).items()):
        error = answers["classes"].get(path, "")
        problem = f"cannot be imported: {error}" if error else _refused(cls, after.get(path))
        if not problem:
            continue
        if path not in ours:
            others[path] = problem
            continue
        yield Finding(Severity.BREAKS, CHECK, path, problem, _advice(path, bool(error), after))
    if others:
        yield Finding(
            Severity.NOTE,
            CHECK,
            "triggers that content does not use",
            f"{len(others)} could not be taken over",
            "They matter if other content used them.",
            detail=lines(others),
        )


def _refused(old: TriggerFacts, new: TriggerFacts | None) -> str:
    """Why the new class cannot be made of what the old one stored; empty when it can, or when that is unknown."""
    if new is None or old["stores"] is None or new["parameters"] is None:
        return ""
    surplus = [] if new["open"] else sorted(set(old["stores"]) - set(new["parameters"]))
    lacking = sorted(set(new["required"]) - set(old["stores"]))
    problems = [f"takes no {name}, which is stored" for name in surplus]
    problems += [f"needs {name}, which is not stored" for name in lacking]
    return "; ".join(problems)


def _advice(path: str, gone: bool, after: dict[str, TriggerFacts]) -> str:
    end = "Let tasks that wait in it end before the upgrade"
    if not gone:
        return f"{end}, or let the constructor take what was stored."
    name = path.rpartition(".")[2]
    moved = sorted(other for other in after if other.rpartition(".")[2] == name and other != path)
    hint = f" It seems to have moved to {', '.join(moved)}." if moved else ""
    return f"{end}, or keep a module at the former path that imports the class.{hint}"
