"""What the comparisons share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.upgrade.facts import Facts, Use


def uses_by_name(facts: Facts) -> dict[str, list[Use]]:
    """Content's imports by what they import (``module:name``)."""
    found: dict[str, list[Use]] = {}
    for use in facts["content"]["uses"]:
        found.setdefault(use["what"], []).append(use)
    return found


def places(uses: Iterable[Use]) -> tuple[str, ...]:
    return tuple(sorted({use["where"] for use in uses}))


def readable(what: str) -> str:
    """``module:name`` as one writes it."""
    return what.replace(":", ".").rstrip(".")


def major(version: str) -> str:
    """What comes before the first dot; of an epoch or a year as well."""
    return version.partition(".")[0]


def last_line(error: str) -> str:
    """The line of a trace that says what was the matter."""
    return error.strip().splitlines()[-1].strip() if error.strip() else ""


def lines(pairs: Mapping[str, str]) -> str:
    """A list for `Finding.detail`, sorted."""
    return "\n".join(f"{name}: {text}" for name, text in sorted(pairs.items()))
