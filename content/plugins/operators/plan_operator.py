"""The common part of operators that plan a rollout: refuse it, let it wait for its turn, or hand out the plan."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from airflow.providers.common.compat.sdk import (
    AirflowNotFoundException,
    BaseHook,
    BaseOperator,
    Context,
    SkipMixin,
)

from dfinity.compat import other_runs, return_and_skip, variable_or_none
from dfinity.ic_admin import looks_like_pem
from dfinity.messages import waits_for_others
from dfinity.production import PROPOSER_KEY_VARIABLE, SLACK_CONNECTION_ID
from dfinity.turns import ahead
from operators.slack_messages import post
from sensors.turn_trigger import TurnTrigger


class Plan(Protocol):
    """What a planning task hands to the tasks after it."""

    @property
    def simulate(self) -> bool: ...

    def to_payload(self) -> dict[str, Any]: ...


class PlanOperator(BaseOperator, SkipMixin):
    """Returns the payload of the plan that `read` makes of the run's params, and skips what it does not use.

    A real rollout first waits, in the triggerer, until no other run of its DAG is under way, unless the param
    `wait_for_others` says no; then it reads the plan once more. A simulation neither waits nor is waited for.
    A plan with faults fails at once, before any waiting.
    """

    def read(self, params: Mapping[str, Any]) -> Plan:
        """The plan; raises AirflowFailException with all faults, or WebError."""
        raise NotImplementedError

    def unused_tasks(self, plan: Any) -> Iterator[Any]:
        """The tasks that the plan has no use for."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        return self._plan(context, is_new=True)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Called when it may be this run's turn."""
        return self._plan(context, is_new=False)

    def _plan(self, context: Context, *, is_new: bool) -> dict[str, Any]:
        params = context["params"]
        plan = self.read(params)
        if not plan.simulate and params.get("wait_for_others", True):
            self._take_turn(context, params, is_new)
        return return_and_skip(self, context, plan.to_payload(), list(self.unused_tasks(plan)))

    def _take_turn(self, context: Context, params: Mapping[str, Any], is_new: bool) -> None:
        """Defers while other runs are ahead; tells so once. This look decides: the task's state is `running`."""
        dag_id, run_id = self.dag_id, context["run_id"]
        before = ahead(run_id, other_runs(dag_id, run_id))
        if not before:
            return
        self.log.info("waiting for %s", ", ".join(before))
        if is_new:
            post(waits_for_others(dag_id, run_id, before))
        interval = float(params["sensor_interval"])
        self.defer(trigger=TurnTrigger(dag_id, run_id, interval), method_name="execute_complete")


def key_faults() -> list[str]:
    """What is wrong with the variable that holds the proposer's key."""
    key = variable_or_none(PROPOSER_KEY_VARIABLE)
    if key is None:
        return [f"variable {PROPOSER_KEY_VARIABLE} is missing; add it under Admin, Variables"]
    if not looks_like_pem(key):
        return [f"variable {PROPOSER_KEY_VARIABLE} does not hold the contents of a PEM file"]
    return []


def connection_faults(connection_id: str = SLACK_CONNECTION_ID) -> list[str]:
    """Whether a connection is missing."""
    try:
        BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return [f"connection {connection_id} is missing; add it under Admin, Connections"]
    return []
