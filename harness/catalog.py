"""Named topologies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.images import DATABASE_KINDS, DatabaseKind
from harness.lines import line_for
from harness.releases import DEFAULT
from harness.services.clock import by_the_clock, clock, pod_by_the_clock
from harness.services.database import OPEN, SECURE, database, ready
from harness.services.gateway import gateway
from harness.services.git import git_origin
from harness.services.mocks import mocks
from harness.services.redis import redis
from harness.topology import After, Topology, TopologyError


@dataclass(frozen=True, slots=True)
class Shape:
    """What topologies differ in: Celery workers, triggerers, nodes of CockroachDB, and whether those are `secure`
    (TLS, passwords).

    In a `gated` one, pods publish a revision only if its DAGs can be imported (`syncer/README.md`, the gate).
    """

    workers: int = 1
    triggerers: int = 1
    nodes: int = 1
    gated: bool = False
    secure: bool = False

    @property
    def needs_cockroachdb(self) -> bool:
        """Whether the stand-in cannot be what it asks for."""
        return self.nodes > 1 or self.secure


SHAPES = {
    "default": Shape(),
    "two-workers": Shape(workers=2),
    "two-triggerers": Shape(triggerers=2),
    "strict": Shape(gated=True),
    "cockroach3": Shape(nodes=3),
    "cockroach3-secure": Shape(nodes=3, secure=True),
}
"""All have production's shape of Airflow, which depends on its line (`harness.lines`)."""

TOPOLOGIES = tuple(SHAPES)

BUILDABLE: tuple[tuple[str, DatabaseKind], ...] = tuple(
    (name, kind)
    for name, shape in SHAPES.items()
    for kind in DATABASE_KINDS
    if kind == "cockroachdb" or not shape.needs_cockroachdb
)
"""Each topology with each database that it can be built on."""


def build(
    name: str,
    kind: DatabaseKind,
    faithful: bool = False,
    settings: Mapping[str, str] | None = None,
    virtual_clock: bool = False,
    template: bool = True,
    airflow: str = DEFAULT,
) -> Topology:
    """The topology `name` on that kind of database; raises `KeyError`, and `TopologyError` for one it cannot have.

    `faithful` leaves out every setting that departs from production for speed (`services.speed`).
    `settings` are the stand-in's (`services.database`). With a `virtual_clock`, all but what never looks at the time
    lives by `services.clock`. Without `template` the database is empty and migrated at the start. `airflow` is the
    version.
    """
    shape = SHAPES[name]
    if (name, kind) not in BUILDABLE:
        raise TopologyError(f"topology {name} needs CockroachDB itself: --require-cockroachdb")
    components = line_for(airflow).components
    access = SECURE if shape.secure else OPEN
    sandbox, mocked = mocks()
    timed = (
        *database(kind, settings, shape.nodes, shape.secure, template),
        mocked,
        *(() if template else components.migrate(ready(kind), access)),
    )
    schema = ready(kind) if template else After("migrate", "completed")
    pods = components(schema, access, faithful, shape.gated).pods(shape.workers, shape.triggerers)
    if virtual_clock:
        timed = (clock(), *(by_the_clock(service) for service in timed))
        pods = tuple(pod_by_the_clock(pod, components.LINE) for pod in pods)
    services = (*timed, redis(), git_origin(), sandbox)
    doors = gateway((*services, *(pod.main for pod in pods)))
    return Topology(name, airflow, (*services, doors), pods)
