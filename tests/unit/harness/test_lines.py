"""Versions, and the line of Airflow that each belongs to."""

import dataclasses

import pytest

from harness import releases
from harness.catalog import BUILDABLE, build
from harness.images import DatabaseKind
from harness.lines import LINES, line_for
from harness.prepare import OptionError, Options
from harness.releases import UnknownReleaseError
from harness.services import clock, speed
from harness.topology import After


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
