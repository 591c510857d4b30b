"""Proposals of the NNS that set versions, as the IC's public API lists them, and what is asked of the NNS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dfinity.production import PROPOSAL_PAGE_URL, PROPOSALS_URL
from dfinity.web import MalformedAnswerError, Query, fetch

PAGE_SIZE: Final = 100
"""The API answers 422 to more."""
SEARCH_HORIZON: Final = timedelta(days=90)
"""Older proposals are not looked at: the API cannot filter by subnet, and has years of them."""

ACCEPTED: Final = frozenset({"ADOPTED", "EXECUTED"})
REFUSED: Final = frozenset({"REJECTED", "FAILED"})
STANDING: Final = ACCEPTED | {"OPEN"}
"""States in which a second proposal of the same content would be a mistake."""

UPGRADE_SUBNET: Final = "DeployGuestosToAllSubnetNodes"
UPGRADE_API_BOUNDARY_NODES: Final = "DeployGuestosToSomeApiBoundaryNodes"
UPGRADE_UNASSIGNED_NODES: Final = "DeployGuestosToAllUnassignedNodes"
UPGRADE_HOSTS: Final = "DeployHostosToSomeNodes"

ALL_UNASSIGNED: Final = frozenset({"all unassigned nodes"})
"""The targets of a proposal for the unassigned nodes, which the NNS knows only as a whole."""

Content = tuple[frozenset[str], str]
"""What a proposal sets (ids of subnets or nodes), and to which version."""

_CONTENT: Final[Mapping[str, Callable[[Mapping[str, Any]], Content]]] = {
    UPGRADE_SUBNET: lambda payload: (
        frozenset({str(payload["subnet_id"])}),
        str(payload["replica_version_id"]),
    ),
    UPGRADE_API_BOUNDARY_NODES: lambda payload: (frozenset(payload["node_ids"]), str(payload["version"])),
    UPGRADE_UNASSIGNED_NODES: lambda payload: (ALL_UNASSIGNED, str(payload["elected_replica_version"])),
    UPGRADE_HOSTS: lambda payload: (frozenset(payload["node_ids"]), str(payload["hostos_version_id"])),
}


@dataclass(frozen=True)
class ProposalRequest:
    """A proposal to make: the NNS function `action`, ic-admin's `command` with its arguments, and texts for people.

    `targets` and `version` are what it comes to, by which an earlier proposal is known again.
    """

    action: str
    command: str
    arguments: tuple[str, ...]
    title: str
    summary: str
    targets: frozenset[str]
    version: str


@dataclass(frozen=True)
class Proposal:
    """One proposal; `made_at` is in UTC."""

    proposal_id: int
    status: str
    made_at: datetime
    targets: frozenset[str]
    version: str


def proposal_page(proposal_id: int) -> str:
    """Where people read the proposal and vote on it."""
    return f"{PROPOSAL_PAGE_URL}/{proposal_id}"


def proposal_status(proposal_id: int) -> Query[str]:
    """Asks what has become of one proposal; the API answers 404 (a WebError) as long as it has not indexed it."""
    return Query(f"{PROPOSALS_URL}/{proposal_id}", {}, _parse_status)


def proposals_page(action: str, offset: int) -> Query[list[Proposal]]:
    """Asks for up to PAGE_SIZE proposals of one NNS function, newest first, after skipping `offset` of them."""
    params = {"limit": str(PAGE_SIZE), "offset": str(offset), "include_action_nns_function": action}
    return Query(PROPOSALS_URL, params, lambda answer: _parse_page(answer, _CONTENT[action]))


def find_standing_proposal(
    request: ProposalRequest,
    now: datetime,
    ask: Callable[[Query[list[Proposal]]], list[Proposal]] = fetch,
) -> Proposal | None:
    """The newest proposal of the same content that is open, or was adopted and still decides, if there is one.

    An adopted one no longer decides when a newer adopted one sets some of its targets to another version: after a
    rollback the old proposal does not stand for a new one. Looks back SEARCH_HORIZON from `now`. Raises WebError.
    """
    offset = 0
    while True:
        page = ask(proposals_page(request.action, offset))
        for proposal in page:
            same = (proposal.targets, proposal.version) == (request.targets, request.version)
            if same and proposal.status in STANDING:
                return proposal
            other = proposal.version != request.version and proposal.targets & request.targets
            if other and proposal.status in ACCEPTED:
                return None
        if len(page) < PAGE_SIZE or page[-1].made_at < now - SEARCH_HORIZON:
            return None
        offset += PAGE_SIZE


def _parse_page(answer: object, content: Callable[[Mapping[str, Any]], Content]) -> list[Proposal]:
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise MalformedAnswerError("the proposals API's answer has no list `data`")
    return [_parse_proposal(item, content) for item in answer["data"]]


def _parse_proposal(item: object, content: Callable[[Mapping[str, Any]], Content]) -> Proposal:
    if not isinstance(item, dict):
        raise MalformedAnswerError("the proposals API's answer is not a proposal")
    targets, version = content(item["payload"])
    return Proposal(
        proposal_id=int(item["proposal_id"]),
        status=str(item["status"]),
        made_at=datetime.fromtimestamp(int(item["proposal_timestamp_seconds"]), UTC),
        targets=targets,
        version=version,
    )


def _parse_status(answer: object) -> str:
    if not isinstance(answer, dict):
        raise MalformedAnswerError("the proposals API's answer is not a proposal")
    return str(answer["status"])
