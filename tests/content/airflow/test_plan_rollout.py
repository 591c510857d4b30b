"""Where the plan comes from, and what keeps it from being carried out."""

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException
from in_memory_ic import NEW, SUBNETS, InMemoryIc

from dfinity.rollout import Rollout
from operators.plan_rollout import PlanRollout

ROWS = [
    ["Day", "Time (UTC)", "Subnets", "Batch"],
    ["Monday", "9:00", "io67a, xok3w"],
    ["", "11:00", "vcpt7", "7"],
]
YAML = "Monday:\n  9:00: [io67a]"
Plan = Callable[..., Rollout]


@pytest.fixture
def sheet() -> dict[str, Any]:
    """What the spreadsheet `sheet-id` holds, by range; an exception is raised in place of an answer."""
    return {"'2024-01-01'!A:E": ROWS}


@pytest.fixture
def plan(ic: InMemoryIc, sheet: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Reads and checks a plan, in an Airflow with all variables and connections except those in `missing`."""

    class InMemorySheets:
        def __init__(self, gcp_conn_id: str) -> None:
            assert gcp_conn_id == "google_cloud_default"

        def get_values(self, spreadsheet_id: str, range_: str) -> Any:
            assert spreadsheet_id == "sheet-id"
            found = sheet[range_]
            if isinstance(found, Exception):
                raise found
            return found

    def read(
        missing: tuple[str, ...] = (), key: str = "-----BEGIN K-----\n-----END K-----", **params: Any
    ) -> Rollout:
        def connection(name: str) -> None:
            if name in missing:
                raise AirflowNotFoundException(name)

        monkeypatch.setattr("airflow.providers.google.suite.hooks.sheets.GSheetsHook", InMemorySheets)
        monkeypatch.setattr("operators.plan_operator.BaseHook.get_connection", connection)
        monkeypatch.setattr(
            "operators.plan_operator.variable_or_none", lambda name: None if name in missing else key
        )
        defaults = {
            "git_revision": NEW,
            "week": "2024-01-01",
            "spreadsheet_id": None,
            "plan": None,
            "simulate": True,
            "sensor_interval": 60,
        }
        return PlanRollout(task_id="plan").read(defaults | params)

    return read


def test_a_sheet_is_read_from_the_tab_of_the_week(plan: Plan) -> None:
    batches = plan(spreadsheet_id="sheet-id").batches
    assert {number: [s.subnet_id for s in subnets] for number, subnets in batches.items()} == {
        1: SUBNETS[:2],
        7: SUBNETS[2:3],
    }
    assert [s.start_at for s in batches[7]] == ["2024-01-01T11:00:00+00:00"]


def test_a_feature_of_the_sheet_gives_a_subnet_its_own_revision(plan: Plan, sheet: dict[str, Any]) -> None:
    sheet["'2024-01-01'!A:E"] = [
        [*ROWS[0], "Features"],
        ["Monday", "9:00", "io67a, xok3w", "", f"xok3w={'c' * 40}"],
    ]
    steps = plan(spreadsheet_id="sheet-id").batches[1]
    assert [step.git_revision for step in steps] == [NEW, "c" * 40]


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("vcpt7=" + "c" * 40, "the batch has no such subnet"),
        ("io67a=abc", "'abc' is not 40 hexadecimal digits"),
    ],
)
def test_a_feature_that_cannot_be_applied_is_a_fault(
    plan: Plan, sheet: dict[str, Any], cell: str, fault: str
) -> None:
    sheet["'2024-01-01'!A:E"] = [[*ROWS[0], "Features"], ["Monday", "9:00", "io67a, xok3w", "", cell]]
    with pytest.raises(AirflowFailException, match=fault):
        plan(spreadsheet_id="sheet-id")


def test_a_plan_from_a_sheet_says_where_it_was_read_and_one_from_yaml_does_not(plan: Plan) -> None:
    assert [plan(**source).spreadsheet_id for source in ({"spreadsheet_id": "sheet-id"}, {"plan": YAML})] == [
        "sheet-id",
        None,
    ]


def test_yaml_needs_no_google_connection(plan: Plan) -> None:
    assert plan(plan=YAML, missing=("google_cloud_default",)).subnet_count == 1


def test_the_run_is_a_simulation_only_if_it_was_asked_for(plan: Plan) -> None:
    assert [plan(plan=YAML, simulate=s).batches[1][0].simulate for s in (True, False)] == [True, False]


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({}, "give either `spreadsheet_id` or `plan`"),
        ({"plan": " ", "spreadsheet_id": ""}, "give either `spreadsheet_id` or `plan`"),
        ({"plan": YAML, "spreadsheet_id": "sheet-id"}, "give either `spreadsheet_id` or `plan`"),
        ({"plan": YAML, "week": "2024-01-02"}, "week 2024-01-02 is a Tuesday"),
        ({"plan": YAML, "missing": ("slack.ic_os_rollout",)}, "connection slack.ic_os_rollout is missing"),
        (
            {"spreadsheet_id": "sheet-id", "missing": ("google_cloud_default",)},
            "connection google_cloud_default is missing",
        ),
        (
            {"plan": YAML, "missing": ("dfinity.ic_admin.mainnet.proposer_key_file",)},
            "variable dfinity.ic_admin.mainnet.proposer_key_file is missing",
        ),
        ({"plan": YAML, "key": "/vault/key.pem"}, "does not hold the contents of a PEM file"),
        ({"plan": "Monday:\n  9:00: [nosuch]"}, "the registry has no subnet nosuch"),
    ],
)
def test_a_run_that_cannot_start_fails_for_good_and_says_why(
    plan: Plan, params: dict[str, Any], fault: str
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        plan(**params)
    assert fault in str(caught.value)
    assert "1 fault, no proposal was made" in str(caught.value)


def test_an_empty_sheet_is_a_fault(plan: Plan, sheet: dict[str, Any]) -> None:
    sheet["'2024-01-01'!A:E"] = []
    with pytest.raises(AirflowFailException, match="the sheet is empty"):
        plan(spreadsheet_id="sheet-id")


def http_error(status: int) -> Exception:
    from googleapiclient.errors import HttpError
    from httplib2 import Response

    return HttpError(Response({"status": status}), b'{"error": {"message": "Unable to parse range"}}')


def test_a_missing_tab_is_a_fault_that_names_it(plan: Plan, sheet: dict[str, Any]) -> None:
    sheet["'2024-01-01'!A:E"] = http_error(400)
    with pytest.raises(
        AirflowFailException, match="tab 2024-01-01 of spreadsheet sheet-id cannot be read: 400 Unable"
    ):
        plan(spreadsheet_id="sheet-id")


def test_trouble_on_googles_side_is_tried_again(plan: Plan, sheet: dict[str, Any]) -> None:
    sheet["'2024-01-01'!A:E"] = http_error(503)
    with pytest.raises(type(http_error(503))):
        plan(spreadsheet_id="sheet-id")
