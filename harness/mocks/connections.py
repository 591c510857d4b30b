"""An HTTP server that knows which task opened each of its connections, and can break them."""

import os
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cheroot.server import HTTPConnection
from cheroot.wsgi import Gateway_10, Server

from harness.mocks.identity import NOBODY, Announcements, Identity
from harness.mocks.wsgi import IDENTITY_KEY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BACKLOG = 256
NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing the socket resets the connection (socket(7))."""

HandshakeGuard = Callable[[socket.socket, Identity, str], bool]
"""Tells from (socket, who opened it, client address) whether a TLS connection is to be reset before its handshake."""


class ConnectionAborted(BaseException):
    """An application ends its connection without the rest of the answer; `reset` or as if the server had gone.

    No Exception: cheroot would answer 500.
    """

    def __init__(self, *, reset: bool) -> None:
        super().__init__("the connection is to end")
        self.reset = reset


class Connection(HTTPConnection):
    """Belongs to whoever announced it. cheroot makes one when it accepts, and fills in the address afterwards."""

    _identity = NOBODY

    def identity(self) -> Identity:
        """Who opened it. Asked again while that is nobody: an announcement may have been overtaken."""
        if self._identity is NOBODY:
            announcements: Announcements = self.server.announcements
            self._identity = announcements.take(str(self.remote_addr), int(self.remote_port or 0))
        return self._identity

    _is_open = False

    def communicate(self) -> bool:
        """Serve one request; whether the connection stays open."""
        if not self._is_open and self._is_refused():
            self.abort()
            return False
        self._is_open = True
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        except ConnectionAborted as aborted:
            if aborted.reset:
                self.abort()
            return False

    def _is_refused(self) -> bool:
        guard: HandshakeGuard | None = self.server.handshake_guard
        return guard is not None and guard(self.socket, self.identity(), str(self.remote_addr))

    def abort(self) -> None:
        """Reset it."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        os.close(self.socket.detach())
        # cheroot would shut the socket down first.
        self.linger = True

    def close(self) -> None:
        """Close it. If it saw no request, its announcement goes with it and not to the port's next connection."""
        self.identity()
        super().close()


class IdentifyingGateway(Gateway_10):
    """cheroot's WSGI, and the connection's `Identity` in the environment."""

    def get_environ(self) -> Any:
        """The environment of one request."""
        environment = super().get_environ()  # type: ignore[no-untyped-call]
        return {**environment, IDENTITY_KEY: self.req.conn.identity()}


class IdentifyingServer(Server):
    """An HTTP server that knows which task opened each connection."""

    ConnectionClass = Connection

    def __init__(
        self,
        address: tuple[str, int],
        application: "WSGIApplication",
        threads: int,
        announcements: Announcements,
        handshake_guard: HandshakeGuard | None = None,
    ) -> None:
        super().__init__(address, application, numthreads=threads, request_queue_size=BACKLOG)
        self.gateway = IdentifyingGateway
        self.announcements = announcements
        self.handshake_guard = handshake_guard
