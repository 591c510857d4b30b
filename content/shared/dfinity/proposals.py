"""Proposals of the NNS that set a subnet's GuestOS revision, as the IC's public API lists them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from dfinity.production import PROPOSAL_PAGE_URL, PROPOSALS_URL
from dfinity.web import MalformedAnswerError, Query, fetch

ACTION: Final = "DeployGuestosToAllSubnetNodes"
PAGE_SIZE: Final = 100
"""The API answers 422 to more."""
SEARCH_HORIZON: Final = timedelta(days=90)
"""Older proposals are not looked at: the API cannot filter by subnet, and has years of them."""

ACCEPTED: Final = frozenset({"ADOPTED", "EXECUTED"})
REFUSED: Final = frozenset({"REJECTED", "FAILED"})
STANDING: Final = ACCEPTED | {"OPEN"}
"""States in which a second proposal of the same content would be a mistake."""


@dataclass(frozen=True)
class Proposal:
    """One proposal; `made_at` is in UTC."""

    proposal_id: int
    status: str
    made_at: datetime
    subnet_id: str
    replica_version_id: str


def proposal_page(proposal_id: int) -> str:
    """Where people read the proposal and vote on it."""
    return f"{PROPOSAL_PAGE_URL}/{proposal_id}"


def proposal_by_id(proposal_id: int) -> Query[Proposal]:
    """Asks for one proposal; the API answers 404 (a WebError) as long as it has not indexed it."""
    return Query(f"{PROPOSALS_URL}/{proposal_id}", {}, _parse_proposal)


def proposals_page(offset: int) -> Query[list[Proposal]]:
    """Asks for up to PAGE_SIZE proposals, newest first, after skipping `offset` of them."""
    params = {
        "limit": str(PAGE_SIZE),
        "offset": str(offset),
        "include_action_nns_function": ACTION,
    }
    return Query(PROPOSALS_URL, params, _parse_page)


def find_standing_proposal(
    subnet_id: str,
    replica_version_id: str,
    now: datetime,
    ask: Callable[[Query[list[Proposal]]], list[Proposal]] = fetch,
) -> Proposal | None:
    """The newest open, adopted or executed proposal that sets this subnet to this revision, if any.

    Looks back SEARCH_HORIZON from `now`. Raises WebError.
    """
    offset = 0
    while True:
        page = ask(proposals_page(offset))
        for proposal in page:
            same = (proposal.subnet_id, proposal.replica_version_id) == (subnet_id, replica_version_id)
            if same and proposal.status in STANDING:
                return proposal
        if len(page) < PAGE_SIZE or page[-1].made_at < now - SEARCH_HORIZON:
            return None
        offset += PAGE_SIZE


def _parse_page(answer: object) -> list[Proposal]:
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise MalformedAnswerError("the proposals API's answer has no list `data`")
    return [_parse_proposal(item) for item in answer["data"]]


def _parse_proposal(item: object) -> Proposal:
    if not isinstance(item, dict):
        raise MalformedAnswerError("the proposals API's answer is not a proposal")
    payload = item["payload"]
    return Proposal(
        proposal_id=int(item["proposal_id"]),
        status=str(item["status"]),
        made_at=datetime.fromtimestamp(int(item["proposal_timestamp_seconds"]), UTC),
        subnet_id=str(payload["subnet_id"]),
        replica_version_id=str(payload["replica_version_id"]),
    )
