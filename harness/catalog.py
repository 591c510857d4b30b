"""Named topologies."""

from __future__ import annotations

from harness.images import AIRFLOW_VERSION, DatabaseKind
from harness.services.airflow3 import Components, migrate
from harness.services.clock import by_the_clock, clock, pod_by_the_clock
from harness.services.database import database, is_migrated
from harness.services.gateway import gateway
from harness.services.git import git_origin
from harness.services.mocks import mocks
from harness.services.redis import redis
from harness.topology import Service, Topology

WORKERS = {"default": 1, "two-workers": 2, "strict": 1}
"""Name of each topology to how many Celery workers it has; all have production's shape of Airflow 3."""

GATED = frozenset({"strict"})
"""Topologies whose pods publish a revision only if its DAGs can be imported (`syncer/README.md`, the gate)."""

TOPOLOGIES = tuple(WORKERS)


def build(name: str, kind: DatabaseKind, faithful: bool = False, virtual_clock: bool = False) -> Topology:
    """The topology `name` on that kind of database; raises `KeyError`.

    `faithful` leaves out every setting that departs from production for speed (`services.speed`). With a
    `virtual_clock`, all but what never looks at the time lives by `services.clock`.
    """
    migrated = is_migrated(kind)
    sandbox, mocked = mocks()
    timed: tuple[Service, ...] = (database(kind), mocked, *(() if migrated else migrate()))
    pods = Components(migrated, faithful, name in GATED).pods(WORKERS[name])
    if virtual_clock:
        timed = (clock(), *(by_the_clock(service) for service in timed))
        pods = tuple(pod_by_the_clock(pod) for pod in pods)
    services = (*timed, redis(), git_origin(), sandbox)
    doors = gateway((*services, *(pod.main for pod in pods)))
    return Topology(name, AIRFLOW_VERSION, (*services, doors), pods)
