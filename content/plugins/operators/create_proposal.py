"""Proposes a subnet's upgrade, unless that is done already."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator, Context

from dfinity.compat import variable_or_none
from dfinity.ic_admin import IcAdminError, propose_upgrade
from dfinity.production import PROPOSER_KEY_VARIABLE
from dfinity.proposals import find_standing_proposal
from dfinity.rollout import ProposalOutcome, SubnetRollout
from dfinity.subnets import all_subnets, find_subnet
from dfinity.web import fetch


class CreateProposal(BaseOperator):
    """Returns a `ProposalOutcome` payload for the `SubnetRollout` payload `subnet`.

    Safe to retry: it takes over a standing proposal for the same subnet and revision, and looks for one
    again when ic-admin fails, since ic-admin can fail after the NNS has accepted the proposal. A subnet that
    the registry has on the revision already needs no proposal. A simulation only tries (`--dry-run`).
    """

    template_fields = ("subnet",)

    def __init__(self, *, subnet: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.subnet = subnet

    def execute(self, context: Context) -> dict[str, Any]:
        step = SubnetRollout.from_payload(self.subnet)
        done = _standing(step) or _needless(step) or self._propose(step)
        self.log.info("%s: %s, proposal %s", step.abbreviation, done.outcome, done.proposal_id)
        return done.to_payload()

    def _propose(self, step: SubnetRollout) -> ProposalOutcome:
        key = variable_or_none(PROPOSER_KEY_VARIABLE)
        if key is None:
            raise AirflowException(
                f"variable {PROPOSER_KEY_VARIABLE} is missing; add it under Admin, Variables"
            )
        try:
            proposal_id, output = propose_upgrade(step, key)
        except IcAdminError as error:
            standing = _standing(step)
            if standing is None:
                raise
            self.log.warning("the proposal exists although ic-admin failed: %s", error)
            return standing
        self.log.info("ic-admin printed: %s", output.strip())
        return ProposalOutcome(
            subnet_id=step.subnet_id,
            outcome="simulated" if step.simulate else "created",
            proposal_id=proposal_id,
            needs_votes=not step.simulate,
        )


def _standing(step: SubnetRollout) -> ProposalOutcome | None:
    found = find_standing_proposal(step.subnet_id, step.git_revision, datetime.now(UTC))
    if found is None:
        return None
    return ProposalOutcome(step.subnet_id, "existing", found.proposal_id, needs_votes=found.status == "OPEN")


def _needless(step: SubnetRollout) -> ProposalOutcome | None:
    subnet = find_subnet(step.subnet_id, fetch(all_subnets()))
    if subnet.replica_version_id != step.git_revision:
        return None
    return ProposalOutcome(step.subnet_id, "not_needed", None, needs_votes=False)
