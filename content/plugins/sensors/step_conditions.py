"""Waits for each effect of a step's proposal."""

from collections.abc import Mapping, Sequence
from typing import Any

from dfinity.conditions import AnyCondition, ProposalAccepted
from dfinity.rollout import ProposalOutcome
from dfinity.step import Step
from sensors.condition_sensor import StepConditionSensor


class WaitForAcceptance(StepConditionSensor):
    """Waits until the proposal is adopted; fails when it is rejected or failed. Nothing to do without one."""

    template_fields: Sequence[str] = ("step", "proposal")

    def __init__(self, *, proposal: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.proposal = proposal

    def condition(self, step: Step) -> ProposalAccepted | None:
        proposal_id = ProposalOutcome.from_payload(self.proposal).proposal_id
        return None if proposal_id is None or step.simulate else ProposalAccepted(proposal_id)


class WaitForRevision(StepConditionSensor):
    """Waits until the subnet's replicas, or the nodes, run the version."""

    def condition(self, step: Step) -> AnyCondition | None:
        return None if step.simulate else step.runs_version()


class WaitForNoAlerts(StepConditionSensor):
    """Waits until no alert fires for what was upgraded. A simulation looks once and logs what it sees."""

    def condition(self, step: Step) -> AnyCondition:
        return step.has_no_alerts()
