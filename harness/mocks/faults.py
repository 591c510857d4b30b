"""Faults that a test scripts: errors, latency, lost connections and nonsense, for chosen requests of its own tenancy.

A world holds its faults (`Faults`); the gateway asks it for those that meet an exchange. An `after` fault lets the fake
do its work first, so that the caller sees a failure although the side effect happened.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from harness.mocks.identity import NOBODY, Identity


class FaultKind(StrEnum):
    """What goes wrong.

    error: an answer with `status`, `headers` and, if given, `body`; else a body of the service's own shape.
    latency: the answer comes `seconds` later.
    reset: the connection is reset instead of an answer. reset_tls: it is reset in the TLS handshake.
    drop_body: the connection ends in the middle of the body. garbage: the body is cut off and so no JSON or XML.
    """

    ERROR = "error"
    LATENCY = "latency"
    RESET = "reset"
    RESET_TLS = "reset_tls"
    DROP_BODY = "drop_body"
    GARBAGE = "garbage"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a fault can be aimed at. Of a TLS handshake only the service, pod and task instance are known."""

    service: str
    method: str = ""
    path: str = ""
    pod: str = ""
    identity: Identity = NOBODY


@dataclass(frozen=True, slots=True)
class Fault:
    """Meets exchanges with one of `services`, and whose method, path, pod and task match (shell patterns).

    map_index: of a mapped task only this instance, None for each.
    skip: how many of them pass first. times: how many it then meets, None for all.
    """

    kind: FaultKind
    services: tuple[str, ...]
    method: str = "*"
    path: str = "*"
    pod: str = "*"
    task_id: str = "*"
    map_index: int | None = None
    skip: int = 0
    times: int | None = 1
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float = 0.0
    after: bool = False

    def matches(self, exchange: Exchange) -> bool:
        """Whether it is aimed at the exchange, however often it has met one."""
        pairs = (
            (exchange.path, self.path),
            (exchange.method, self.method),
            (exchange.pod, self.pod),
            (exchange.identity.task_id, self.task_id),
        )
        return (
            exchange.service in self.services
            and self.map_index in (None, exchange.identity.map_index)
            and all(fnmatchcase(*pair) for pair in pairs)
        )


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    hits: int = 0
    healed: threading.Event = field(default_factory=threading.Event)

    def is_due(self) -> bool:
        """Count one matching exchange; whether it is to be hit."""
        self.seen += 1
        return self.seen > self.fault.skip and (self.fault.times is None or self.hits < self.fault.times)


class Faults:
    """The faults of one world, each with a number. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: dict[int, _Armed] = {}
        self._made = 0

    def arm(self, fault: Fault) -> int:
        """From now on `fault` waits for its exchanges. Returns its number."""
        with self._lock:
            self._made += 1
            self._armed[self._made] = _Armed(fault)
            return self._made

    def heal(self, number: int) -> None:
        """Take a fault away, and let go of who waits for it. Raises KeyError."""
        with self._lock:
            self._armed.pop(number).healed.set()

    def reset(self) -> None:
        """Take all faults away."""
        with self._lock:
            for armed in self._armed.values():
                armed.healed.set()
            self._armed.clear()

    def hits(self, number: int) -> int:
        """How many exchanges a fault has met. Raises KeyError."""
        with self._lock:
            return self._armed[number].hits

    def changes(self) -> list[str]:
        """How it differs from a new one, in a few words."""
        with self._lock:
            return [f"{len(self._armed)} faults"] if self._armed else []

    def in_handshakes(self) -> bool:
        """Whether any fault is aimed at TLS handshakes, which are only looked into then."""
        with self._lock:
            return any(armed.fault.kind is FaultKind.RESET_TLS for armed in self._armed.values())

    def meet(self, exchange: Exchange) -> list[Fault]:
        """What an HTTP exchange meets, after the latencies among it have passed or were healed.

        Besides latencies that is one fault, the oldest that is due: others wait for the next exchange.
        """
        met = self._meet(exchange, handshake=False)
        for armed in met:
            if armed.fault.kind is FaultKind.LATENCY:
                armed.healed.wait(armed.fault.seconds)
        return [armed.fault for armed in met]

    def meets_handshake(self, exchange: Exchange) -> bool:
        """Whether a TLS handshake is to be reset; counted if so."""
        return bool(self._meet(exchange, handshake=True))

    def _meet(self, exchange: Exchange, handshake: bool) -> list[_Armed]:
        met: list[_Armed] = []
        final = False
        with self._lock:
            for armed in self._armed.values():
                kind = armed.fault.kind
                if (kind is FaultKind.RESET_TLS) is not handshake or not armed.fault.matches(exchange):
                    continue
                if not armed.is_due() or (final and kind is not FaultKind.LATENCY):
                    continue
                final = final or kind is not FaultKind.LATENCY
                armed.hits += 1
                met.append(armed)
        return met
