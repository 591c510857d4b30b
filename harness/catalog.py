"""Named topologies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.images import AIRFLOW_VERSION, DATABASE_KINDS, DatabaseKind
from harness.services.airflow3 import Components, migrate
from harness.services.database import database, is_migrated, ready
from harness.services.gateway import gateway
from harness.services.git import git_origin
from harness.services.mocks import mocks
from harness.services.redis import redis
from harness.topology import Topology, TopologyError


@dataclass(frozen=True, slots=True)
class Shape:
    """What topologies differ in: Celery workers, and nodes of CockroachDB (three need the real one)."""

    workers: int = 1
    nodes: int = 1


SHAPES = {"default": Shape(), "two-workers": Shape(workers=2), "cockroach3": Shape(nodes=3)}
"""All have production's shape of Airflow 3."""

TOPOLOGIES = tuple(SHAPES)


BUILDABLE: tuple[tuple[str, DatabaseKind], ...] = tuple(
    (name, kind)
    for name, shape in SHAPES.items()
    for kind in DATABASE_KINDS
    if kind == "cockroachdb" or shape.nodes == 1
)
"""Each topology with each database that it can be built on."""


def build(
    name: str, kind: DatabaseKind, faithful: bool = False, settings: Mapping[str, str] | None = None
) -> Topology:
    """The topology `name` on that kind of database; raises `KeyError`, and `TopologyError` for one it cannot have.

    `faithful` leaves out every setting that departs from production for speed (`services.speed`).
    `settings` are the stand-in's (`services.database`).
    """
    shape = SHAPES[name]
    if (name, kind) not in BUILDABLE:
        raise TopologyError(f"topology {name} needs CockroachDB itself: --require-cockroachdb")
    migrated = is_migrated(kind)
    services = (
        *database(kind, settings, shape.nodes),
        redis(),
        git_origin(),
        *mocks(),
        *(() if migrated else migrate(ready(kind))),
    )
    pods = Components(migrated, faithful).pods(shape.workers)
    doors = gateway((*services, *(pod.main for pod in pods)))
    return Topology(name, AIRFLOW_VERSION, (*services, doors), pods)
