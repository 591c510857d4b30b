"""The egress guard's ear: a DNS server that knows no name and journals each one asked for.

The engine's resolver answers the stack's own names and forwards the rest here, from within the asking pod.
"""

from dnslib import QTYPE, RCODE, DNSRecord  # type: ignore[import-untyped]
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer  # type: ignore[import-untyped]

from harness.mocks.identity import Announcements, Identity, Refused
from harness.mocks.journal import Event, Journal
from harness.mocks.pods import PodNames

ATTEMPTS = 10
"""How many ports are tried where any will do."""


class Refusal(BaseResolver):  # type: ignore[misc]
    """Answers NXDOMAIN to everything.

    Reverse lookups are not journaled: they reach out to nobody, and naming the asking pod would make another one.
    A question has an entry for each task that can have asked it.
    """

    def __init__(self, journal: Journal, pods: PodNames, announcements: Announcements) -> None:
        self._journal = journal
        self._pods = pods
        self._announcements = announcements

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        """The answer to one question, after it is in the journal."""
        record_type = str(QTYPE.get(request.q.qtype, request.q.qtype))
        client = str(handler.client_address[0])
        if record_type != "PTR":
            self._remember(record_type, str(request.q.qname).rstrip(".").lower(), client)
        reply = request.reply()
        reply.header.rcode = RCODE.NXDOMAIN
        return reply

    def _remember(self, record_type: str, host: str, client: str) -> None:
        for identity in self._announcements.asking(client, host, record_type):
            event = Event(
                kind="dns",
                service="dns",
                method=record_type,
                host=host,
                client=client,
                pod=self._pods.name(client),
                status=RCODE.NXDOMAIN,
                unmocked=True,
                port=self._announcements.destination(client, host, identity),
                identity=identity,
            )
            self._journal.append(event)


def outward(journal: Journal, pods: PodNames) -> Refused:
    """Journals connections to addresses outside of the stack, which no name server hears of."""

    def remember(client: str, address: str, port: int, identity: Identity) -> None:
        event = Event(
            kind="connect",
            service="",
            method="CONNECT",
            host=address,
            client=client,
            pod=pods.name(client),
            unmocked=True,
            port=port,
            identity=identity,
        )
        journal.append(event)

    return remember


class DnsListener:
    """The responder on UDP and TCP at one port; port 0 takes a free one for both."""

    def __init__(self, address: str, port: int, resolver: Refusal) -> None:
        self._udp, self._tcp = _bound(address, port, resolver)
        self.port: int = self._udp.server.server_address[1]

    def start(self) -> None:
        """Answer from now on, on two threads."""
        self._udp.start_thread()
        self._tcp.start_thread()

    def stop(self) -> None:
        """Stop answering and close the sockets."""
        for server in (self._udp, self._tcp):
            server.stop()
            server.server.server_close()


def _bound(address: str, port: int, resolver: Refusal) -> tuple[DNSServer, DNSServer]:
    """The servers for UDP and TCP. Raises `OSError` for a port that is taken; for 0, when all that were tried are."""
    quiet = DNSLogger("error", prefix=False)
    attempts = 1 if port else ATTEMPTS
    for attempt in range(1, attempts + 1):
        udp = DNSServer(resolver, address=address, port=port, logger=quiet)
        # The kernel knows one that is free for UDP, and somebody may have the same for TCP.
        number = udp.server.server_address[1]
        try:
            return udp, DNSServer(resolver, address=address, port=number, logger=quiet, tcp=True)
        except OSError:
            udp.server.server_close()
            if attempt == attempts:
                raise
    raise AssertionError("the last attempt returns or raises")
