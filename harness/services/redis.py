"""Redis: the Celery broker and result backend."""

from __future__ import annotations

from harness.topology import Healthcheck, Service

NAME = "redis"
EMPTY_QUEUES = (
    "redis-cli",
    "eval",
    "local n = redis.call('llen', 'default') + redis.call('hlen', 'unacked')"
    " redis.call('del', 'default', 'unacked', 'unacked_index')"
    " redis.call('select', 1) n = n + redis.call('dbsize') redis.call('flushdb') return n",
    "0",
)
"""Drops queued tasks and their results; prints how many there were. Celery's bindings stay: it needs them."""

BROKER_URL = "redis://redis:6379/0"
RESULTS_URL = "redis://redis:6379/1"


def redis() -> Service:
    return Service(
        name=NAME,
        image="redis",
        memory=128,
        healthcheck=Healthcheck(("redis-cli", "ping"), "Ready to accept connections"),
    )
