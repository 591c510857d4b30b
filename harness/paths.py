"""Where the project keeps things. All results and caches live below ``.itest/``, which git ignores."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".itest"
CACHE = STATE / "cache"
LAST = STATE / "last"
"""What the last test session left: report.json, history.jsonl, junit.xml, logs/."""
