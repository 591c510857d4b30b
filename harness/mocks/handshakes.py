"""Faults in TLS handshakes: the connection is reset after the client's first message, which names the host."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from harness.mocks.fakes import Fakes
from harness.mocks.faults import Exchange, FaultKind
from harness.mocks.identity import Identity
from harness.mocks.journal import Event, Journal
from harness.mocks.names import Service
from harness.mocks.pods import PodNames

RECORD_HEADER = 5
"""Bytes before a TLS record's content; the last two are its length (RFC 8446, 5.1)."""


def server_name(hello: bytes) -> str:
    """The host that a ClientHello asks for, in lower case; empty when it names none."""
    names: list[str] = []

    def take(_connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name or "")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = take
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    reading = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    with suppress(ssl.SSLError):  # it has no certificate, and needs none to read the name
        reading.do_handshake()
    return names[0].lower() if names else ""


def peeked_hello(connection: socket.socket) -> bytes:
    """The client's first TLS record, left in the socket. Empty when the client is gone or sends no TLS."""
    flags = socket.MSG_PEEK | socket.MSG_WAITALL
    # An SSLSocket's own recv takes no flags.
    header = socket.socket.recv(connection, RECORD_HEADER, flags)
    if len(header) < RECORD_HEADER:
        return b""
    length = int.from_bytes(header[3:], "big")
    return socket.socket.recv(connection, RECORD_HEADER + length, flags)


class Handshakes:
    """A `connections.HandshakeGuard` that asks the caller's world for its faults."""

    def __init__(
        self, fakes: Fakes, journal: Journal, pods: PodNames, service_of: Callable[[str], Service | None]
    ) -> None:
        self._fakes = fakes
        self._journal = journal
        self._pods = pods
        self._service_of = service_of

    def __call__(self, connection: socket.socket, identity: Identity, client: str) -> bool:
        faults = self._fakes.world(identity.tenant).faults
        if not faults.in_handshakes():
            return False
        host = server_name(peeked_hello(connection))
        service = self._service_of(host)
        pod = self._pods.name(client)
        if service is None or not faults.meets_handshake(Exchange(service, pod=pod, identity=identity)):
            return False
        self._journal.append(
            Event(
                kind="tls",
                service=service,
                method="",
                host=host,
                client=client,
                pod=pod,
                faults=(FaultKind.RESET_TLS.value,),
                identity=identity,
            )
        )
        return True
