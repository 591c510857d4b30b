"""The egress guard's ear: a DNS server that knows no name and journals each one asked for.

The engine's resolver answers the stack's own names and forwards the rest here, from within the asking pod.
"""

from dnslib import QTYPE, RCODE, DNSRecord  # type: ignore[import-untyped]
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer  # type: ignore[import-untyped]

from harness.mocks.identity import Announcements, Identity, Refused
from harness.mocks.journal import Event, Journal
from harness.mocks.pods import PodNames


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
        quiet = DNSLogger("error", prefix=False)
        self._udp = DNSServer(resolver, address=address, port=port, logger=quiet)
        self.port: int = self._udp.server.server_address[1]
        self._tcp = DNSServer(resolver, address=address, port=self.port, logger=quiet, tcp=True)

    def start(self) -> None:
        """Answer from now on, on two threads."""
        self._udp.start_thread()
        self._tcp.start_thread()

    def stop(self) -> None:
        """Stop answering and close the sockets."""
        for server in (self._udp, self._tcp):
            server.stop()
            server.server.server_close()
