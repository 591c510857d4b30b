"""Named topologies."""

from __future__ import annotations

from harness.images import AIRFLOW_VERSION, DatabaseKind
from harness.services.airflow3 import Components, migrate
from harness.services.database import database, is_migrated
from harness.services.gateway import gateway
from harness.services.git import git_origin
from harness.services.mocks import mocks
from harness.services.redis import redis
from harness.topology import Topology

WORKERS = {"default": 1, "two-workers": 2}
"""Name of each topology to how many Celery workers it has; all have production's shape of Airflow 3."""

TOPOLOGIES = tuple(WORKERS)


def build(name: str, kind: DatabaseKind, faithful: bool = False, failures: float = 0) -> Topology:
    """The topology `name` on that kind of database; raises `KeyError`.

    `faithful` leaves out every setting that departs from production for speed (`services.speed`).
    `failures` is how many percent of COMMITs the stand-in lets fail (`services.database`).
    """
    migrated = is_migrated(kind)
    services = (database(kind, failures), redis(), git_origin(), *mocks(), *(() if migrated else migrate()))
    pods = Components(migrated, faithful).pods(WORKERS[name])
    doors = gateway((*services, *(pod.main for pod in pods)))
    return Topology(name, AIRFLOW_VERSION, (*services, doors), pods)
