"""Settings of the pods whose keys went, moved or are refused, and defaults that changed under the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.upgrade.compare.common import lines
from harness.upgrade.facts import Facts
from harness.upgrade.findings import Finding, Severity

CHECK = "configuration"
PREFIX = "AIRFLOW__"
INDIRECT = ("_CMD", "_SECRET")
"""Suffixes of variables that say where the value is, instead of the value."""


def variable(name: str) -> str:
    """The environment variable of ``section.key``."""
    section, _, key = name.rpartition(".")
    return f"{PREFIX}{section.replace('.', '_').upper()}__{key.upper()}"


def compare(old: Facts, new: Facts, settings: Mapping[str, str]) -> Iterator[Finding]:
    """`settings` are environment variables with values; those that are no setting of Airflow do not matter."""
    before, after = old["configuration"], new["configuration"]
    known = {variable(n): n for n in (*before["renamed"], *before["options"])}
    set_ = set()
    for name in sorted(n for n in settings if n.startswith(PREFIX)):
        option = known.get(name) or next(
            (known[name.removesuffix(s)] for s in INDIRECT if name.removesuffix(s) in known), ""
        )
        set_.add(option)
        if option:
            yield from _one(name, option, settings[name], old, new)
    untouched = before["options"].keys() - set_
    defaults = {
        n: f"{before['options'][n]!r} → {after['options'][n]!r}"
        for n in untouched & after["options"].keys()
        if before["options"][n] != after["options"][n]
    }
    went = {n: after["removed"].get(n, "") for n in untouched - after["options"].keys()}
    added = {n: repr(after["options"][n]) for n in after["options"].keys() - before["options"].keys()}
    for title, group, advice in (
        ("defaults", defaults, "Set the former value where production depends on it."),
        ("options that went", went, "Nothing sets them."),
        ("new options", added, ""),
    ):
        if group:
            yield Finding(Severity.NOTE, CHECK, title, f"{len(group)} changed", advice, detail=lines(group))


def _one(name: str, option: str, value: str, old: Facts, new: Facts) -> Iterator[Finding]:
    before, after = old["configuration"], new["configuration"]
    refused, suggestion = after["invalid"].get(option, ["", ""])
    if refused and value == refused and before["invalid"].get(option, [""])[0] != value:
        yield Finding(Severity.BREAKS, CHECK, name, f"may not be {value!r} any more", suggestion)
    elif option in after["options"]:
        return
    elif option in after["renamed"]:
        is_new = option not in before["renamed"]
        yield Finding(
            Severity.DEGRADES if is_new else Severity.NOTE,
            CHECK,
            name,
            f"{option} is called {after['renamed'][option]}; the former name is still read, with a warning"
            + ("" if is_new else ", as by the old version"),
            f"Set {variable(after['renamed'][option])} instead.",
        )
    elif option in after["moved"]:
        yield Finding(
            Severity.BREAKS,
            CHECK,
            name,
            f"{option} is called {after['moved'][option]}, and the former name is not read any more",
            f"Set {variable(after['moved'][option])} instead.",
        )
    else:
        suggestion = after["removed"].get(option, "")
        yield Finding(
            Severity.DEGRADES,
            CHECK,
            name,
            f"{option} is gone; the setting has no effect any more",
            suggestion or "Remove it, and look for what replaces it in the release notes.",
        )
