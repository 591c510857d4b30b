"""What the mocks saw, as tests read it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One journal entry: an HTTP request (kind "http"), a DNS question ("dns": host is the name asked for, method the
    record type), a TLS handshake that was reset ("tls") or a connection out of the stack ("connect").
    `unmocked`: nobody serves it. `error`: the mocks themselves failed. `port`: the destination's, 0 where unknown.
    `faults` it met, `effects` it had.

    The last six tell which task asked: "", -1 and 0 where nobody is known; `tenant` also where it belongs to none.
    """

    seq: int
    time: datetime
    kind: str
    service: str
    method: str
    host: str
    path: str
    query: Mapping[str, list[str]]
    request: Any
    status: int
    duration_ms: float
    client: str
    pod: str
    unmocked: bool
    error: str
    port: int
    faults: list[str]
    effects: list[Mapping[str, Any]]
    tenant: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


@dataclass(frozen=True, slots=True)
class EgressAttempt:
    """A pod tried to reach something that nobody mocks: a host name, an address, or a path of a mocked host.

    port: 0 where it is not known. The last three tell which task, empty when nobody is known.
    """

    seq: int
    time: datetime
    pod: str
    host: str
    port: int
    path: str
    dag_id: str
    run_id: str
    task_id: str

    def told(self) -> str:
        """One line for a person."""
        task = f"task {self.task_id} of run {self.run_id}" if self.run_id else "no task that is known"
        port = f":{self.port}" if self.port else ""
        return f"{task}, in pod {self.pod}, tried to reach {self.host}{port}{self.path}"


@dataclass(frozen=True, slots=True)
class MocksTally:
    """How many messages and proposals all tenants made since the last full reset, and objects in the log bucket."""

    slack_messages: int
    proposals: int
    log_objects: int


@dataclass(frozen=True, slots=True)
class Pristine:
    """True when nothing is left of anybody; else `why` says what is, each in a few words."""

    why: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.why


def request_of(entry: Mapping[str, Any]) -> Request:
    """A journal entry as the control API shows it."""
    return Request(**{**entry, "time": datetime.fromisoformat(entry["time"])})


def attempts(requests: Iterable[Request]) -> list[EgressAttempt]:
    """Attempts to reach what nobody mocks, each (pod, task, host, port, path) once, where it first came up.

    Names without a dot are left out: they are the stack's own (of a pod that is down).
    """
    found: dict[tuple[Any, ...], EgressAttempt] = {}
    for entry in requests:
        if entry.unmocked and ("." in entry.host or ":" in entry.host):
            what = (entry.pod, entry.host, entry.port, entry.path, entry.dag_id, entry.run_id, entry.task_id)
            found.setdefault(what, EgressAttempt(entry.seq, entry.time, *what))
    return list(found.values())
