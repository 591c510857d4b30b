"""What changed in the classes of Airflow and its providers that content imports."""

from __future__ import annotations

from collections.abc import Iterator

from harness.upgrade.compare.common import major, places, readable, uses_by_name
from harness.upgrade.facts import ClassFacts, Facts, Use
from harness.upgrade.findings import Finding, Severity

CHECK = "providers"


def compare(old: Facts, new: Facts) -> Iterator[Finding]:
    """Constructors and attributes of those classes, and the versions of the providers that have them."""
    users = uses_by_name(old)
    for what, uses in users.items():
        before, after = old["content"]["imports"].get(what), new["content"]["imports"].get(what)
        if before and after and before["cls"] and after["cls"] and not after["error"]:
            yield from _class(readable(what), before["cls"], after["cls"], uses)
            if before["lives"] != after["lives"]:
                yield Finding(
                    Severity.NOTE,
                    CHECK,
                    readable(what),
                    f"is defined elsewhere now: {before['lives']} → {after['lives']}",
                    where=places(uses),
                )
    yield from _versions(old, new, users)


def _class(name: str, old: ClassFacts, new: ClassFacts, uses: list[Use]) -> Iterator[Finding]:
    passed = {keyword for use in uses for keyword in use["keywords"]}
    where = places(uses)
    for parameter in sorted(old["parameters"].keys() - new["parameters"].keys()):
        if parameter in passed:
            yield Finding(
                Severity.DEGRADES if new["open"] else Severity.BREAKS,
                CHECK,
                name,
                f"takes no {parameter} any more, which content passes",
                "See the provider's changes for what replaces it.",
                where,
            )
    for parameter, default in sorted(new["parameters"].items()):
        was = old["parameters"].get(parameter)
        if parameter in passed or was == default:
            continue
        if default == "required" and passed:
            yield Finding(
                Severity.BREAKS,
                CHECK,
                name,
                f"needs {parameter} now, which content does not pass by name",
                "Pass it.",
                where,
            )
        elif was is not None and passed:
            yield Finding(
                Severity.DEGRADES,
                CHECK,
                name,
                f"has another default for {parameter}: {was} → {default}",
                "Pass the former value, if content depends on it.",
                where,
            )
    used = {attribute for use in uses for attribute in use["attributes"]}
    for attribute in sorted(set(old["attributes"]) - set(new["attributes"])):
        if attribute in used:
            yield Finding(
                Severity.DEGRADES,
                CHECK,
                name,
                f"has no {attribute} any more, and files of content that import it use an attribute of that name",
                "Look whether it is this class's.",
                where,
            )


def _versions(old: Facts, new: Facts, users: dict[str, list[Use]]) -> Iterator[Finding]:
    before, after = old["distributions"], new["distributions"]
    used: dict[str, list[Use]] = {}
    for what, uses in users.items():
        if name := provider(what, before):
            used.setdefault(name, []).extend(uses)
    for name, uses in sorted(used.items()):
        if name in after and before[name] != after[name]:
            another = ", another major version" if major(before[name]) != major(after[name]) else ""
            yield Finding(
                Severity.NOTE,
                CHECK,
                name,
                f"{before[name]} → {after[name]}{another}; content imports it",
                "Read its changes." if another else "",
                places(uses),
            )


def provider(what: str, distributions: dict[str, str]) -> str:
    """The provider's distribution that has the module; empty where it is none's."""
    parts = what.partition(":")[0].split(".")
    if parts[:2] != ["airflow", "providers"]:
        return ""
    for length in (4, 3):
        name = "-".join(["apache-airflow-providers", *parts[2:length]]).replace("_", "-")
        if name in distributions:
            return name
    return ""
