"""Production host names lead to mocks on this machine, in this process or in one that a test starts as a pod would.

`python -m tests.unit.mocks.redirect [ARGUMENT...]` so runs the program on stdin, with REDIRECT="http,https,dns".
"""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dnslib import DNSRecord  # type: ignore[import-untyped]

from harness.mocks.names import service_of

UNKNOWN_HOST = "not-mocked.example.com"
UNKNOWN_DOMAIN = ".unknown.example.com"
"""Names below it are asked of the mocks' DNS, as the engine's resolver would do it."""

_resolve, _connect = socket.getaddrinfo, socket.socket.connect


def _mocked(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host)
    return service_of(name) is not None or name == UNKNOWN_HOST


def redirected(http: int, https: int, dns: int) -> tuple[Callable[..., Any], Callable[..., None]]:
    """In place of `socket.getaddrinfo` and `socket.socket.connect`."""
    local = {80: http, 443: https}

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        unknown = isinstance(name, str) and name.endswith(UNKNOWN_DOMAIN)
        if not unknown and not _mocked(host):
            return _resolve(host, port, *args, **kwargs)
        with suppress(socket.gaierror):
            # Python reports the look-up to audit hooks, and nothing goes over the network.
            _resolve(host, port, flags=socket.AI_NUMERICHOST)
        if unknown:
            DNSRecord.question(name, "A").send("127.0.0.1", dns, timeout=5)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return _resolve("127.0.0.1", local[int(port)], *args, **kwargs)

    def connect(self: socket.socket, address: Any) -> None:
        # httplib2 connects to the name, not to the address that it looked up; anyio to the address alone.
        if isinstance(address, tuple) and address[1] in local:
            host = "localhost" if _mocked(address[0]) else address[0]
            address = (host, local[address[1]], *address[2:])
        _connect(self, address)

    return resolve, connect


def main() -> None:
    """Run the program on stdin."""
    http, https, dns = (int(port) for port in os.environ["REDIRECT"].split(","))
    socket.getaddrinfo, socket.socket.connect = redirected(http, https, dns)  # type: ignore[method-assign,assignment]
    exec(compile(sys.stdin.read(), "<pod>", "exec"), {"__name__": "__main__"})  # noqa: S102


if __name__ == "__main__":
    main()
