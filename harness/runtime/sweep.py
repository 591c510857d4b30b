"""Remove what stacks leave behind, found by label."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
from docker.errors import APIError, NotFound

from harness.labels import RUN, Owner


def _objects(client: docker.DockerClient, label: str) -> tuple[list[Any], list[Any], list[Any]]:
    filters: dict[str, str | list[str] | bool] = {"label": label}
    return (
        client.containers.list(all=True, filters=filters, ignore_removed=True),
        client.networks.list(filters=filters),
        client.volumes.list(filters=filters),
    )


def _labels(thing: Any) -> dict[str, str]:
    found = thing.labels if hasattr(thing, "labels") else thing.attrs.get("Labels")
    return found or {}


def stacks(client: docker.DockerClient) -> dict[str, Owner]:
    """Every stack on the engine, and its owner."""
    return {
        labels[RUN]: Owner.of(labels)
        for kind in _objects(client, RUN)
        for labels in map(_labels, kind)
        if labels.get(RUN)
    }


def remove_stack(client: docker.DockerClient, stack: str) -> int:
    """Remove all containers, networks and volumes labelled with `stack`; how many there were."""
    containers, networks, volumes = _objects(client, f"{RUN}={stack}")
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda c: _gone(lambda: c.remove(force=True, v=True)), containers))
    for thing in (*networks, *volumes):
        _gone(thing.remove)
    return len(containers) + len(networks) + len(volumes)


def _gone(remove: Callable[[], object]) -> None:
    """Call `remove`; that the object is gone already, or being removed by somebody else, is no error."""
    try:
        remove()
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != 409:
            raise


def sweep_stale(client: docker.DockerClient) -> list[str]:
    """Remove the stacks whose owner process is dead; their names."""
    dead = [stack for stack, owner in stacks(client).items() if owner.is_dead()]
    for stack in dead:
        remove_stack(client, stack)
    return dead
