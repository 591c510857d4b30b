"""Proposes a step's change, unless that is done already."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator, Context

from dfinity.compat import variable_or_none
from dfinity.ic_admin import IcAdminError, propose
from dfinity.production import PROPOSER_KEY_VARIABLE
from dfinity.proposals import find_standing_proposal
from dfinity.rollout import ProposalOutcome
from dfinity.step import Step, step_from_payload


class CreateProposal(BaseOperator):
    """Returns a `ProposalOutcome` payload for the payload of a `Step`.

    Safe to retry, also after its worker was killed: it takes over a standing proposal of the same content, and looks
    for one again when ic-admin fails, since ic-admin can fail after the NNS has accepted the proposal. A step whose
    version the registry has already needs no proposal. A simulation only tries (`--dry-run`).
    """

    template_fields = ("step",)

    def __init__(self, *, step: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step

    def execute(self, context: Context) -> dict[str, Any]:
        step = step_from_payload(self.step)
        done = _standing(step) or _needless(step) or self._propose(step)
        self.log.info("%s: %s, proposal %s", step.label, done.outcome, done.proposal_id)
        return done.to_payload()

    def _propose(self, step: Step) -> ProposalOutcome:
        key = variable_or_none(PROPOSER_KEY_VARIABLE)
        if key is None:
            raise AirflowException(
                f"variable {PROPOSER_KEY_VARIABLE} is missing; add it under Admin, Variables"
            )
        try:
            proposal_id, output = propose(step.request(), key, dry_run=step.simulate)
        except IcAdminError as error:
            standing = _standing(step)
            if standing is None:
                raise
            self.log.warning("the proposal exists although ic-admin failed: %s", error)
            return standing
        self.log.info("ic-admin printed: %s", output.strip())
        return ProposalOutcome(
            subnet_id=step.target,
            outcome="simulated" if step.simulate else "created",
            proposal_id=proposal_id,
            needs_votes=not step.simulate,
        )


def _standing(step: Step) -> ProposalOutcome | None:
    found = find_standing_proposal(step.request(), datetime.now(UTC))
    if found is None:
        return None
    return ProposalOutcome(step.target, "existing", found.proposal_id, needs_votes=found.status == "OPEN")


def _needless(step: Step) -> ProposalOutcome | None:
    return ProposalOutcome(step.target, "not_needed", None, needs_votes=False) if step.is_needless() else None
