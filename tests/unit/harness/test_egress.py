"""A test whose pods tried to reach out fails by name, unless it said so; and the session tells all attempts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from harness import egress, report
from harness.mocks.readers import EgressAttempt

NOW = datetime(2026, 11, 16, tzinfo=UTC)
pytest_plugins = ["pytester"]


def attempt(host: str, port: int = 443, run_id: str = "r1") -> EgressAttempt:
    return EgressAttempt(1, NOW, "worker-1", host, port, "", "dag", run_id, "tell")


@pytest.mark.parametrize(
    ("allowed", "left"),
    [
        ((), ["a.example.com", "b.example.com"]),
        (("a.example.com",), ["b.example.com"]),
        (("a.example.com:443",), ["b.example.com"]),
        (("a.example.com:80",), ["a.example.com", "b.example.com"]),
        (("*.example.com",), []),
        (("*:443",), []),
    ],
)
def test_what_a_test_expects_is_not_held_against_it(allowed: tuple[str, ...], left: list[str]) -> None:
    attempts = [attempt("a.example.com"), attempt("b.example.com")]
    assert [it.host for it in egress.unexpected(attempts, allowed)] == left


def test_an_attempt_is_told_with_pod_task_host_and_port() -> None:
    assert attempt("a.example.com").told() == (
        "task tell of run r1, in pod worker-1, tried to reach a.example.com:443"
    )
    assert "no task that is known" in attempt("1.1.1.1", 0, run_id="").told()


CONFTEST = """
from datetime import UTC, datetime

import pytest

from harness.mocks.readers import EgressAttempt, MocksUnreachableError


class Mocks:
    def egress(self, since):
        if since == 7:
            raise MocksUnreachableError("gone")
        return [EgressAttempt(1, datetime.now(UTC), "worker-1", "x.example.com", 443, "", "d", "r", "tell")]


class Env:
    mocks = Mocks()

    def diagnose(self):
        return ""


@pytest.fixture
def env(request):
    from harness.pytest_plugin import SEEN
    request.node.stash[SEEN] = 7 if "gone" in request.node.name else 0
    env = Env()
    env.history = type("H", (), {"record": lambda *a, **k: None})()
    return env
"""
TESTS = """
import pytest


def test_reaches_out(env): ...


@pytest.mark.expects_egress("x.example.com:443")
def test_says_so(env): ...


def test_fails_by_itself(env):
    assert False, "its own reason"


def test_whose_mocks_are_gone(env): ...


def test_needs_no_mirror(): ...
"""


def test_a_session_fails_those_tests_and_tells_every_attempt(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, failed=2)
    told = "task tell of run r, in pod worker-1, tried to reach x.example.com:443"
    result.stdout.fnmatch_lines(
        [
            "*egress was refused:*",
            f"  {told}",
            "*@pytest.mark.expects_egress('x.example.com')*",
            "*its own reason*",
            f"egress refused: {told} (*::test_reaches_out)",
            f"egress expected: {told} (*::test_says_so)",
            f"egress refused: {told} (*::test_fails_by_itself)",
        ]
    )


def test_the_attempts_of_nobodys_are_shown_with_their_stack(tmp_path: Path) -> None:
    attempts = ("no task tried x.example.com",)
    made = report.Report("itest-1", report.Tally(), "3", "d", "s", "b", "real", "q", egress=attempts)
    report.save([made], tmp_path)
    assert report.load(tmp_path) == [made]
    console = Console(record=True, soft_wrap=True, file=(tmp_path / "out").open("w"))
    report.show_egress([], [made], console)
    console.file.close()
    assert "no task tried x.example.com (no test that is known, stack itest-1)" in console.export_text()
