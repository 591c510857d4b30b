"""Python imports this at every start below `harness.local`: production's host names lead to mocks.

MOCKED: JSON, {"hosts": [name, ...], "ports": {"443": [host, port], ...}}. A connection to one of the names at another
port is refused. Standard library only; without MOCKED nothing changes.
"""

import json
import os
import socket
from typing import Any


def redirect(hosts: set[str], ports: dict[int, tuple[str, int]]) -> None:
    """Patch what all clients come through: look-ups, and connections by name (httplib2) or address."""
    resolve, connect = socket.getaddrinfo, socket.socket.connect

    def target(host: Any, port: Any) -> tuple[str, int] | None:
        name = host.decode() if isinstance(host, bytes) else host
        if not isinstance(name, str) or name.rstrip(".").lower() not in hosts:
            return None
        try:
            return ports[int(port or 0)]
        except KeyError:
            raise ConnectionRefusedError(f"{name}:{port} is not mocked here") from None

    def resolve_mocked(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve(*(target(host, port) or (host, port)), *args, **kwargs)

    def connect_mocked(self: socket.socket, address: Any) -> None:
        found = target(*address[:2]) if isinstance(address, tuple) else None
        connect(self, address if found is None else found)

    socket.getaddrinfo = resolve_mocked
    socket.socket.connect = connect_mocked  # type: ignore[method-assign,assignment]


if "MOCKED" in os.environ:
    given = json.loads(os.environ["MOCKED"])
    redirect(set(given["hosts"]), {int(port): tuple(where) for port, where in given["ports"].items()})
