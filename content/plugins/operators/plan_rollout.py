"""Reads and checks a rollout plan before anything is proposed."""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    BaseHook,
    BaseOperator,
    Context,
    SkipMixin,
)

from dfinity.compat import return_and_skip, variable_or_none
from dfinity.ic_admin import looks_like_pem
from dfinity.plan_entries import PlanEntry, entries_from_rows, entries_from_yaml
from dfinity.production import GOOGLE_CONNECTION_ID, PROPOSER_KEY_VARIABLE, SLACK_CONNECTION_ID
from dfinity.rollout import Rollout, plan_rollout
from dfinity.rollout_plan import parse_week, refusal, schedule
from dfinity.subnets import all_subnets
from dfinity.web import fetch


class PlanRollout(BaseOperator, SkipMixin):
    """Turns the run's params into a `Rollout` payload, or fails without retry, naming all faults at once.

    Params read: `git_revision`, `spreadsheet_id` or `plan`, `week`, `simulate`, `sensor_interval`. Skips the
    task groups of the batches which the plan does not use: those of the tasks directly downstream that carry a
    `batch`. An unreachable registry or sheet raises, so that Airflow tries again.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        rollout = self.read(context["params"])
        self.log.info("%s subnets in %s batches", rollout.subnet_count, len(rollout.batches))
        unused = list(self._unused_tasks(set(rollout.batches)))
        return return_and_skip(self, context, rollout.to_payload(), unused)

    def _unused_tasks(self, used: Set[int]) -> Iterator[Any]:
        """The tasks of unused batches, but for the ends of those before the last used one: later batches wait for them.

        All of them at once, not only the first of each group: the scheduler looks at what is left in every round.
        """
        starts = [task for task in self.downstream_list if getattr(task, "batch", None) not in (None, *used)]
        for start in starts:
            kept = (
                {end.task_id for end in start.task_group.get_leaves()}
                if start.batch < max(used, default=0)
                else set()
            )
            yield from (task for task in start.task_group.iter_tasks() if task.task_id not in kept)

    def read(self, params: Mapping[str, Any]) -> Rollout:
        """The rollout that the params ask for; raises AirflowFailException with all faults, or WebError."""
        faults: list[str] = []
        spreadsheet_id, plan = (str(params.get(name) or "").strip() for name in ("spreadsheet_id", "plan"))
        if bool(spreadsheet_id) == bool(plan):
            faults.append("the plan needs exactly one source: give either `spreadsheet_id` or `plan`")
        faults += _key_faults() + _connection_faults(SLACK_CONNECTION_ID)
        week = _week(params["week"], faults)
        entries: list[PlanEntry] = []
        if plan:
            entries = entries_from_yaml(plan, faults)
        elif spreadsheet_id:
            unreadable = _connection_faults(GOOGLE_CONNECTION_ID)
            faults += unreadable
            if week and not unreadable:
                entries = self._read_sheet(spreadsheet_id, params["week"], faults)
        batches = schedule(entries, week, fetch(all_subnets()), faults) if week and entries else []
        if faults:
            raise AirflowFailException(refusal(faults))
        return plan_rollout(
            batches,
            git_revision=params["git_revision"],
            week=params["week"],
            simulate=bool(params["simulate"]),
            sensor_interval=int(params["sensor_interval"]),
        )

    def _read_sheet(self, spreadsheet_id: str, tab: str, faults: list[str]) -> list[PlanEntry]:
        # Google's libraries take seconds to import, which only this task should pay.
        from airflow.providers.google.suite.hooks.sheets import GSheetsHook
        from googleapiclient.errors import HttpError

        hook = GSheetsHook(gcp_conn_id=GOOGLE_CONNECTION_ID)
        try:
            rows: Sequence[Sequence[object]] = hook.get_values(spreadsheet_id, f"'{tab}'!A:D")
        except HttpError as error:
            if error.status_code not in (400, 403, 404):
                raise
            faults.append(
                f"tab {tab} of spreadsheet {spreadsheet_id} cannot be read: {error.status_code} {error.reason}"
            )
            return []
        return entries_from_rows(rows, faults)


def _key_faults() -> list[str]:
    key = variable_or_none(PROPOSER_KEY_VARIABLE)
    if key is None:
        return [f"variable {PROPOSER_KEY_VARIABLE} is missing; add it under Admin, Variables"]
    if not looks_like_pem(key):
        return [f"variable {PROPOSER_KEY_VARIABLE} does not hold the contents of a PEM file"]
    return []


def _connection_faults(connection_id: str) -> list[str]:
    try:
        BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return [f"connection {connection_id} is missing; add it under Admin, Connections"]
    return []


def _week(text: str, faults: list[str]) -> date | None:
    try:
        return parse_week(text)
    except ValueError as error:
        faults.append(str(error))
        return None
