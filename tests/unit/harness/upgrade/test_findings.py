"""The worst finding decides, reports hold any text, exit codes are those that are documented."""

from __future__ import annotations

import json
import random
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.upgrade.findings import CHECKS, Assessment, Finding, Severity, Side, Verdict, exit_code, verdict
from harness.upgrade.report.machine import to_json, to_junit
from harness.upgrade.report.page import to_html
from harness.upgrade.report.terminal import show

texts = st.text(max_size=30)
findings = st.builds(
    Finding,
    severity=st.sampled_from(Severity),
    check=st.sampled_from(list(CHECKS)),
    subject=texts,
    reason=texts,
    advice=texts,
    where=st.lists(texts, max_size=2).map(tuple),
    detail=texts,
)
RANK = [Verdict.SURVIVES, Verdict.DEGRADED, Verdict.UNKNOWN, Verdict.BREAKS]


def assessment(*found: Finding) -> Assessment:
    old = Side("3.2.2", "itest/airflow:a", "sha256:0123456789abcdef", "3.2.2", "3.11.9")
    new = Side("3.3.2", "itest/airflow:b", "sha256:fedcba9876543210", "3.3.2", "3.11.9")
    return Assessment(old, new, "the working tree", found, seconds=1.5)


def finding(severity: Severity) -> Finding:
    return Finding(severity, "dags", "d", "is gone", "Keep it.", ("dags/a.py:1",), "Traceback")


@given(st.lists(findings), findings)
def test_another_finding_never_makes_the_verdict_better(found: list[Finding], more: Finding) -> None:
    assert RANK.index(verdict([*found, more])) >= RANK.index(verdict(found))


@given(st.lists(findings), st.randoms())
def test_the_verdict_does_not_depend_on_the_order(found: list[Finding], dice: random.Random) -> None:
    shuffled = list(found)
    dice.shuffle(shuffled)
    assert verdict(shuffled) is verdict(found)


@pytest.mark.parametrize(
    ("severity", "strict", "code"),
    [
        (Severity.NOTE, True, 0),
        (Severity.DEGRADES, False, 0),
        (Severity.DEGRADES, True, 1),
        (Severity.BREAKS, False, 2),
        (Severity.UNKNOWN, False, 3),
    ],
)
def test_exit_codes(severity: Severity, strict: bool, code: int) -> None:
    assert exit_code(verdict([finding(severity)]), strict) == code


@given(st.lists(findings, max_size=4), st.booleans())
def test_junit_is_xml_that_counts_right_whatever_the_findings_say(found: list[Finding], strict: bool) -> None:
    suite = ElementTree.fromstring(to_junit(assessment(*found), strict))[0]  # noqa: S314 - our own text
    bad = {Severity.BREAKS} | ({Severity.DEGRADES} if strict else set())
    assert int(suite.get("failures", "")) == sum(f.severity in bad for f in found)
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
    assert int(suite.get("errors", "")) == len(suite.findall("testcase/error"))
    assert int(suite.get("tests", "")) == len(suite.findall("testcase"))


class Tags(HTMLParser):
    """Keeps the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [name for name, _ in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    page = Tags()
    page.feed(to_html(assessment(Finding(Severity.BREAKS, "dags", "<script>alert(1)</script>", "& <b>"))))
    assert not {"script", "link", "img", "b"} & set(page.tags)
    assert not page.sources
    assert "<script>alert(1)</script>" in page.text
    assert "& <b>" in page.text


def test_json_has_the_verdict_and_every_finding() -> None:
    told = json.loads(to_json(assessment(finding(Severity.NOTE), finding(Severity.BREAKS))))
    assert told["verdict"] == "breaks"
    assert [f["severity"] for f in told["findings"]] == ["breaks", "note"]
    assert told["new"]["airflow"] == "3.3.2"


def test_the_terminal_shows_verdict_reason_place_and_advice(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file:
        console = Console(width=140, file=file)
        show(assessment(finding(Severity.BREAKS), Finding(Severity.NOTE, "schema", "x [/b]", "y")), console)
    shown = (tmp_path / "out").read_text()
    for part in ("is gone", "dags/a.py:1", "Keep it.", "Traceback", "x [/b]", "breaks (1 breaks"):
        assert part in shown
