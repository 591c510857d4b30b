"""The mocks as listeners: HTTP, HTTPS, control, DNS and identities, in one process."""

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from harness.mocks.connections import HandshakeGuard, IdentifyingServer
from harness.mocks.control import Control
from harness.mocks.dns import DnsListener, Refusal, outward
from harness.mocks.exchanges import FILE as EXCHANGES
from harness.mocks.exchanges import ExchangeLog
from harness.mocks.fakes import Fakes
from harness.mocks.gateway import Gateway
from harness.mocks.handshakes import Handshakes
from harness.mocks.identity import Announcements, IdentityListener
from harness.mocks.journal import Journal
from harness.mocks.names import Service, certificate_names, service_of
from harness.mocks.pki import Authority, TlsAdapter
from harness.mocks.pods import PodNames
from harness.mocks.provision import provision
from harness.mocks.settings import Ports, Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

THREADS = 24
CONTROL_THREADS = 4


def decoding(application: "WSGIApplication") -> "WSGIApplication":
    """`application` with completely decoded paths: cheroot keeps an encoded slash encoded."""

    def decoded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        raw = environ.get("REQUEST_URI")
        if raw:
            environ["PATH_INFO"] = unquote_to_bytes(urlsplit(str(raw)).path).decode("latin-1")
        return application(environ, start_response)

    return decoded


class HttpListener:
    """One listening socket, open when the constructor returns."""

    def __init__(
        self,
        address: str,
        port: int,
        application: "WSGIApplication",
        threads: int,
        announcements: Announcements,
        tls: TlsAdapter | None = None,
        guard: HandshakeGuard | None = None,
    ) -> None:
        self._server = IdentifyingServer(
            (address, port), decoding(application), threads, announcements, guard
        )
        self._server.ssl_adapter = tls
        self._server.prepare()
        self.port: int = self._server.bind_addr[1]
        self._thread = threading.Thread(target=self._server.serve, name=f"http-{self.port}", daemon=True)

    def start(self) -> None:
        """Serve from now on, on threads."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and wait for it."""
        self._server.stop()
        self._thread.join()


class Mocks:
    """Everything of one stack. `start` returns when all listeners serve and the shared volume is filled.

    extra_hosts: names served besides the production ones, also in the certificate.
    """

    def __init__(self, settings: Settings, extra_hosts: Mapping[str, Service] | None = None) -> None:
        extra = extra_hosts or {}
        self.fakes = Fakes(settings)
        self.journal = Journal(settings.state_dir / "journal.jsonl")
        authority = Authority()
        self._pods = PodNames(settings.stack)
        announcements = Announcements()

        def service_at(host: str) -> Service | None:
            return service_of(host) or extra.get(host)

        self._exchanges = ExchangeLog(settings.state_dir / EXCHANGES) if settings.keep_exchanges else None
        gateway = Gateway(self.fakes, self.journal, self._pods, service_at, self._exchanges)
        guard = Handshakes(self.fakes, self.journal, self._pods, service_at)
        tls = TlsAdapter(authority.server_context((*certificate_names(), *extra)))
        control = Control(self.fakes, self.journal).app
        address, ports = settings.listen_address, settings.ports
        self._http = HttpListener(address, ports.http, gateway, THREADS, announcements)
        self._https = HttpListener(address, ports.https, gateway, THREADS, announcements, tls, guard)
        self._control = HttpListener(address, ports.control, control, CONTROL_THREADS, announcements)
        self._dns = DnsListener(address, ports.dns, Refusal(self.journal, self._pods, announcements))
        refused = outward(self.journal, self._pods)
        self._identity = IdentityListener(address, ports.identity, announcements, refused)
        provision(settings.shared_dir, authority.certificate())

    def ports(self) -> Ports:
        """The ports that are really listened on."""
        return Ports(
            self._http.port, self._https.port, self._control.port, self._dns.port, self._identity.port
        )

    def start(self) -> None:
        """Serve; the control API, which reports health, comes last. S3 loads from then on."""
        for listener in self._listeners():
            listener.start()
        self.fakes.s3.load()

    def stop(self) -> None:
        """Stop all listeners and close the journal."""
        for listener in self._listeners():
            listener.stop()
        self.journal.close()
        if self._exchanges is not None:
            self._exchanges.close()

    def _listeners(self) -> Iterable[HttpListener | DnsListener | IdentityListener]:
        return (self._identity, self._dns, self._http, self._https, self._control)
