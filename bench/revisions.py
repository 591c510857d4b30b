"""`python -m bench.revisions REV`: measure another revision and this checkout in one session, and compare.

Machines are noisy, so only ratios from one session mean anything. The other revision must have this package.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from bench import compare
from harness.paths import ROOT, STATE


def main(arguments: list[str] | None = None) -> int:
    """Exit code of the comparison; 2 when the other revision cannot be measured."""
    parser = argparse.ArgumentParser(prog="bench.revisions", description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("bench", nargs="*", help="arguments for `python -m bench`, after --")
    asked = parser.parse_args(arguments)
    other = STATE / "bench" / "other"
    results = [STATE / "bench" / name for name in ("before.json", "after.json")]
    subprocess.run(
        ["git", "worktree", "remove", "--force", str(other)], cwd=ROOT, capture_output=True, check=False
    )
    subprocess.run(["git", "worktree", "add", "--detach", str(other), asked.revision], cwd=ROOT, check=True)
    try:
        if not (other / "bench" / "__main__.py").exists():
            print(f"bench: revision {asked.revision} has no bench to run", file=sys.stderr)
            return 2
        for checkout, result in zip((other, ROOT), results, strict=True):
            _measure(checkout, result, asked.bench)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(other)], cwd=ROOT, check=False)
    return compare.main([str(result) for result in results])


def _measure(checkout: Path, result: Path, arguments: list[str]) -> None:
    subprocess.run([str(checkout / "scripts/bootstrap"), "python"], check=True)
    python = str(checkout / ".venv/bin/python")
    subprocess.run([python, "-m", "bench", "--output", str(result), *arguments], cwd=checkout, check=True)


if __name__ == "__main__":
    sys.exit(main())
