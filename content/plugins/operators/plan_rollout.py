"""Reads and checks a rollout's plan for subnets before anything is proposed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

from dfinity.plan_entries import SHEET_RANGE, PlanEntry, entries_from_rows, entries_from_yaml
from dfinity.production import GOOGLE_CONNECTION_ID
from dfinity.rollout import Rollout, plan_rollout
from dfinity.rollout_plan import Batch, parse_moment, parse_week, refusal, schedule
from dfinity.subnets import all_subnets, find_subnet
from dfinity.web import fetch
from operators.plan_operator import PlanOperator, connection_faults, key_faults


class PlanRollout(PlanOperator):
    """Turns the run's params into a `Rollout` payload, or fails without retry, naming all faults at once.

    Params read: `git_revision`, `spreadsheet_id` or `plan`, `week`, `simulate`, `sensor_interval`,
    `wait_for_others`. Skips the task groups of the batches which the plan does not use: those of the tasks directly
    downstream that carry a `batch`. An unreachable registry or sheet raises, so that Airflow tries again.
    """

    def read(self, params: Mapping[str, Any]) -> Rollout:
        faults: list[str] = []
        if bool(_text(params, "spreadsheet_id")) == bool(_text(params, "plan")):
            faults.append("the plan needs exactly one source: give either `spreadsheet_id` or `plan`")
        faults += key_faults() + connection_faults()
        rollout = read_rollout(params, faults)
        if faults:
            raise AirflowFailException(refusal(faults))
        self.log.info("%s subnets in %s batches", rollout.subnet_count, len(rollout.batches))
        return rollout

    def unused_tasks(self, plan: Rollout) -> Iterator[Any]:
        """The tasks of unused batches, but for the ends of those before the last used one: later batches wait for them.

        All of them at once, not only the first of each group: the scheduler looks at what is left in every round.
        """
        used = set(plan.batches)
        starts = [task for task in self.downstream_list if getattr(task, "batch", None) not in (None, *used)]
        for start in starts:
            kept = (
                {end.task_id for end in start.task_group.get_leaves()}
                if start.batch < max(used, default=0)
                else set()
            )
            yield from (task for task in start.task_group.iter_tasks() if task.task_id not in kept)


class PlanSubnet(PlanRollout):
    """Makes a plan of one batch with one subnet, of the params `subnet` and `start_at`; else as `PlanRollout`."""

    def read(self, params: Mapping[str, Any]) -> Rollout:
        faults = key_faults() + connection_faults()
        start_at = datetime.now(UTC)
        if text := _text(params, "start_at"):
            start_at = parse_moment(text, faults) or start_at
        try:
            subnet = find_subnet(_text(params, "subnet"), fetch(all_subnets()))
        except LookupError as error:
            raise AirflowFailException(refusal([*faults, str(error)])) from None
        if faults:
            raise AirflowFailException(refusal(faults))
        return _rollout([Batch(1, start_at, (subnet,))], params, week=f"{start_at:%Y-%m-%d}")


def read_rollout(params: Mapping[str, Any], faults: list[str]) -> Rollout:
    """The rollout that the params ask for, or what of it can be understood; appends to `faults` all that is wrong.

    Raises WebError, or googleapiclient's HttpError when Google has trouble.
    """
    spreadsheet_id, plan = _text(params, "spreadsheet_id"), _text(params, "plan")
    week = _week(params["week"], faults)
    read_at = datetime.now(UTC)
    entries: list[PlanEntry] = []
    if plan:
        entries = entries_from_yaml(plan, faults)
    elif spreadsheet_id:
        unreadable = connection_faults(GOOGLE_CONNECTION_ID)
        faults += unreadable
        if week and not unreadable:
            entries = _read_sheet(spreadsheet_id, params["week"], faults)
    batches = schedule(entries, week, fetch(all_subnets()), faults) if week and entries else []
    return _rollout(
        batches,
        params,
        week=params["week"],
        spreadsheet_id=spreadsheet_id or None,
        read_at=read_at.isoformat(),
    )


def _rollout(batches: Sequence[Batch], params: Mapping[str, Any], **source: Any) -> Rollout:
    return plan_rollout(
        batches,
        git_revision=params["git_revision"],
        simulate=bool(params["simulate"]),
        sensor_interval=int(params["sensor_interval"]),
        **source,
    )


def _read_sheet(spreadsheet_id: str, tab: str, faults: list[str]) -> list[PlanEntry]:
    # Google's libraries take seconds to import, which only tasks that read a sheet should pay.
    from airflow.providers.google.suite.hooks.sheets import GSheetsHook
    from googleapiclient.errors import HttpError

    hook = GSheetsHook(gcp_conn_id=GOOGLE_CONNECTION_ID)
    try:
        rows: Sequence[Sequence[object]] = hook.get_values(spreadsheet_id, f"'{tab}'!{SHEET_RANGE}")
    except HttpError as error:
        if error.status_code not in (400, 403, 404):
            raise
        faults.append(
            f"tab {tab} of spreadsheet {spreadsheet_id} cannot be read: {error.status_code} {error.reason}"
        )
        return []
    return entries_from_rows(rows, faults)


def _text(params: Mapping[str, Any], name: str) -> str:
    return str(params.get(name) or "").strip()


def _week(text: str, faults: list[str]) -> date | None:
    try:
        return parse_week(text)
    except ValueError as error:
        faults.append(str(error))
        return None
