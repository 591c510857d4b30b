"""What the tasks of a rollout do one after the other: propose a change, wait until it shows, wait for calm."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from dfinity.conditions import AnyCondition
from dfinity.proposals import ProposalRequest


class Step(ABC):
    """One change by one proposal: a subnet's upgrade, or that of a wave of nodes."""

    simulate: bool
    sensor_interval: int
    """How often to look for votes, versions and alerts, in seconds."""

    @property
    @abstractmethod
    def target(self) -> str:
        """What is changed, among the changes of this rollout."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The same, short and for people."""

    @property
    @abstractmethod
    def part(self) -> str:
        """The part of the rollout that it belongs to, such as `Batch 3`."""

    @property
    @abstractmethod
    def change(self) -> str:
        """What is upgraded to what, for Slack."""

    @abstractmethod
    def request(self) -> ProposalRequest:
        """The proposal that makes the change."""

    @abstractmethod
    def is_needless(self) -> bool:
        """Whether the registry has the version already. Raises WebError."""

    @abstractmethod
    def runs_version(self) -> AnyCondition:
        """The change shows."""

    @abstractmethod
    def has_no_alerts(self) -> AnyCondition:
        """Calm has come."""

    @abstractmethod
    def to_payload(self) -> dict[str, Any]: ...


def step_from_payload(payload: Mapping[str, Any]) -> Step:
    """The step that another task has made, of whichever kind."""
    # Imported here: both build on this module.
    from dfinity.node_rollout import WaveStep
    from dfinity.rollout import SubnetRollout

    return WaveStep.from_payload(payload) if "wave" in payload else SubnetRollout.from_payload(payload)
