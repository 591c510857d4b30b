"""Versions, and the line of Airflow that each belongs to."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from harness import compose_stack, prepare, releases
from harness.catalog import BUILDABLE, build
from harness.images import DatabaseKind
from harness.lines import LINES, line_for
from harness.prepare import OptionError, Options
from harness.releases import UnknownReleaseError
from harness.services import clock, speed
from harness.topology import After

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("asked", "version"),
    [("2.11", "2.11.2"), ("2.11.2", "2.11.2"), ("3.2", "3.2.2"), ("3", "3.3.2"), ("2", "2.11.2")],
)
def test_a_short_version_means_the_newest_that_has_a_lock(asked: str, version: str) -> None:
    assert releases.resolve(asked) == version
    assert Options.from_environment(airflow=asked).airflow == version


@pytest.mark.parametrize("asked", ["2.1", "9", "3.3.9", ""])
def test_a_version_without_a_lock_is_refused_with_those_that_have_one(asked: str) -> None:
    with pytest.raises(UnknownReleaseError, match=r"only for 2\.11\.2, 3\.2\.2, 3\.3\.2"):
        releases.resolve(asked)
    if asked:
        with pytest.raises(OptionError, match="no lock for Airflow"):
            Options.from_environment(airflow=asked)


def test_every_locked_version_is_of_a_line() -> None:
    assert {line_for(version).name for version in releases.versions()} == set(LINES)
    with pytest.raises(UnknownReleaseError, match=r"3\.12 is of no line|2\.12 is of no line"):
        line_for("2.12")


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_names_pods_that_its_topology_has(line: object) -> None:
    version = next(v for v in releases.versions() if line_for(v) is line)
    made = build("default", "stand-in", airflow=version)
    names = {pod.name for pod in made.pods}
    assert {line_for(version).api_server, line_for(version).parser.service, "scheduler", "worker-1"} <= names
    assert made.service(line_for(version).api_server).forwarded_ports == (8080,)


def test_airflow_2_has_a_webserver_and_no_dag_processor() -> None:
    made = build("two-workers", "stand-in", airflow="2.11.2")
    assert [p.name for p in made.pods] == ["webserver", "scheduler", "triggerer", "worker-1", "worker-2"]
    assert not any("EXECUTION_API" in name for pod in made.pods for name in pod.main.environment)


@pytest.mark.parametrize(("name", "kind"), BUILDABLE)
def test_every_topology_can_be_built_of_airflow_2(name: str, kind: DatabaseKind) -> None:
    made = build(name, kind, airflow="2.11.2", template=False)
    assert After("migrate", "completed") in made.service("webserver").after


def test_a_setting_is_there_in_its_lines_only() -> None:
    for line in LINES.values():
        version = next(v for v in releases.versions() if line_for(v) is line)
        quick = build("default", "stand-in", airflow=version)
        faithful = build("default", "stand-in", faithful=True, airflow=version)
        for pod, plain in zip(quick.pods, faithful.pods, strict=True):
            more = pod.main.environment.keys() - plain.main.environment.keys()
            assert more == {s.variable for s in speed.SETTINGS if line.name in s.lines}, (version, pod.name)
        ticking = build("default", "stand-in", virtual_clock=True, airflow=version)
        survival = {s.variable for s in clock.SETTINGS if line.name in s.lines}
        assert survival <= ticking.service("scheduler").environment.keys()
        others = {s.variable for s in clock.SETTINGS if line.name not in s.lines} - faithful.service(
            "scheduler"
        ).environment.keys()
        assert not others & ticking.service("scheduler").environment.keys()


def test_lines_differ_in_all_that_they_hold() -> None:
    two, three = LINES["2.11"], LINES["3"]
    assert [f.name for f in dataclasses.fields(two) if getattr(two, f.name) == getattr(three, f.name)] == []


def test_compose_starts_another_version_from_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose_stack, "folder", lambda stack: tmp_path)
    now, older = (
        prepare.Prepared(
            Options(airflow=version), build("default", "stand-in", airflow=version), "stand-in", False, {}
        )
        for version in (releases.DEFAULT, "2.11.2")
    )
    assert compose_stack._file(now, "s") == compose_stack.file_of("default", "stand-in")
    made = yaml.safe_load(compose_stack._file(older, "s").read_text())
    assert "webserver" in made["services"]
    assert "dag-processor" not in made["services"]


MARKED = """
import pytest

@pytest.fixture
def env():
    raise AssertionError("a test that is skipped needs no mirror")

@pytest.mark.only_on("3", reason="assets have watchers there")
def test_of_airflow_3(env): ...

@pytest.mark.only_on("2.11", reason="SLAs are gone")
def test_of_airflow_2(): ...
"""


HEAVY = """
import pytest

@pytest.mark.slow_on("2.11", reason="its tasks are heavier there")
def test_of_many_tasks(): ...
"""


def test_what_is_slow_on_one_line_is_a_slow_test_there(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(HEAVY)
    pytester.makeini("[pytest]\nmarkers = slow")
    quiet = ("-p", "no:randomly", "-p", "no:cacheprovider", "--strict-markers", "-m", "not slow")
    pytester.runpytest_subprocess(*quiet, "--airflow=2.11").assert_outcomes(deselected=1)
    pytester.runpytest_subprocess(*quiet).assert_outcomes(passed=1)


def test_a_test_of_another_line_is_skipped_with_the_reason_before_it_gets_a_mirror(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(MARKED)
    quiet = ("-p", "no:randomly", "-p", "no:cacheprovider", "-rs", "--strict-markers")
    result = pytester.runpytest_subprocess(*quiet, "--airflow=2.11")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*Airflow 2.11: assets have watchers there*"])
    pytester.runpytest_subprocess(*quiet).assert_outcomes(skipped=1, errors=1)
