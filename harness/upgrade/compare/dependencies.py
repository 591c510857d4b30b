"""Distributions that came, went or changed, and whether content imports what went."""

from __future__ import annotations

from collections.abc import Iterator

from harness.upgrade.compare.common import lines, major, places
from harness.upgrade.facts import Facts, Use
from harness.upgrade.findings import Finding, Severity

CHECK = "dependencies"


def compare(old: Facts, new: Facts) -> Iterator[Finding]:
    """One finding for each distribution that went and that content imports; the others are told together."""
    before, after = old["distributions"], new["distributions"]
    gone = sorted(before.keys() - after.keys())
    used = users(old)
    for name in gone:
        if lost := [use for use in used.get(name, ()) if not _elsewhere(use, new)]:
            yield _lost(name, before[name], new, lost)
    changed = {n: f"{before[n]} → {v}" for n, v in after.items() if n in before and before[n] != v}
    majors = {n: text for n, text in changed.items() if major(before[n]) != major(after[n])}
    for name in sorted(majors.keys() & used.keys()):
        yield Finding(
            Severity.NOTE,
            CHECK,
            name,
            f"{majors[name]} is another major version, and content imports it",
            "Read its changes; the imports and DAGs of content were tried with it.",
            places(used[name]),
        )
    groups = (
        ("another major version", majors),
        ("changed", {n: t for n, t in changed.items() if n not in majors}),
        ("added", {n: after[n] for n in after.keys() - before.keys()}),
        ("removed", {n: before[n] for n in gone}),
    )
    for title, group in groups:
        if group:
            yield Finding(Severity.NOTE, CHECK, title, f"{len(group)} distributions", detail=lines(group))
    if major_minor(old["python"]) != major_minor(new["python"]):
        yield Finding(
            Severity.NOTE,
            CHECK,
            "python",
            f"Python {old['python']} → {new['python']}",
            "Run content's unit tests with it.",
        )


def users(facts: Facts) -> dict[str, list[Use]]:
    """Content's imports by the distributions that have the module."""
    found: dict[str, list[Use]] = {}
    for use in facts["content"]["uses"]:
        for name in facts["modules"].get(top_level(use), ()):
            if name in _owners(use, facts):
                found.setdefault(name, []).append(use)
    return found


def top_level(use: Use) -> str:
    return use["what"].partition(":")[0].partition(".")[0]


def _owners(use: Use, facts: Facts) -> list[str]:
    """Namespaces such as ``airflow`` and ``google`` belong to many: then nobody is known to have this module."""
    owners = facts["modules"].get(top_level(use), [])
    return owners if len(owners) == 1 else []


def _elsewhere(use: Use, new: Facts) -> bool:
    """Whether the new image can do the import all the same."""
    done = new["content"]["imports"].get(use["what"])
    return done is not None and not done["error"]


def _lost(name: str, version: str, new: Facts, lost: list[Use]) -> Finding:
    guarded = all(use["guarded"] for use in lost)
    return Finding(
        Severity.NOTE if guarded else Severity.BREAKS,
        CHECK,
        name,
        f"{name} {version} is not in the new image (Airflow {new['airflow']}), and content imports it"
        + (", prepared for its absence" if guarded else ""),
        "Add it to the new image's lock, or do without it in content.",
        places(lost),
    )


def major_minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
