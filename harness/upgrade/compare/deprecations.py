"""Deprecations that content is told of under the new image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.upgrade.compare.common import places, readable, uses_by_name
from harness.upgrade.facts import ContentFacts, Facts
from harness.upgrade.findings import Finding, Severity

CHECK = "deprecations"


def compare(old: Facts, new: Facts) -> Iterator[Finding]:
    """One finding a message. One that the old image tells as well is a note: it is not the upgrade's."""
    before = _messages(old["content"])
    for (category, message), told in _told(new).items():
        is_new = (category, message) not in before
        remark = "" if told.taken else " (by an import that is conditional)"
        yield Finding(
            Severity.DEGRADES if is_new and told.taken else Severity.NOTE,
            CHECK,
            told.subject,
            message + (remark if is_new else " (on the old image, too)"),
            "It still works; use what the message names before the next upgrade.",
            tuple(sorted(told.where)),
        )


@dataclass
class Told:
    """One message: what it is about, where in content it comes from, and whether content surely goes there."""

    subject: str
    where: set[str] = field(default_factory=set)
    taken: bool = False


def _told(new: Facts) -> dict[tuple[str, str], Told]:
    """Messages by category and text: of content's imports one by one, and of its modules and DAGs."""
    users = uses_by_name(new)
    found: dict[tuple[str, str], Told] = {}
    for what, result in new["content"]["imports"].items():
        uses = users.get(what, [])
        for warned in result["warnings"]:
            told = found.setdefault((warned["category"], warned["message"]), Told(readable(what)))
            told.where.update(places(uses))
            told.taken |= not all(use["guarded"] for use in uses)
    for warned in new["content"]["warnings"]:
        told = found.setdefault((warned["category"], warned["message"]), Told(warned["category"]))
        told.where.update({warned["where"]} - {""})
        told.taken = True
    return found


def _messages(content: ContentFacts) -> set[tuple[str, str]]:
    told = [*content["warnings"], *(w for i in content["imports"].values() for w in i["warnings"])]
    return {(warned["category"], warned["message"]) for warned in told}
