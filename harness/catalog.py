"""Named topologies."""

from __future__ import annotations

from collections.abc import Callable

from harness.images import AIRFLOW_VERSION, DatabaseKind
from harness.services import airflow3
from harness.services.database import database
from harness.services.gateway import gateway
from harness.services.git import git_origin
from harness.services.mocks import mocks
from harness.services.redis import redis
from harness.topology import Pod, Topology


def _stack(name: str, pods: tuple[Pod, ...], kind: DatabaseKind) -> Topology:
    services = (database(kind), redis(), git_origin(), mocks(), airflow3.migrate())
    mains = tuple(pod.main for pod in pods)
    return Topology(name, AIRFLOW_VERSION, (*services, gateway((*services, *mains))), pods)


def _core() -> tuple[Pod, ...]:
    return (airflow3.api_server(), airflow3.scheduler(), airflow3.dag_processor(), airflow3.triggerer())


def default(kind: DatabaseKind) -> Topology:
    """The production shape of Airflow 3 with one worker."""
    return _stack("default", (*_core(), airflow3.worker(1)), kind)


def two_workers(kind: DatabaseKind) -> Topology:
    """The same with two Celery workers."""
    return _stack("two-workers", (*_core(), airflow3.worker(1), airflow3.worker(2)), kind)


TOPOLOGIES: dict[str, Callable[[DatabaseKind], Topology]] = {
    "default": default,
    "two-workers": two_workers,
}
