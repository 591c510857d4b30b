"""ruff's AIR rules on content: what Airflow removed or moved, by the text of the code."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from harness.upgrade.findings import Finding, Severity
from harness.upgrade.snapshot import Snapshot

CHECK = "air-rules"
RUFF = Path(sys.executable).parent / "ruff"

SINCE = {"AIR30": (3, 0), "AIR31": (3, 0), "AIR32": (3, 1)}
"""Families of rules, with the version of Airflow whose changes they are about."""
REMOVED = "AIR30"
"""What these find is gone; what the others find still works, with a warning."""


class Violation(TypedDict):
    """One of ruff's, as the findings need it."""

    code: str
    message: str
    where: str


def look(content: Snapshot, ruff: Path = RUFF) -> list[Violation]:
    """Run ruff on content. Raises `FileNotFoundError` without ruff, `ValueError` when it does not do it."""
    with tempfile.TemporaryDirectory(prefix="itest-upgrade-") as folder:
        for path, data in content.files.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        done = subprocess.run(
            [
                ruff,
                "check",
                "--isolated",
                "--no-cache",
                "--preview",
                "--select=AIR3",
                "--output-format=json",
                folder,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise ValueError(f"ruff fails: {done.stderr.strip()}")
        return [
            Violation(
                code=found["code"],
                message=found["message"],
                where=f"{Path(found['filename']).relative_to(Path(folder).resolve())}:{found['location']['row']}",
            )
            for found in json.loads(done.stdout)
            if (found["code"] or "").startswith("AIR")
        ]


def judge(violations: Iterable[Violation], old: str, new: str) -> list[Finding]:
    """Findings for an upgrade between two versions: what became true on the way counts, what was so before is noted.

    Rules about versions after the new one do not matter.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for violation in violations:
        since = SINCE.get(violation["code"][:5])
        if since is not None and since <= minor(new):
            found.setdefault((violation["code"], violation["message"]), set()).add(violation["where"])
    return [_finding(code, message, where, old) for (code, message), where in found.items()]


def _finding(code: str, message: str, where: set[str], old: str) -> Finding:
    is_new = SINCE[code[:5]] > minor(old)
    severity = Severity.DEGRADES if is_new else Severity.NOTE
    if is_new and code.startswith(REMOVED):
        severity = Severity.BREAKS
    return Finding(
        severity,
        CHECK,
        code,
        message + ("" if is_new else " (so on the old version, too)"),
        f"See `ruff rule {code}`; where content asks for the version first, it is fine: `# noqa: {code}`.",
        tuple(sorted(where)),
    )


def minor(version: str) -> tuple[int, int]:
    """``3.2.2`` as (3, 2)."""
    first, second = version.split(".")[:2]
    return int(first), int(second)
