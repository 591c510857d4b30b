"""Imports and modules of content that work on the old image and not on the new one."""

from __future__ import annotations

from collections.abc import Iterator

from harness.upgrade.compare import dependencies
from harness.upgrade.compare.common import last_line, places, readable, uses_by_name
from harness.upgrade.facts import Facts
from harness.upgrade.findings import Finding, Severity

CHECK = "imports"


def compare(old: Facts, new: Facts) -> Iterator[Finding]:
    """Failures that are new; what is explained by a distribution that went is left to `dependencies`."""
    told = {f.subject for f in dependencies.compare(old, new) if f.severity is Severity.BREAKS}
    causes = set()
    users = uses_by_name(old)
    for what, after in new["content"]["imports"].items():
        before = old["content"]["imports"].get(what)
        if not after["error"] or before is None or before["error"]:
            continue
        causes.add(after["error"])
        uses = users[what]
        if told & set(old["modules"].get(dependencies.top_level(uses[0]), ())):
            continue
        guarded = all(use["guarded"] for use in uses)
        yield Finding(
            Severity.NOTE if guarded else Severity.BREAKS,
            CHECK,
            readable(what),
            after["error"] + (" (content is prepared: the import is conditional)" if guarded else ""),
            _advice(what, before["lives"], new),
            places(uses),
        )
    for file, error in new["content"]["modules"].items():
        if error and not old["content"]["modules"].get(file) and last_line(error) not in causes:
            yield Finding(
                Severity.BREAKS,
                CHECK,
                file,
                f"cannot be imported: {last_line(error)}",
                "Mend it; the full error follows.",
                (file,),
                error,
            )


def _advice(what: str, lived: str, new: Facts) -> str:
    name = what.partition(":")[2]
    others = sorted(
        readable(other)
        for other, result in new["content"]["imports"].items()
        if name and other.partition(":")[2] == name and not result["error"]
    )
    if others:
        return f"Import it from where it is on the new image: {', '.join(others)}."
    hint = f" It was defined in {lived}." if lived else ""
    return (
        f"Find its new place in the release notes, and import it conditionally while both versions run.{hint}"
    )
