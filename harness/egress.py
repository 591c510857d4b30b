"""What a test's pods tried to reach outside of the stack, and which of that the test had told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest

from harness.mocks.readers import EgressAttempt, MocksUnreachableError

MARKER = "expects_egress"
REFUSED, EXPECTED = "egress refused", "egress expected"
"""Names of the properties that a test's report has for each attempt."""


def unexpected(attempts: Iterable[EgressAttempt], allowed: Sequence[str]) -> list[EgressAttempt]:
    """Attempts at what no pattern allows: shell patterns of a host, or of `host:port`."""
    return [
        attempt
        for attempt in attempts
        if not any(
            fnmatchcase(target, pattern)
            for pattern in allowed
            for target in (attempt.host, f"{attempt.host}:{attempt.port}")
        )
    ]


def judge(item: pytest.Item, since: int) -> list[EgressAttempt]:
    """The attempts of a test that it had not told; all of its attempts become properties of its report.

    since: the last journal entry that is not the test's own. A test that broke the mocks has none that is known.
    """
    env: Any = getattr(item, "funcargs", {}).get("env")
    if env is None:
        return []
    try:
        attempts: list[EgressAttempt] = env.mocks.egress(since)
    except MocksUnreachableError:
        return []
    allowed = [pattern for marker in item.iter_markers(MARKER) for pattern in marker.args]
    bad = unexpected(attempts, allowed)
    for attempt in attempts:
        item.user_properties.append((REFUSED if attempt in bad else EXPECTED, attempt.told()))
    return bad


def complaint(attempts: Sequence[EgressAttempt]) -> str:
    """Why a test fails."""
    lines = "\n".join(f"  {attempt.told()}" for attempt in attempts)
    return (
        f"egress was refused:\n{lines}\n"
        f"Mock what it wants, or expect it: @pytest.mark.{MARKER}({attempts[0].host!r})"
    )


class EgressLog:
    """A pytest plugin that gathers the attempts of all tests, also of pytest-xdist's workers."""

    def __init__(self) -> None:
        self.lines: list[dict[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.lines += [
                {"test": report.nodeid, "what": name, "attempt": str(line)}
                for name, line in report.user_properties
                if name in (REFUSED, EXPECTED)
            ]
