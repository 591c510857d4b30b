"""Python imports this at every start below `harness.local`: production's host names lead to mocks.

MOCKED: JSON, {"hosts": [name, ...], "ports": {"443": [host, port], ...}}. A connection to one of the names at another
port is refused. Standard library only; without MOCKED nothing changes.
"""

import json
import os
import socket
from typing import Any


def redirect(hosts: list[str], ports: dict[int, tuple[str, int]]) -> None:
    """Patch what all clients come through: look-ups, and connections.

    Each name gets an address of its own, at which nothing listens: some clients (anyio) keep no more than that of what
    was looked up, others (httplib2) connect by name.
    """
    resolve, connect = socket.getaddrinfo, socket.socket.connect
    addresses = {name: f"127.83.{number // 250}.{number % 250 + 1}" for number, name in enumerate(hosts)}
    names = {address: name for name, address in addresses.items()}

    def plain(host: Any) -> str:
        text = host.decode() if isinstance(host, bytes) else host
        return text.rstrip(".").lower() if isinstance(text, str) else ""

    def resolve_mocked(host: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve(addresses.get(plain(host), host), *args, **kwargs)

    def connect_mocked(self: socket.socket, address: Any) -> None:
        host = plain(address[0]) if isinstance(address, tuple) else ""
        name = names.get(host, host)
        if name not in addresses:
            connect(self, address)
        elif address[1] in ports:
            connect(self, ports[address[1]])
        else:
            raise ConnectionRefusedError(f"{name}:{address[1]} is not mocked here")

    socket.getaddrinfo = resolve_mocked
    socket.socket.connect = connect_mocked  # type: ignore[method-assign,assignment]


if "MOCKED" in os.environ:
    given = json.loads(os.environ["MOCKED"])
    redirect(given["hosts"], {int(port): tuple(where) for port, where in given["ports"].items()})
