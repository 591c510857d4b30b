"""Scripting faults: what every handle on a mocked service can make go wrong, in its own tenancy."""

from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from harness.mocks.faults import Fault, FaultKind
from harness.mocks.names import Service
from harness.mocks.readers.connection import Connection


class Aim(TypedDict, total=False):
    """Which exchanges a fault meets; each text is a shell pattern, and what is left out matches all.

    endpoint: the path, or for Slack's Web API a method's name. map_index: of a mapped task this instance only; -1 is
    who is not mapped. skip: how many matching exchanges pass first.
    times: how many are then met, None for all.
    """

    endpoint: str
    method: str
    pod: str
    task: str
    map_index: int
    skip: int
    times: int | None


class FaultHandle:
    """A fault that is armed. As a context manager it is healed at the end."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self._path = f"/faults/{number}"

    def hits(self) -> int:
        """How many exchanges it has met. MocksRefusedError (404) once it is healed."""
        hits: int = self._connection.json("GET", self._path)["hits"]
        return hits

    def heal(self) -> None:
        """Take it away; an exchange that it delays goes on at once. MocksRefusedError (404) if it is healed already."""
        self._connection.call("DELETE", self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()


class Scripted:
    """Faults of some services. They last until they have met what they are for, are healed, or the mocks are reset."""

    def __init__(self, connection: Connection, *services: Service) -> None:
        self._connection = connection
        self._services = services

    def fail_next(
        self,
        status: int,
        *,
        retry_after: int | None = None,
        body: Any = None,
        done: bool = False,
        **aim: Unpack[Aim],
    ) -> FaultHandle:
        """Answer an error of the service's own shape, or `body` (JSON, or text as it is).

        retry_after: seconds in the header of that name. done: the service does its work before it answers the error.
        """
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return self._arm(FaultKind.ERROR, aim, status=status, headers=headers, body=body, after=done)

    def fail_nth(self, number: int, status: int = 500, **aim: Unpack[Aim]) -> FaultHandle:
        """Answer the `number`th matching exchange from now on with an error; 1 is the next one."""
        aim["skip"] = aim.get("skip", 0) + number - 1
        return self.fail_next(status, **aim)

    def delay(self, seconds: float, **aim: Unpack[Aim]) -> FaultHandle:
        """Answer so much later."""
        return self._arm(FaultKind.LATENCY, aim, seconds=seconds)

    def drop_body(self, **aim: Unpack[Aim]) -> FaultHandle:
        """End the connection in the middle of the answer's body; the service has done its work."""
        return self._arm(FaultKind.DROP_BODY, aim)

    def reset(self, *, done: bool = False, **aim: Unpack[Aim]) -> FaultHandle:
        """Reset the connection instead of an answer; `done`: after the service has done its work."""
        return self._arm(FaultKind.RESET, aim, after=done)

    def reset_tls(self, **aim: Unpack[Aim]) -> FaultHandle:
        """Reset the connection in its TLS handshake, where neither endpoint nor method are known yet."""
        return self._arm(FaultKind.RESET_TLS, aim)

    def garble(self, **aim: Unpack[Aim]) -> FaultHandle:
        """Cut the answer's body so that it is no JSON or XML; the service has done its work."""
        return self._arm(FaultKind.GARBAGE, aim)

    def _arm(self, kind: FaultKind, aim: Aim, **how: Any) -> FaultHandle:
        fault = Fault(
            kind=kind,
            services=tuple(service.value for service in self._services),
            method=aim.get("method", "*"),
            path=self._path(aim.get("endpoint", "*")),
            pod=aim.get("pod", "*"),
            task_id=aim.get("task", "*"),
            map_index=aim.get("map_index"),
            skip=aim.get("skip", 0),
            times=aim.get("times", 1),
            **how,
        )
        answer: Mapping[str, Any] = self._connection.json("POST", "/faults", asdict(fault))
        return FaultHandle(self._connection, answer["fault"])

    def _path(self, endpoint: str) -> str:
        """The pattern of paths that an endpoint means."""
        return endpoint if endpoint.startswith(("/", "*")) else f"*/{endpoint}"
