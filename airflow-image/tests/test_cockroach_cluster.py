"""CockroachDB's topologies in real containers, with a `cockroach` that keeps its books only (`cockroach/cockroach`).

It checks what the harness is responsible for: that an image is made around `COCKROACH_BINARY`, that nodes, certificates
and statements come in their order and have what they need, that a template holds the backup and stacks restore it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from harness import builder, engine, prepare, template
from harness.catalog import SHAPES
from harness.labels import Owner
from harness.paths import ROOT
from harness.prepare import OptionError, Options, Prepared
from harness.runtime.base import StartError
from harness.runtime.docker import DockerRuntime
from harness.services import cockroach, database
from harness.services.cockroach import Cluster
from harness.services.database import NAME, TEMPLATE
from harness.services.gateway import gateway
from harness.settings import StackSettings, new_stack_name
from harness.topology import Service, Topology

pytestmark = pytest.mark.itest
BINARY = ROOT / "airflow-image" / "tests" / "cockroach" / "cockroach"


@pytest.fixture(scope="module")
def on_fake() -> Iterator[Prepared]:
    """What a user gets who points COCKROACH_BINARY at the fake, which plays the migration too; with its template."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COCKROACH_BINARY", str(BINARY))
        patch.delenv("COCKROACH_IMAGE", raising=False)
        patch.setenv("ITEST_DATABASE", "cockroachdb")
        prepared = prepare.decide(Options.from_environment())
    recipes = prepared.recipes
    recipes["airflow"] = replace(recipes["database"], key="airflow")
    recipes[TEMPLATE] = replace(recipes[TEMPLATE], reference="itest/database-template:of-the-fake")
    builder.obtain(recipes, ("database", "gateway", "sandbox"))
    try:
        template.obtain(recipes, prepared.references, "cockroachdb", prepared.line)
        yield prepared
    finally:
        for key in (TEMPLATE, "database"):
            if not builder.missing({key: recipes[key]}):
                engine.client().images.remove(recipes[key].reference, force=True)


@contextmanager
def running(prepared: Prepared, *services: Service) -> Iterator[tuple[DockerRuntime, dict[str, str]]]:
    """These services, started in their order, and the stack's settings. Raises `StartError`."""
    stack = new_stack_name()
    settings = StackSettings.generate(stack).placeholders
    topology = Topology("cluster", "", (*services, gateway(())), ())
    runtime = DockerRuntime(stack, topology, prepared.references, settings, Owner.this_process())
    try:
        runtime.start(services, lambda service, what: None)
        yield runtime, settings
    finally:
        runtime.remove()


@pytest.mark.parametrize("name", ["default", "cockroach3", "cockroach3-secure"])
def test_a_cluster_is_set_up_from_the_template(on_fake: Prepared, name: str) -> None:
    shape = SHAPES[name]
    services = database.database("cockroachdb", nodes=shape.nodes, secure=shape.secure)
    cluster = Cluster(shape.nodes, shape.secure, TEMPLATE)
    migrated = cluster.sql("migrated", ("HOLDS airflow",), (database.ready("cockroachdb"),))
    with running(on_fake, *services, migrated) as (runtime, settings):
        states = runtime.states()
        assert {states[node].status for node in cluster.names} == {"running"}
        told = runtime.logs(NAME)
    assert "RESTORE DATABASE airflow FROM LATEST IN 'nodelocal://1/airflow': ok" in told
    assert ("--insecure" in told) is not shape.secure
    password = f"ALTER USER airflow WITH PASSWORD '{settings['ITEST_DATABASE_PASSWORD']}': ok"
    assert (password in told) is shape.secure


def test_a_client_without_the_clusters_certificates_is_refused(on_fake: Prepared) -> None:
    secure = Cluster(secure=True, image=TEMPLATE, restored=True).services()
    outsider = Cluster(image=TEMPLATE).sql("outsider", ("SELECT 1",), (database.ready("cockroachdb"),))
    with pytest.raises(StartError, match="another authority"), running(on_fake, *secure, outsider):
        pass


def test_a_statement_that_is_refused_ends_the_start_with_its_words(on_fake: Prepared) -> None:
    node, settings = Cluster().services()
    broken = replace(settings, command=(*settings.command, "--execute=NONSENSE"))
    with (
        pytest.raises(StartError, match="NONSENSE: at or near: syntax error"),
        running(on_fake, node, broken),
    ):
        pass


def test_without_the_backup_a_stack_does_not_start(on_fake: Prepared) -> None:
    empty = Cluster(restored=True).services()
    with pytest.raises(StartError, match=f"{cockroach.RESTORED[0]}: no backup"), running(on_fake, *empty):
        pass


@pytest.mark.parametrize("required", [None, "cockroachdb"])
def test_an_image_that_the_user_names_is_used_without_asking_a_registry(
    on_fake: Prepared, monkeypatch: pytest.MonkeyPatch, required: str | None
) -> None:
    named = on_fake.references["database"]
    monkeypatch.setenv("COCKROACH_IMAGE", named)
    prepared = prepare.decide(Options.from_environment(database=required, registry="never"))
    assert prepared.database == "cockroachdb"
    assert prepared.recipes["database"].how == "given"
    assert prepared.references["database"] == named
    assert named in prepared.database_name


def test_cockroachdb_that_is_required_and_cannot_be_had_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("COCKROACH_IMAGE", "COCKROACH_BINARY", "ITEST_DATABASE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(prepare, "COCKROACHDB", "cockroachdb/cockroach:there-is-none")
    required = Options.from_environment(database="cockroachdb", registry="never")
    with pytest.raises(OptionError, match="COCKROACH_BINARY"):
        prepare.decide(required)
    assert prepare.decide(replace(required, database="auto")).database == "stand-in"
