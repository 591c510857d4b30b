"""Which task of which DAG run opened a connection or looked up a name: what the pods announce over UDP.

`pods_site/sitecustomize.py` is the other side. A datagram is a JSON object: `port` (the connection's local TCP port)
or `host` (the name about to be looked up) or `address` (outside of the stack, about to be connected to), the last two
with `to`, the destination port, and the fields of `Identity`. It is acknowledged with `ok` once it counts; a malformed
one is neither answered nor kept.
"""

import json
import socketserver
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from harness.mocks.tenancy import tenant_of

MOST = 20_000
"""Announcements of either kind that are kept; beyond, the oldest go."""
LOOKUP_SECONDS = 10.0
"""How long after its announcement a question to the DNS is still taken for the announced one."""
ACKNOWLEDGEMENT = b"ok"

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Identity:
    """A task instance, or with all defaults nobody known."""

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0

    @property
    def tenant(self) -> str:
        """The tenancy it belongs to: its run's, else its DAG's."""
        return tenant_of(self.run_id, self.dag_id)


NOBODY = Identity()


@dataclass(slots=True)
class _LookUp:
    """When and for which port it was announced, and the record types of the questions that were taken for it."""

    at: float
    to: int
    asked: set[str] = field(default_factory=set)


class Announcements:
    """What was announced. Thread-safe and bounded.

    A port is announced just before it connects and belongs to that one connection: `take` removes it, so that a
    later connection from the same port that nobody announces is nobody's.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self._now = now
        self._most = most
        self._lock = threading.Lock()
        self._ports: OrderedDict[tuple[str, int], Identity] = OrderedDict()
        self._names: OrderedDict[tuple[str, str], dict[Identity, _LookUp]] = OrderedDict()

    def port(self, client: str, port: int, identity: Identity) -> None:
        """The next connection from (client address, TCP port) is `identity`'s."""
        with self._lock:
            _put(self._ports, (client, port), identity, self._most)

    def name(self, client: str, host: str, identity: Identity, to: int = 0) -> None:
        """`identity` is about to look up `host` from the client address, to connect to port `to` if that is known."""
        key, now = (client, _plain(host)), self._now()
        with self._lock:
            announced = _recent(self._names.get(key, {}), now)
            announced.pop(identity, None)
            _put(self._names, key, {**announced, identity: _LookUp(now, to)}, self._most)

    def take(self, client: str, port: int) -> Identity:
        """Whose the connection from (client address, TCP port) is, told once; else NOBODY."""
        with self._lock:
            return self._ports.pop((client, port), NOBODY)

    def asking(self, client: str, host: str, record_type: str) -> tuple[Identity, ...]:
        """Whose question a DNS question from that address can be; (NOBODY,) if nobody announced it lately.

        Tasks in one pod cannot be told apart by their questions. It is taken for that of everybody whose announcement
        is younger than LOOKUP_SECONDS and was not followed by such a question yet, for each of them will ask it; a
        repeated one for the last announcer's.
        """
        with self._lock:
            announced = _recent(self._names.get((client, _plain(host)), {}), self._now())
            waiting = [
                identity for identity, look_up in announced.items() if record_type not in look_up.asked
            ]
            for identity in waiting:
                announced[identity].asked.add(record_type)
            return tuple(waiting or list(announced)[-1:] or [NOBODY])

    def destination(self, client: str, host: str, identity: Identity) -> int:
        """The port for which `identity` last looked up `host`, 0 if that is not known."""
        with self._lock:
            look_up = self._names.get((client, _plain(host)), {}).get(identity)
            return look_up.to if look_up else 0


def _plain(host: str) -> str:
    return host.rstrip(".").lower()


def _recent(announced: dict[Identity, _LookUp], now: float) -> dict[Identity, _LookUp]:
    return {
        identity: look_up for identity, look_up in announced.items() if now - look_up.at <= LOOKUP_SECONDS
    }


def _put(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)


Refused = Callable[[str, str, int, Identity], None]
"""Told (client address, destination address, its port, who) of a connection that leads out of the stack."""


def record(datagram: bytes, client: str, announcements: Announcements, refused: Refused) -> bool:
    """Whether `datagram`, sent from the client address, was well-formed and now counts."""
    try:
        body = json.loads(datagram)
    except (ValueError, RecursionError):
        return False
    if not isinstance(body, dict):
        return False
    identity = _identity(body)
    about = [name for name in ("port", "host", "address") if body.get(name) is not None]
    to = body.get("to", 0)
    if identity is None or len(about) != 1 or type(to) is not int or not 0 <= to < 65536:
        return False
    value = body[about[0]]
    if about == ["port"]:
        if identity == NOBODY or type(value) is not int or not 0 < value < 65536:
            return False
        announcements.port(client, value, identity)
        return True
    if not isinstance(value, str) or not value:
        return False
    if about == ["address"]:
        refused(client, value, to, identity)
    elif identity == NOBODY:
        return False
    else:
        announcements.name(client, value, identity, to)
    return True


def _identity(body: dict[str, Any]) -> Identity | None:
    """The identity in a decoded datagram; None when a field is missing or of another type, or only half is there."""
    given: dict[str, Any] = {it.name: body.get(it.name) for it in fields(Identity)}
    if any(type(given[it.name]) is not it.type for it in fields(Identity)):
        return None
    identity = Identity(**given)
    return identity if identity == NOBODY or (identity.dag_id and identity.run_id) else None


class _Handler(socketserver.BaseRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        datagram, socket = self.request
        server = self.server
        if record(datagram, str(self.client_address[0]), server.announcements, server.refused):
            socket.sendto(ACKNOWLEDGEMENT, self.client_address)


class _Server(socketserver.UDPServer):
    def __init__(self, address: tuple[str, int], announcements: Announcements, refused: Refused) -> None:
        self.announcements = announcements
        self.refused = refused
        super().__init__(address, _Handler)


class IdentityListener:
    """Receives announcements at a UDP port (0: a free one), bound when the constructor returns."""

    def __init__(self, address: str, port: int, announcements: Announcements, refused: Refused) -> None:
        self._server = _Server((address, port), announcements, refused)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, name=f"identity-{self.port}", daemon=True
        )

    def start(self) -> None:
        """Answer from now on, on a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and close the socket."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
