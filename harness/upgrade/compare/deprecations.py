"""Deprecations that content is told of under the new image."""

from __future__ import annotations

from collections.abc import Iterator

from harness.upgrade.compare.common import places, readable, uses_by_name
from harness.upgrade.facts import ContentFacts, Facts
from harness.upgrade.findings import Finding, Severity

CHECK = "deprecations"


def compare(old: Facts, new: Facts) -> Iterator[Finding]:
    """One finding a message. One that the old image tells as well is a note: it is not the upgrade's."""
    users = uses_by_name(new)
    before = _messages(old["content"])
    found: dict[tuple[str, str], tuple[set[str], str]] = {}
    for what, result in new["content"]["imports"].items():
        for warned in result["warnings"]:
            where, _ = found.setdefault((warned["category"], warned["message"]), (set(), readable(what)))
            where.update(places(users.get(what, ())))
    for warned in new["content"]["warnings"]:
        where, _ = found.setdefault((warned["category"], warned["message"]), (set(), warned["category"]))
        where.update({warned["where"]} - {""})
    for (category, message), (where, subject) in found.items():
        is_new = (category, message) not in before
        yield Finding(
            Severity.DEGRADES if is_new else Severity.NOTE,
            CHECK,
            subject,
            message + ("" if is_new else " (on the old image, too)"),
            "It still works; use what the message names before the next upgrade.",
            tuple(sorted(where)),
        )


def _messages(content: ContentFacts) -> set[tuple[str, str]]:
    told = [*content["warnings"], *(w for i in content["imports"].values() for w in i["warnings"])]
    return {(warned["category"], warned["message"]) for warned in told}
