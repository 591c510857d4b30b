"""`itest upgrade --static` on images that differ by what was seeded into them: each breakage is caught and named."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_cli import Docker

from harness.prepare import Prepared
from harness.upgrade import collect, sides, static
from harness.upgrade.facts import FactsError
from harness.upgrade.findings import Assessment, Finding, Severity, Verdict
from harness.upgrade.snapshot import Snapshot, folder

pytestmark = pytest.mark.itest

STANDARD = "airflow/providers/standard"
DOCKERFILE = """\
ARG IMAGE
FROM ${IMAGE}
COPY --chown=50000:0 site /tmp/site
RUN python -c "import shutil, sysconfig as s; shutil.copytree('/tmp/site', s.get_path('purelib'), dirs_exist_ok=True)"
RUN [ ! -f /tmp/site/config.part ] || python -c "import pathlib, airflow.configuration as c; \\
    f = pathlib.Path(c.__file__).parent / 'config_templates' / 'config.yml'; \\
    f.write_text(f.read_text() + pathlib.Path('/tmp/site/config.part').read_text())"
"""
TRIGGER = """\
from airflow.triggers.base import BaseTrigger, TriggerEvent


class SeededTrigger(BaseTrigger):
    def __init__(self, moment):
        super().__init__()
        self.moment = moment

    def serialize(self):
        return ("airflow.providers.standard.triggers.{module}.SeededTrigger", {{"moment": self.moment}})

    async def run(self):
        yield TriggerEvent(True)
"""
OPERATOR = """\
from airflow.providers.common.compat.sdk import BaseOperator


class SeededOperator(BaseOperator):
    def __init__(self, *, {parameter}=None, **kwargs):
        super().__init__(**kwargs)

    def execute(self, context):
        from airflow.providers.standard.triggers.{module} import SeededTrigger

        self.defer(trigger=SeededTrigger(0), method_name="execute")
"""
OLD = {
    f"{STANDARD}/seeded.py": "THING = 1\n",
    f"{STANDARD}/triggers/former.py": TRIGGER.format(module="former"),
    f"{STANDARD}/operators/seeded.py": OPERATOR.format(module="former", parameter="colour"),
    "seeded_package/__init__.py": "",
    "seeded_package-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: seeded-package\nVersion: 1.5\n",
    "seeded_package-1.5.dist-info/top_level.txt": "seeded_package\n",
    "seeded_package-1.5.dist-info/RECORD": "",
    "config.part": """
seeded:
  description: ~
  options:
    key: {description: ~, version_added: ~, type: string, example: ~, default: "x"}
""",
}
NEW = {
    f"{STANDARD}/triggers/latter.py": TRIGGER.format(module="latter"),
    f"{STANDARD}/operators/seeded.py": OPERATOR.format(module="latter", parameter="shade"),
}
DAG = """\
from airflow.providers.common.compat.sdk import DAG
{imports}
with DAG("{name}", schedule=None):
    {task}
"""
SEEDED = "from airflow.providers.standard.operators.seeded import SeededOperator"
CONTENT = {
    "dags/module.py": DAG.format(
        name="module", imports="from airflow.providers.standard.seeded import THING", task="THING"
    ),
    "dags/dependency.py": DAG.format(
        name="dependency", imports="import seeded_package", task="seeded_package"
    ),
    "dags/deferring.py": DAG.format(name="deferring", imports=SEEDED, task='SeededOperator(task_id="wait")'),
    "dags/passing.py": DAG.format(
        name="passing", imports=SEEDED, task='SeededOperator(task_id="paint", colour="red")'
    ),
    "dags/broken.py": "from airflow.nowhere import x  # dag\n",
    "plugins/operators/__init__.py": "",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def built(airflow_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, static.Image]]:
    """The mirror's image, with what only an old version has, and with what only a new one has."""
    docker = Docker("upgrade-static")
    images: dict[str, static.Image] = {}
    try:
        for name, files in (("old", OLD), ("new", NEW)):
            context = tmp_path_factory.mktemp(name)
            write(context / "site", files)
            (context / "Dockerfile").write_text(DOCKERFILE)
            reference = f"itest/upgrade-static:{name}-{uuid.uuid4().hex[:8]}"
            docker(
                "build",
                "-q",
                "--network=none",
                f"--build-arg=IMAGE={airflow_image}",
                "-t",
                reference,
                str(context),
            )
            images[name] = static.Image(name, reference, sides.image_id(reference))
        yield images
    finally:
        for image in images.values():
            docker("rmi", image.reference, check=False)


@pytest.fixture(scope="module")
def assessment(built: dict[str, static.Image], tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    content = folder(write(tmp_path_factory.mktemp("content"), CONTENT), "the seeded content")
    return static.assess(built["old"], built["new"], content, {"AIRFLOW__SEEDED__KEY": "y"})


def one(assessment: Assessment, check: str, subject: str) -> Finding:
    found = [f for f in assessment.of(check) if f.subject == subject and f.severity is not Severity.NOTE]
    assert len(found) == 1, assessment.of(check)
    return found[0]


def test_a_module_that_the_new_image_lacks_breaks_the_import_and_the_dag(assessment: Assessment) -> None:
    assert assessment.verdict is Verdict.BREAKS
    found = one(assessment, "imports", "airflow.providers.standard.seeded.THING")
    assert found.severity is Severity.BREAKS
    assert found.where == ("dags/module.py:2",)
    dag = one(assessment, "dags", "dags/module.py")
    assert "airflow.providers.standard.seeded" in dag.reason
    assert "Traceback" in dag.detail


def test_a_dependency_that_went_is_named_with_who_imports_it(assessment: Assessment) -> None:
    found = one(assessment, "dependencies", "seeded-package")
    assert found.severity is Severity.BREAKS
    assert found.where == ("dags/dependency.py:2",)


def test_a_trigger_that_moved_is_named_with_its_new_place(assessment: Assessment) -> None:
    found = one(assessment, "triggers", "airflow.providers.standard.triggers.former.SeededTrigger")
    assert found.severity is Severity.BREAKS
    assert "ModuleNotFoundError" in found.reason
    assert "airflow.providers.standard.triggers.latter.SeededTrigger" in found.advice


def test_a_parameter_that_an_operator_no_longer_takes_breaks_who_passes_it(assessment: Assessment) -> None:
    found = one(assessment, "providers", "airflow.providers.standard.operators.seeded.SeededOperator")
    assert "colour" in found.reason
    assert "colour" in one(assessment, "dags", "dags/passing.py").detail


def test_a_configuration_key_that_went_degrades_who_sets_it(assessment: Assessment) -> None:
    found = one(assessment, "configuration", "AIRFLOW__SEEDED__KEY")
    assert found.severity is Severity.DEGRADES


def test_what_is_wrong_on_both_images_is_not_the_upgrades(assessment: Assessment) -> None:
    found = [f for f in assessment.of("dags") if f.subject == "dags/broken.py"]
    assert [f.severity for f in found] == [Severity.NOTE]
    assert not [f for f in assessment.of("dags") if f.subject in ("deferring", "dags/deferring.py")]


def test_every_section_of_a_real_image_is_collected(assessment: Assessment) -> None:
    assert not [f for f in assessment.findings if f.severity is Severity.UNKNOWN]


def test_an_image_without_airflow_is_told_with_what_its_container_said(prepared: Prepared) -> None:
    image = prepared.references["database"]
    with pytest.raises(FactsError, match=f"{image} does not tell its facts"):
        collect.facts(image, sides.image_id(image), Snapshot("a dag", {"dags/a.py": b""}))
