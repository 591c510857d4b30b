"""What this machine has, and what a mirror would run on."""

from __future__ import annotations

from typing import Any

from harness import builder, engine
from harness.prepare import Options, decide
from harness.runtime.sweep import stacks


def examine(options: Options) -> dict[str, Any]:
    """Engine, registry reachability, database kind and each image with how it is obtained; plain JSON data.

    Raises `EngineError` when there is no engine.
    """
    client = engine.client()
    info = client.info()
    prepared = decide(options)
    absent = builder.missing(prepared.recipes)
    return {
        "engine": {
            "version": info["ServerVersion"],
            "storage_driver": info["Driver"],
            "address": client.api.base_url,
            "cpus": info["NCPU"],
            "memory_bytes": info["MemTotal"],
            "build_client": engine.docker_cli(),
        },
        "registry": {"reachable": prepared.registry, "mode": options.registry},
        "database": {"kind": prepared.database, "description": prepared.database_name},
        "images": {
            key: {
                "reference": recipe.reference,
                "obtained": recipe.how,
                "present": key not in absent,
                "size_bytes": None if key in absent else _size(recipe.reference),
            }
            for key, recipe in prepared.recipes.items()
        },
        "stacks": {
            name: "stale" if owner.is_dead() else f"owned by {owner.pid}"
            for name, owner in stacks(client).items()
        },
    }


def _size(reference: str) -> int:
    return int(engine.client().images.get(reference).attrs["Size"])
