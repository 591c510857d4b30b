"""An HTTP server that knows which task opened each of its connections."""

from typing import TYPE_CHECKING, Any

from cheroot.server import HTTPConnection
from cheroot.wsgi import Gateway_10, Server

from harness.mocks.identity import NOBODY, Announcements, Identity
from harness.mocks.wsgi import IDENTITY_KEY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BACKLOG = 256


class Connection(HTTPConnection):
    """Belongs to whoever announced it. cheroot makes one when it accepts, and fills in the address afterwards."""

    _identity = NOBODY

    def identity(self) -> Identity:
        """Who opened it. Asked again while that is nobody: an announcement may have been overtaken."""
        if self._identity is NOBODY:
            announcements: Announcements = self.server.announcements
            self._identity = announcements.take(str(self.remote_addr), int(self.remote_port or 0))
        return self._identity

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
    ) -> None:
        super().__init__(address, application, numthreads=threads, request_queue_size=BACKLOG)
        self.gateway = IdentifyingGateway
        self.announcements = announcements
