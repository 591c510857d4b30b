"""The test's side of the mocks: typed handles over the control API. Used by the harness, never by the server.

mocks = MocksControl("http://172.20.0.2:8099")
mocks.sheets.put("plan", "2026-11-16", [["Day", "Time (UTC)", "Subnets", "Batch"], ...])
mocks.slack.messages(channel="ic-os-rollout")[-1].text
mine = mocks.for_tenant(new_tenant())  # sees and changes one tenancy only
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from harness.mocks.tenancy import HEADER

TIMEOUT_SECONDS = 10.0


class MocksError(Exception):
    """The mocks could not be asked, or said no."""


class MocksUnreachableError(MocksError):
    """Nothing answers at the control address."""


class MocksRefusedError(MocksError):
    """The control API answered with an error status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """A message as it was posted; `channel` is its name without '#', `pod` who posted it."""

    ts: str
    channel: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str | None
    user: str
    pod: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An NNS proposal as the public API shows it now; `created` in UNIX seconds."""

    proposal_id: int
    subnet_id: str
    replica_version_id: str
    status: str
    proposer: str
    title: str
    summary: str
    created: int


@dataclass(frozen=True, slots=True)
class AdminCall:
    """One run of `ic-admin` that reached the NNS. `proposal_id` is None for a dry run or a refusal."""

    command: str
    subnet_id: str
    replica_version_id: str
    proposer: str
    title: str
    summary: str
    dry_run: bool
    pod: str
    time: float
    proposal_id: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object of a bucket; `modified` as S3 writes it."""

    key: str
    size: int
    modified: str


@dataclass(frozen=True, slots=True)
class Request:
    """One journal entry: an HTTP request (kind "http") or a DNS question (kind "dns": host is the name asked for,
    method the record type). `unmocked`: nobody serves it. `error`: the mocks themselves failed.

    The last six tell which task asked: "", -1 and 0 where nobody is known; `tenant` also where it belongs to none.
    """

    seq: int
    time: datetime
    kind: str
    service: str
    method: str
    host: str
    path: str
    query: Mapping[str, list[str]]
    request: Any
    status: int
    duration_ms: float
    client: str
    pod: str
    unmocked: bool
    error: str
    tenant: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


@dataclass(frozen=True, slots=True)
class EgressAttempt:
    """A pod tried to reach something that nobody mocks: a host name it looked up, or a path of a mocked host.

    The last three tell which task, empty when nobody is known.
    """

    seq: int
    time: datetime
    pod: str
    host: str
    path: str
    dag_id: str
    run_id: str
    task_id: str


@dataclass(frozen=True, slots=True)
class MocksTally:
    """How many messages and proposals all tenants made since the last full reset, and objects in the log bucket."""

    slack_messages: int
    proposals: int
    log_objects: int


@dataclass(frozen=True, slots=True)
class Pristine:
    """True when nothing is left of anybody; else `why` says what is, each in a few words."""

    why: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.why


class _Connection:
    """HTTP to the control API in one tenancy's name, with its errors turned into MocksError."""

    def __init__(self, client: httpx.Client, tenant: str) -> None:
        self._client = client
        self._headers = {HEADER: tenant} if tenant else {}

    def for_tenant(self, tenant: str) -> "_Connection":
        """The same, in another's name."""
        return _Connection(self._client, tenant)

    def call(
        self, method: str, path: str, body: Any = None, **parameters: str | int | None
    ) -> httpx.Response:
        """One request; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            response = self._client.request(method, path, json=body, params=given, headers=self._headers)
        except httpx.TransportError as error:
            raise MocksUnreachableError(
                f"the mocks at {self._client.base_url} do not answer: {error}"
            ) from error
        if response.is_error:
            raise MocksRefusedError(response.status_code, _reason(response))
        return response

    def json(self, method: str, path: str, body: Any = None, **parameters: str | int | None) -> Any:
        """The decoded answer of `call`."""
        return self.call(method, path, body, **parameters).json()

    def close(self) -> None:
        self._client.close()


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text


class SlackReader:
    """The mocked workspace."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def messages(self, channel: str | None = None) -> list[SlackMessage]:
        """Messages in the order they were posted; `channel` by name (with or without '#') or id."""
        found = self._connection.json("GET", "/slack/messages", channel=channel)
        return [SlackMessage(**message) for message in found]

    def set_channels(self, names: Sequence[str]) -> None:
        """Make exactly these channels exist."""
        self._connection.call("PUT", "/slack/channels", {"channels": list(names)})


