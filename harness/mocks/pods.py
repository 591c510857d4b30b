"""From a caller's address to the name of its pod, by the container engine's reverse DNS."""

import ipaddress
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dnslib import DNSError, DNSRecord  # type: ignore[import-untyped]

RESOLV_CONF = Path("/etc/resolv.conf")
LOOKUP_SECONDS = 1.0
SANDBOX = "-sandbox"


def nameserver(resolv_conf: Path = RESOLV_CONF) -> str | None:
    """The first name server that the system uses: in a container, the engine's."""
    try:
        lines = resolv_conf.read_text().splitlines()
    except OSError:
        return None
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    return servers[0] if servers else None


def reverse_lookup(address: str) -> str | None:
    """The PTR name of `address`, or None. Never takes longer than LOOKUP_SECONDS.

    The C library's lookup would take ten seconds for an address that the engine does not know.
    """
    server = nameserver()
    if server is None:
        return None
    question = DNSRecord.question(ipaddress.ip_address(address).reverse_pointer, "PTR")
    try:
        answer = DNSRecord.parse(question.send(server, 53, timeout=LOOKUP_SECONDS))
    except (OSError, DNSError):
        return None
    return str(answer.rr[0].rdata).rstrip(".") if answer.rr else None


class PodNames:
    """Names are cached for `lifetime` seconds: a restarted pod may come back on another's address.

    The engine's resolver answers `<container>.<network>`. The container is `<stack>-<service>`, or
    `<stack>-<pod>-sandbox`, the one that holds the network of all containers of a pod.
    """

    def __init__(
        self, stack: str, lookup: Callable[[str], str | None] = reverse_lookup, lifetime: float = 5.0
    ) -> None:
        self._prefix = f"{stack}-" if stack else ""
        self._lookup = lookup
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, str]] = {}
        self._asking: set[str] = set()

    def name(self, address: str) -> str:
        """The pod's name without the stack's prefix, or `address` itself when nobody knows it.

        While one thread asks again for a name that was known, others take that one and do not wait.
        """
        with self._lock:
            found = self._cache.get(address)
            fresh = found is not None and time.monotonic() - found[0] < self._lifetime
            if found is not None and (fresh or address in self._asking):
                return found[1]
            self._asking.add(address)
        try:
            name = self._lookup(address)
            pod = self._pod(name) if name else address
            with self._lock:
                self._cache[address] = (time.monotonic(), pod)
            return pod
        finally:
            with self._lock:
                self._asking.discard(address)

    def _pod(self, name: str) -> str:
        return name.split(".", 1)[0].removeprefix(self._prefix).removesuffix(SANDBOX)
