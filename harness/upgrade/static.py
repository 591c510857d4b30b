"""The static half: facts of both images, side by side, then every comparison."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from harness.progress import Tracker
from harness.upgrade import air_rules, collect
from harness.upgrade.compare import (
    configuration,
    dags,
    dependencies,
    deprecations,
    imports,
    providers,
    schema,
    triggers,
)
from harness.upgrade.facts import Answers, Facts, FactsError
from harness.upgrade.findings import CHECKS, Assessment, Finding, Severity, Side
from harness.upgrade.snapshot import Snapshot

NO_ANSWERS = Answers(classes={}, dags={})

SECTIONS: dict[str, tuple[str, ...]] = {
    "dependencies": ("distributions", "modules", "content"),
    "providers": ("content", "distributions"),
    "imports": ("content", "distributions", "modules"),
    "dags": ("content",),
    "configuration": ("configuration",),
    "deprecations": ("content",),
    "triggers": ("triggers", "content"),
    "schema": ("schema",),
}
"""What each comparison reads of the facts: without it, it cannot tell anything."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the upgrade: as the user named it, its reference, its id."""

    asked: str
    reference: str
    id: str


def assess(
    old: Image, new: Image, content: Snapshot, settings: Mapping[str, str], fresh: bool = False
) -> Assessment:
    """Look at the upgrade of `content` between two images that are on the engine. Shows its progress.

    `settings` are the environment variables of the pods. What cannot be looked at becomes a finding; raises
    `FactsError` when an image tells nothing at all.
    """
    began = time.monotonic()
    with (
        Tracker(f"Comparing {old.asked} with {new.asked}", 4) as tracker,
        ThreadPoolExecutor(max_workers=3) as pool,
    ):

        def facts(image: Image) -> Facts:
            with tracker.step(f"facts of {image.reference}"):
                return collect.facts(image.reference, image.id, content, fresh)

        def rules() -> list[air_rules.Violation] | str:
            with tracker.step("ruff's AIR rules"):
                try:
                    return air_rules.look(content)
                except (OSError, ValueError) as error:
                    return str(error)

        before, after, violations = pool.submit(facts, old), pool.submit(facts, new), pool.submit(rules)
        old_facts, new_facts = before.result(), after.result()
        with tracker.step(f"what the old version stored, read by {new.reference}"):
            answered = ask(new, content, old_facts, new_facts, fresh)
    findings = [
        *compare(old_facts, new_facts, answered, settings),
        *rule_findings(violations.result(), old_facts["airflow"], new_facts["airflow"]),
    ]
    return Assessment(
        side(old, old_facts),
        side(new, new_facts),
        content.name,
        tuple(findings),
        seconds=round(time.monotonic() - began, 1),
    )


def ask(new: Image, content: Snapshot, old_facts: Facts, new_facts: Facts, fresh: bool) -> Answers | str:
    """Answers to what only the new image can tell; its words when it does not."""
    asked = triggers.questions(old_facts, new_facts)
    if not (asked["classes"] or asked["dags"]):
        return NO_ANSWERS
    try:
        return collect.answers(new.reference, new.id, content, asked, fresh)
    except FactsError as error:
        return str(error)


def rule_findings(found: list[air_rules.Violation] | str, old: str, new: str) -> Iterable[Finding]:
    if isinstance(found, str):
        return [_unknown("air-rules", "ruff", found, "Install the project's environment: scripts/bootstrap.")]
    return air_rules.judge(found, old, new)


def compare(old: Facts, new: Facts, answered: Answers | str, settings: Mapping[str, str]) -> list[Finding]:
    """Findings of all comparisons; one that lacks a section on either side is an unknown instead. Pure."""
    answers = NO_ANSWERS if isinstance(answered, str) else answered
    comparisons: dict[str, Callable[[], Iterable[Finding]]] = {
        "dependencies": lambda: dependencies.compare(old, new),
        "providers": lambda: providers.compare(old, new),
        "imports": lambda: imports.compare(old, new),
        "dags": lambda: dags.compare(old, new, answers),
        "configuration": lambda: configuration.compare(old, new, settings),
        "deprecations": lambda: deprecations.compare(old, new),
        "triggers": lambda: triggers.compare(old, new, answers),
        "schema": lambda: schema.compare(old, new),
    }
    findings: list[Finding] = []
    for check, comparison in comparisons.items():
        failed = [
            _unknown(check, f"{section} of {facts['airflow']}", facts["failed"][section], "", True)
            for facts in (old, new)
            for section in SECTIONS[check]
            if section in facts["failed"]
        ]
        findings += failed or comparison()
    if isinstance(answered, str):
        findings.append(_unknown("triggers", "stored triggers and DAGs", answered, ""))
    return findings


def _unknown(check: str, subject: str, error: str, advice: str, trace: bool = False) -> Finding:
    reason = (
        f"{CHECKS[check]} could not be looked at: {error.strip().splitlines()[-1] if error.strip() else ''}"
    )
    return Finding(Severity.UNKNOWN, check, subject, reason, advice, detail=error if trace else "")


def side(image: Image, facts: Facts) -> Side:
    return Side(image.asked, image.reference, image.id, facts["airflow"], facts["python"])
