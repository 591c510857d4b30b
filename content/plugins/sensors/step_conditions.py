"""Waits for each effect of a subnet's proposal."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfinity.conditions import NoAlerts, ProposalAccepted, SubnetRunsRevision
from dfinity.rollout import ProposalOutcome, SubnetRollout
from sensors.condition_sensor import SubnetConditionSensor


class WaitForAcceptance(SubnetConditionSensor):
    """Waits until the proposal is adopted; fails when it is rejected or failed. Nothing to do without one."""

    template_fields: Sequence[str] = ("subnet", "proposal")

    def __init__(self, *, proposal: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.proposal = proposal

    def condition(self, step: SubnetRollout) -> ProposalAccepted | None:
        proposal_id = ProposalOutcome.from_payload(self.proposal).proposal_id
        return None if proposal_id is None or step.simulate else ProposalAccepted(proposal_id)


class WaitForRevision(SubnetConditionSensor):
    """Waits until the subnet's replicas run the revision."""

    def condition(self, step: SubnetRollout) -> SubnetRunsRevision | None:
        if step.simulate:
            return None
        return SubnetRunsRevision(step.subnet_id, step.git_revision, step.replica_count)


class WaitForNoAlerts(SubnetConditionSensor):
    """Waits until no alert fires for the subnet. A simulation looks once and logs what it sees."""

    def condition(self, step: SubnetRollout) -> NoAlerts:
        return NoAlerts(step.subnet_id)
