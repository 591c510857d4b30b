"""One port for UDP and TCP."""

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from harness.mocks import dns
from harness.mocks.dns import DnsListener

REFUSAL: Any = None


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody has for TCP."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_that_is_taken_for_tcp_is_refused(taken: int) -> None:
    with pytest.raises(OSError, match="in use"):
        DnsListener("127.0.0.1", taken, REFUSAL)


def test_where_any_port_will_do_the_next_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []
    real = dns.DNSServer

    def serve(*arguments: Any, port: int, tcp: bool = False, **keywords: Any) -> Any:
        if tcp and len(refused) < 2:
            refused.append(port)
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return real(*arguments, port=port, tcp=tcp, **keywords)

    monkeypatch.setattr(dns, "DNSServer", serve)
    listener = DnsListener("127.0.0.1", 0, REFUSAL)
    listener.start()
    try:
        assert len(refused) == 2
        socket.create_connection(("127.0.0.1", listener.port), timeout=5).close()
    finally:
        listener.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", refused[0]))  # closed when it was of no use
