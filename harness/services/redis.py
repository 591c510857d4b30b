"""Redis: the Celery broker and result backend."""

from __future__ import annotations

from harness.topology import Healthcheck, Service

BROKER_URL = "redis://redis:6379/0"
RESULTS_URL = "redis://redis:6379/1"


def redis() -> Service:
    return Service(name="redis", image="redis", healthcheck=Healthcheck(("redis-cli", "ping")))
