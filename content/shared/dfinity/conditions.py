"""What a rollout waits for: each condition asks one question and judges the answer.

A condition travels to the triggerer as a payload, where newer code may read it: kinds and fields stay.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar

import httpx

from dfinity.metrics import firing_alerts, node_alerts, node_versions, replicas_by_revision
from dfinity.nodes import abbreviate_node
from dfinity.proposals import ACCEPTED, REFUSED, proposal_page, proposal_status
from dfinity.subnets import abbreviate
from dfinity.web import Query, fetch, fetch_async

T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """`met`, still `waiting`, or `impossible` (waiting longer is useless), and why."""

    state: Literal["met", "waiting", "impossible"]
    reason: str


class Condition(ABC, Generic[T]):
    """A question to a system outside, and how its answer is judged."""

    kind: ClassVar[str]

    @abstractmethod
    def query(self) -> Query[T]: ...

    @abstractmethod
    def judge(self, answer: T) -> Verdict: ...

    def look(self) -> Verdict:
        """Asks now; raises WebError."""
        return self.judge(fetch(self.query()))

    async def look_async(self, client: httpx.AsyncClient) -> Verdict:
        """As `look`, without blocking the event loop."""
        return self.judge(await fetch_async(self.query(), client))


@dataclass(frozen=True)
class ProposalAccepted(Condition[str]):
    """The proposal was adopted; rejected or failed, it never will be."""

    kind: ClassVar[str] = "proposal_accepted"
    proposal_id: int

    def query(self) -> Query[str]:
        return proposal_status(self.proposal_id)

    def judge(self, answer: str) -> Verdict:
        is_now = f"proposal {self.proposal_id} is {answer}"
        if answer in ACCEPTED:
            return Verdict("met", is_now)
        if answer in REFUSED:
            advice = "find out why, then start a rollout with the subnets that are left"
            return Verdict("impossible", f"{is_now}: see {proposal_page(self.proposal_id)}; {advice}")
        return Verdict("waiting", is_now)


@dataclass(frozen=True)
class SubnetRunsRevision(Condition[dict[str, int]]):
    """Every replica that reports runs the revision, and these are more than two thirds of the subnet.

    A replica that is down reports nothing; it does not hold up the rollout, but a subnet of which only a
    few replicas report is not taken for upgraded. Two thirds is what the subnet needs to make progress.
    """

    kind: ClassVar[str] = "subnet_runs_revision"
    subnet_id: str
    git_revision: str
    replica_count: int

    def query(self) -> Query[dict[str, int]]:
        return replicas_by_revision(self.subnet_id)

    def judge(self, answer: dict[str, int]) -> Verdict:
        upgraded = answer.get(self.git_revision, 0)
        others = {
            version: count for version, count in answer.items() if version != self.git_revision and count
        }
        counted = (
            f"{upgraded} of {self.replica_count} replicas of {abbreviate(self.subnet_id)} report the revision"
        )
        if others:
            return Verdict("waiting", f"{counted}, {sum(others.values())} report another")
        if upgraded * 3 <= self.replica_count * 2:
            return Verdict("waiting", f"{counted}, more than two thirds must")
        return Verdict("met", counted)


@dataclass(frozen=True)
class NoAlerts(Condition[list[str]]):
    """No alert fires for the subnet."""

    kind: ClassVar[str] = "no_alerts"
    subnet_id: str

    def query(self) -> Query[list[str]]:
        return firing_alerts(self.subnet_id)

    def judge(self, answer: list[str]) -> Verdict:
        name = abbreviate(self.subnet_id)
        if answer:
            return Verdict("waiting", f"alerts fire for {name}: {', '.join(answer)}")
        return Verdict("met", f"no alerts fire for {name}")


@dataclass(frozen=True)
class NodesRunVersion(Condition[dict[str, set[str]]]):
    """Each node reports the version and no other, but for `tolerance` of them at most.

    `metric` is what they report it by. A node that is down reports nothing, and so is behind.
    """

    kind: ClassVar[str] = "nodes_run_version"
    metric: str
    version: str
    node_ids: Sequence[str]
    tolerance: int

    def query(self) -> Query[dict[str, set[str]]]:
        return node_versions(self.metric)

    def judge(self, answer: dict[str, set[str]]) -> Verdict:
        behind = [node for node in self.node_ids if answer.get(node) != {self.version}]
        total = len(self.node_ids)
        reason = f"{total - len(behind)} of {total} nodes report the version{_behind(behind, self.tolerance)}"
        return Verdict("waiting" if len(behind) > self.tolerance else "met", reason)


@dataclass(frozen=True)
class NodesHaveNoAlerts(Condition[dict[str, set[str]]]):
    """No alert fires for the nodes, but for `tolerance` of them at most."""

    kind: ClassVar[str] = "nodes_have_no_alerts"
    node_ids: Sequence[str]
    tolerance: int

    def query(self) -> Query[dict[str, set[str]]]:
        return node_alerts()

    def judge(self, answer: dict[str, set[str]]) -> Verdict:
        troubled = [node for node in self.node_ids if node in answer]
        if not troubled:
            return Verdict("met", f"no alerts fire for the {len(self.node_ids)} nodes")
        names = ", ".join(sorted(set().union(*(answer[node] for node in troubled))))
        reason = f"alerts fire ({names}){_behind(troubled, self.tolerance)}"
        return Verdict("waiting" if len(troubled) > self.tolerance else "met", reason)


def _behind(nodes: Sequence[str], tolerance: int) -> str:
    """Which nodes are not as they should be, the first few by name."""
    if not nodes:
        return ""
    named = ", ".join(abbreviate_node(node) for node in nodes[:10])
    more = f" and {len(nodes) - 10} more" if len(nodes) > 10 else ""
    return f", not {named}{more}; {tolerance} may be missing"


AnyCondition = ProposalAccepted | SubnetRunsRevision | NoAlerts | NodesRunVersion | NodesHaveNoAlerts
_KINDS: Final[Mapping[str, type[AnyCondition]]] = {
    cls.kind: cls
    for cls in (ProposalAccepted, SubnetRunsRevision, NoAlerts, NodesRunVersion, NodesHaveNoAlerts)
}


def condition_to_payload(condition: AnyCondition) -> dict[str, Any]:
    """The condition as JSON, for `condition_from_payload`."""
    fields = {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(condition).items()
    }
    return {"kind": condition.kind, **fields}


def condition_from_payload(payload: Mapping[str, Any]) -> AnyCondition:
    """Raises KeyError for a kind that is not known."""
    fields = {name: value for name, value in payload.items() if name != "kind"}
    return _KINDS[payload["kind"]](**fields)
