"""The assessment as one page that needs nothing else: no script, no file beside it, nothing of the network."""

from __future__ import annotations

from html import escape

from harness.upgrade.findings import Assessment, Finding, Severity

STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; } dt { opacity: .7; } dd { margin: 0; }
table { border-collapse: collapse; width: 100%; } td { border-top: 1px solid var(--line); padding: .5rem .6rem .5rem 0;
vertical-align: top; } td.subject { width: 30%; overflow-wrap: anywhere; font-weight: 600; }
td.severity { width: 6rem; } th { text-align: left; opacity: .7; font-weight: 400; }
.mark { border-radius: .3rem; padding: .1rem .5rem; color: #fff; background: #777; white-space: nowrap; }
.breaks { background: #b3261e; } .degrades, .degraded { background: #a06000; } .survives { background: #1b7f3b; }
.unknown { background: #7a3fa0; } .where { opacity: .7; font-family: monospace; font-size: .85rem; }
pre { overflow: auto; max-height: 30rem; font-size: .8rem; border: 1px solid var(--line); padding: .5rem; }
"""


def to_html(assessment: Assessment) -> str:
    """The whole page."""
    title = f"Airflow {assessment.old.airflow} → {assessment.new.airflow}"
    verdict = assessment.verdict
    css = "unknown" if verdict.name == "UNKNOWN" else verdict.value
    facts = {
        "Content": assessment.content,
        "Old image": _side(assessment.old.image, assessment.old.image_id, assessment.old.python),
        "New image": _side(assessment.new.image, assessment.new.image_id, assessment.new.python),
        "Looked at": f"{assessment.how} ({', '.join(assessment.titles[c] for c in assessment.checks)})",
    }
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    counts = " ".join(
        f'<span class="mark {severity}">{sum(f.severity is severity for f in assessment.findings)} {severity}</span>'
        for severity in Severity
    )
    checks = "".join(_check(assessment, check) for check in assessment.checks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>\n'
        f'<h1>{escape(title)} <span class="mark {css}">{escape(verdict)}</span></h1>\n'
        f"<p>{counts}</p><dl>{rows}</dl>\n{_matrix(assessment)}{checks}</body></html>\n"
    )


def _matrix(assessment: Assessment) -> str:
    """States by outcome, where runs were in flight."""
    if not assessment.rows:
        return ""
    back = any(row.after_rollback for row in assessment.rows)
    heads = ("state", "specimen", "not upgraded", "upgraded", *(("rolled back",) if back else ()), "verdict")
    body = ""
    for row in assessment.rows:
        cells = (row.state, row.specimen, row.control, row.upgraded, *((row.after_rollback,) if back else ()))
        css = "unknown" if row.verdict.name == "UNKNOWN" else row.verdict.value
        mark = f'<td><span class="mark {css}">{escape(row.verdict)}</span></td>'
        body += f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}{mark}</tr>"
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f'<section><h2>Runs in flight</h2><table class="matrix"><tr>{head}</tr>{body}</table></section>\n'


def _side(image: str, image_id: str, python: str) -> str:
    return f"{image} ({image_id.removeprefix('sha256:')[:12]}), Python {python}"


def _check(assessment: Assessment, check: str) -> str:
    found = assessment.of(check)
    body = f"<table>{''.join(map(_row, found))}</table>" if found else "<p>Nothing.</p>"
    return f"<section><h2>{escape(assessment.titles[check])}</h2>{body}</section>\n"


def _row(finding: Finding) -> str:
    where = f'<div class="where">{escape(", ".join(finding.where))}</div>' if finding.where else ""
    advice = f"<div>→ {escape(finding.advice)}</div>" if finding.advice else ""
    detail = (
        f"<details><summary>details</summary><pre>{escape(finding.detail)}</pre></details>"
        if finding.detail
        else ""
    )
    return (
        f'<tr><td class="severity"><span class="mark {finding.severity}">{finding.severity}</span></td>'
        f'<td class="subject">{escape(finding.subject)}</td>'
        f"<td>{escape(finding.reason)}{where}{advice}{detail}</td></tr>"
    )
