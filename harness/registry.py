"""Whether a container registry can be reached: decided once in a few seconds, then cached."""

from __future__ import annotations

import json
import queue
import threading
import time
from pathlib import Path
from typing import Literal, get_args

import docker
import requests

Mode = Literal["auto", "always", "never"]
MODES: tuple[str, ...] = get_args(Mode)

DECIDE_WITHIN = 4.5
"""Seconds. A registry that answers later than this counts as unreachable."""

CACHE_FOR = 3600
"""Seconds that a decision holds for the same engine and probe image."""


def reachable(client: docker.DockerClient, probe: str, mode: Mode, cache: Path) -> bool:
    """Whether the engine can pull `probe`'s manifest. `mode` other than ``auto`` overrides the look."""
    if mode != "auto":
        return mode == "always"
    key = f"{client.api.base_url} {probe}"
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    if known.get("key") == key and time.time() - known.get("at", 0) < CACHE_FOR:
        return bool(known["reachable"])
    answer = _ask(client, probe)
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps({"key": key, "reachable": answer, "at": time.time()}))
    return answer


def _ask(client: docker.DockerClient, probe: str) -> bool:
    """Ask in a thread that nothing waits for, so that a hanging registry holds up neither us nor our exit."""
    answers: queue.Queue[bool] = queue.Queue()

    def ask() -> None:
        try:
            client.images.get_registry_data(probe)
        except (docker.errors.APIError, requests.RequestException):
            answers.put(False)
        else:
            answers.put(True)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=DECIDE_WITHIN)
    except queue.Empty:
        return False
