"""The assessment for programs: JSON, and JUnit's XML for pipelines."""

from __future__ import annotations

import dataclasses
import json
from xml.etree import ElementTree

from harness.upgrade.findings import Assessment, Finding, Severity, Verdict


def to_json(assessment: Assessment) -> str:
    """All of it, with the verdict; findings in the order of reports."""
    value = dataclasses.asdict(assessment)
    value["verdict"] = assessment.verdict
    value["findings"] = [dataclasses.asdict(f) for check in assessment.checks for f in assessment.of(check)]
    return json.dumps(value, indent=2) + "\n"


def to_junit(assessment: Assessment, strict: bool) -> str:
    """A test case for each check, for each finding that is more than a note, and for each run that survived.

    What breaks is a failure, what could not be looked at an error; what degrades is a failure when that is `strict`.
    """
    name = f"upgrade {assessment.old.airflow} to {assessment.new.airflow}"
    suite = ElementTree.Element("testsuite", name=name)
    counts = {"failure": 0, "error": 0}
    for check in assessment.checks:
        found = assessment.of(check)
        notes = [f for f in found if f.severity is Severity.NOTE]
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"upgrade.{check}", name=assessment.titles[check]
        )
        if notes:
            ElementTree.SubElement(case, "system-out").text = _printable("\n\n".join(map(told, notes)))
        for finding in found:
            if finding.severity is not Severity.NOTE:
                kind = _outcome(finding, strict)
                counts[kind] = counts.get(kind, 0) + 1
                _case(suite, finding, kind)
    for row in assessment.rows:
        if row.verdict is Verdict.SURVIVES:  # the others are there as findings
            name = _printable(f"{row.state}: {row.specimen}")
            ElementTree.SubElement(suite, "testcase", classname="upgrade.runs", name=name)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(counts["failure"]))
    suite.set("errors", str(counts["error"]))
    suite.set("time", f"{assessment.seconds:g}")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def told(finding: Finding) -> str:
    """A finding as plain text of several lines."""
    parts = [f"{finding.severity}: {finding.subject}: {finding.reason}"]
    parts += [f"in {', '.join(finding.where)}"] if finding.where else []
    parts += [finding.advice] if finding.advice else []
    return "\n".join([*parts, *([finding.detail] if finding.detail else [])])


def _outcome(finding: Finding, strict: bool) -> str:
    if finding.severity is Severity.UNKNOWN:
        return "error"
    return "failure" if finding.severity is Severity.BREAKS or strict else "system-out"


def _case(suite: ElementTree.Element, finding: Finding, kind: str) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"upgrade.{finding.check}",
        name=_printable(f"{finding.subject}: {finding.reason}"[:200]),
    )
    outcome = ElementTree.SubElement(case, kind)
    if kind != "system-out":
        outcome.set("message", _printable(finding.reason))
    outcome.text = _printable(told(finding))


def _printable(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(
        c if c in "\t\n" or 0x20 <= ord(c) < 0xD800 or 0xE000 <= ord(c) < 0xFFFE else "�" for c in text
    )
