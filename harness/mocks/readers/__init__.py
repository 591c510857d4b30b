"""The test's side of the mocks: typed handles over the control API. Used by the harness, never by the server.

mocks = MocksControl("http://172.20.0.2:8099")
mocks.sheets.put("plan", "2026-11-16", [["Day", "Time (UTC)", "Subnets", "Batch"], ...])
mocks.slack.messages(channel="ic-os-rollout")[-1].text
mocks.slack.fail_next(429, retry_after=3)
mocks.ledger()  # side effects, for harness.checks
mine = mocks.for_tenant(new_tenant())  # sees and changes one tenancy only
"""

from types import TracebackType
from typing import Self

import httpx

from harness.mocks.ledger import Effect, effects_of
from harness.mocks.names import Service
from harness.mocks.readers.connection import (
    TIMEOUT_SECONDS,
    Connection,
    MocksError,
    MocksRefusedError,
    MocksUnreachableError,
)
from harness.mocks.readers.faults import FaultHandle, Scripted
from harness.mocks.readers.google import SheetsReader
from harness.mocks.readers.ic import AdminCall, IcReader, Proposal
from harness.mocks.readers.journal import (
    EgressAttempt,
    MocksTally,
    Pristine,
    Request,
    attempts,
    request_of,
)
from harness.mocks.readers.s3 import S3Object, S3Reader
from harness.mocks.readers.slack import SlackMessage, SlackReader

__all__ = [
    "AdminCall",
    "Effect",
    "EgressAttempt",
    "FaultHandle",
    "IcReader",
    "MocksControl",
    "MocksError",
    "MocksRefusedError",
    "MocksTally",
    "MocksUnreachableError",
    "Pristine",
    "Proposal",
    "Request",
    "S3Object",
    "S3Reader",
    "Scripted",
    "SheetsReader",
    "SlackMessage",
    "SlackReader",
]


class MocksControl:
    """Handles on a running mocks pod. Raises MocksUnreachableError and MocksRefusedError from every method.

    tenant: whose world, journal and objects it is about. Without one: the default world, everybody's journal and
    objects, and the reset of everything. timeout: seconds that an answer may take.
    """

    def __init__(
        self,
        base_url: str,
        tenant: str = "",
        timeout: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        client = httpx.Client(base_url=base_url, timeout=timeout, trust_env=False, transport=transport)
        self._use(Connection(client, tenant))

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self.slack = SlackReader(connection)
        self.sheets = SheetsReader(connection)
        self.s3 = S3Reader(connection)
        self.ic = IcReader(connection)
        self.faults = Scripted(connection, *Service)

    def for_tenant(self, tenant: str) -> "MocksControl":
        """A handle on the same mocks that sees and changes one tenancy only; it closes and is closed with this one."""
        other = MocksControl.__new__(MocksControl)
        other._use(self._connection.for_tenant(tenant))
        return other

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def healthy(self) -> bool:
        """Whether the mocks answer and all of their fakes work."""
        try:
            self._connection.call("GET", "/healthz")
        except MocksError:
            return False
        return True

    def journal(self, since: int = 0, service: str | None = None, pod: str | None = None) -> list[Request]:
        """What reached the mocks after entry number `since`, oldest first."""
        found = self._connection.json("GET", "/journal", since=since, service=service, pod=pod)
        return [request_of(entry) for entry in found]

    def egress(self, since: int = 0) -> list[EgressAttempt]:
        """Attempts to reach what nobody mocks, each once (`journal.attempts`)."""
        return attempts(self.journal(since))

    def ledger(self, since: int = 0) -> list[Effect]:
        """The outward side effects, oldest first, each with the task that caused it where that is known."""
        return effects_of(self._connection.json("GET", "/journal", since=since))

    def next_due(self) -> float | None:
        """The earliest moment (UNIX seconds) in the future at which anything here changes by itself, of anybody."""
        due: float | None = self._connection.json("GET", "/next_due")["next_due"]
        return due

    def tally(self) -> MocksTally:
        """What all tenants made since the last full reset. Not for a tenant's handle: MocksRefusedError (400)."""
        return MocksTally(**self._connection.json("GET", "/tally"))

    def pristine(self) -> Pristine:
        """Whether a reset left anything: anywhere, or of this handle's tenant (whose objects stay in S3)."""
        return Pristine(tuple(self._connection.json("GET", "/pristine")["why"]))

    def reset(self) -> None:
        """Everything back to pristine, the journal empty; certificates and access tokens stay valid.

        Of a tenant's handle: only what is the tenant's, and S3 keeps its objects.
        """
        self._connection.call("POST", "/reset")