class SheetsReader:
    """The mocked spreadsheets."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def put(
        self, spreadsheet_id: str, tab: str, rows: Sequence[Sequence[str | int | float | bool | None]]
    ) -> None:
        """Make a tab hold exactly `rows`, as if a person typed them; creates tab and spreadsheet."""
        self._connection.call("PUT", _tab_path(spreadsheet_id, tab), {"rows": [list(row) for row in rows]})

    def rows(self, spreadsheet_id: str, tab: str) -> list[list[str]]:
        """What the tab shows, without empty ends. MocksRefusedError (404) when it does not exist."""
        rows: list[list[str]] = self._connection.json("GET", _tab_path(spreadsheet_id, tab))["rows"]
        return rows


def _tab_path(spreadsheet_id: str, tab: str) -> str:
    return f"/sheets/{quote(spreadsheet_id, safe='')}/{quote(tab, safe='')}"


class S3Reader:
    """The mocked object store."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def objects(self, bucket: str, prefix: str = "") -> list[S3Object]:
        """Objects in key order. MocksRefusedError (404) when the bucket does not exist."""
        found = self._connection.json("GET", "/s3/objects", bucket=bucket, prefix=prefix)["objects"]
        return [S3Object(**item) for item in found]

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Their keys alone."""
        return [item.key for item in self.objects(bucket, prefix)]

    def read(self, bucket: str, key: str) -> bytes:
        """An object's content. MocksRefusedError (404) when it does not exist."""
        return self._connection.call("GET", "/s3/object", bucket=bucket, key=key).content


class IcReader:
    """The mocked Internet Computer."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def set_registry(self, subnets: Sequence[Mapping[str, Any]]) -> None:
        """Replace the subnets: {"subnet_id", "replica_count", "subnet_type", "replica_version_id"} each."""
        self._connection.call("PUT", "/ic/registry", {"subnets": [dict(subnet) for subnet in subnets]})

    def registry(self) -> list[dict[str, Any]]:
        """The subnets with their present versions."""
        subnets: list[dict[str, Any]] = self._connection.json("GET", "/ic/registry")
        return subnets

    def settings(
        self,
        acceptance_delay: float | None = None,
        upgrade_delay: float | None = None,
        auto: bool | None = None,
    ) -> None:
        """Change how proposals made from now on move (seconds); `auto=False` leaves it to accept and reject."""
        given = {"acceptance_delay": acceptance_delay, "upgrade_delay": upgrade_delay, "auto": auto}
        changes = {name: value for name, value in given.items() if value is not None}
        self._connection.call("PUT", "/ic/settings", changes)

    def proposals(self) -> list[Proposal]:
        """All proposals, newest first."""
        return [_proposal(item) for item in self._connection.json("GET", "/ic/proposals")]

    def accept(self, proposal_id: int) -> Proposal:
        """Adopt and execute an open proposal. MocksRefusedError: 404 unknown, 409 no longer open."""
        return _proposal(self._connection.json("POST", f"/ic/proposals/{proposal_id}/accept"))

    def reject(self, proposal_id: int) -> Proposal:
        """Reject an open proposal. MocksRefusedError: 404 unknown, 409 no longer open."""
        return _proposal(self._connection.json("POST", f"/ic/proposals/{proposal_id}/reject"))

    def set_alerts(self, subnet_id: str, alerts: Sequence[str | Mapping[str, str]]) -> None:
        """Replace what fires for a subnet: names, or {"alertname", "severity"}; nothing clears it."""
        items = [alert if isinstance(alert, str) else dict(alert) for alert in alerts]
        self._connection.call("PUT", "/ic/alerts", {"subnet_id": subnet_id, "alerts": items})

    def admin_calls(self) -> list[AdminCall]:
        """Every `ic-admin` run that reached the NNS, oldest first, dry runs and refused ones too."""
        return [AdminCall(**item) for item in self._connection.json("GET", "/ic/admin-calls")]


def _proposal(item: Mapping[str, Any]) -> Proposal:
    return Proposal(
        proposal_id=item["proposal_id"],
        subnet_id=item["payload"]["subnet_id"],
        replica_version_id=item["payload"]["replica_version_id"],
        status=item["status"],
        proposer=item["proposer"],
        title=item["title"],
        summary=item["summary"],
        created=item["proposal_timestamp_seconds"],
    )


class MocksControl:
    """Handles on a running mocks pod. Raises MocksUnreachableError and MocksRefusedError from every method.

    tenant: whose world, journal and objects it is about. Without one: the default world, everybody's journal and
    objects, and the reset of everything.
    """

    def __init__(self, base_url: str, tenant: str = "") -> None:
        client = httpx.Client(base_url=base_url, timeout=TIMEOUT_SECONDS, trust_env=False)
        self._use(_Connection(client, tenant))

    def _use(self, connection: _Connection) -> None:
        self._connection = connection
        self.slack = SlackReader(connection)
        self.sheets = SheetsReader(connection)
        self.s3 = S3Reader(connection)
        self.ic = IcReader(connection)

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
        return [Request(**{**entry, "time": datetime.fromisoformat(entry["time"])}) for entry in found]

    def egress(self, since: int = 0) -> list[EgressAttempt]:
        """Attempts to reach what nobody mocks, each (pod, task, host, path) once, where it first came up.

        Names without a dot are left out: they are the stack's own (of a pod that is down).
        """
        attempts: dict[tuple[str, ...], EgressAttempt] = {}
        for entry in self.journal(since):
            if entry.unmocked and "." in entry.host:
                what = (entry.pod, entry.host, entry.path, entry.dag_id, entry.run_id, entry.task_id)
                attempts.setdefault(what, EgressAttempt(entry.seq, entry.time, *what))
        return list(attempts.values())

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
