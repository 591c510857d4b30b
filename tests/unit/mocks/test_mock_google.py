"""The mocked Google token endpoint and Sheets API, met by google-auth and google-api-python-client."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import google_auth_httplib2
import httplib2
import httpx
import jwt
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from harness.mocks.readers import MocksControl, MocksRefusedError

from .conftest import CLIENT_EMAIL, Running, private_key_pem

SCOPES = ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/spreadsheets"]
PLAN, TAB = "the-plan", "2026-11-16"
ROWS = [
    ["Day", "Time (UTC)", "Subnets", "Batch"],
    ["Monday", "9:00", "io67a, xok3w", ""],
    ["", "11:00", "shefu", "30"],
]

Connect = Callable[..., Any]


class OneHttp(httplib2.Http):
    """Not to be copied: google-auth would look up the regional boundary on a copy in the background, and leave
    the copy's sockets open."""

    def __deepcopy__(self, _memo: object) -> "OneHttp":
        raise TypeError("this transport is not copied")


@pytest.fixture
def connect(production_names: Running, service_account: dict[str, str]) -> Iterator[Connect]:
    """Makes a `spreadsheets` client the way Airflow's hook does."""

    opened: list[Any] = []

    def make(scopes: list[str] = SCOPES, **changes: str) -> Any:
        credentials = Credentials.from_service_account_info({**service_account, **changes}, scopes=scopes)
        http = google_auth_httplib2.AuthorizedHttp(
            credentials, http=OneHttp(ca_certs=str(production_names.ca_bundle), timeout=10)
        )
        opened.append(http)
        return build("sheets", "v4", http=http, cache_discovery=False).spreadsheets()

    yield make
    for http in opened:
        http.close()


@pytest.fixture
def plan(mocks: MocksControl, connect: Connect) -> Any:
    """The client, with a plan on the sheet."""
    mocks.sheets.put(PLAN, TAB, ROWS)
    return connect()


def values(client: Any, a1_range: str, **options: str) -> Any:
    return client.values().get(spreadsheetId=PLAN, range=a1_range, **options).execute().get("values")


def httpx_get(client: Any, path: str, **query: str) -> httpx.Response:
    """A request that google-api-python-client would refuse to send, with the client's token."""
    token = client._http.credentials.token
    headers = {"Authorization": f"Bearer {token}"}
    url = f"https://sheets.googleapis.com/v4/spreadsheets/{PLAN}{path}"
    return httpx.get(url, params=query, headers=headers)


def message_of(call: Any) -> str:
    with pytest.raises(HttpError) as caught:
        call.execute()
    return f"{caught.value.status_code} {caught.value.reason}"


def test_a_tab_is_read_by_its_quoted_name_without_empty_ends(plan: Any) -> None:
    assert values(plan, f"'{TAB}'!A1:D") == [ROWS[0], ["Monday", "9:00", "io67a, xok3w"], ROWS[2]]


@pytest.mark.parametrize(
    ("a1_range", "expected"),
    [
        (f"'{TAB}'", [ROWS[0], ROWS[1][:3], ROWS[2]]),
        (f"'{TAB}'!A:B", [["Day", "Time (UTC)"], ["Monday", "9:00"], ["", "11:00"]]),
        (f"'{TAB}'!B2:B", [["9:00"], ["11:00"]]),
        (f"'{TAB}'!2:2", [["Monday", "9:00", "io67a, xok3w"]]),
        (f"'{TAB}'!D3", [["30"]]),
        (f"'{TAB}'!C3:B2", [["9:00", "io67a, xok3w"], ["11:00", "shefu"]]),
        ("A1:B1", [["Day", "Time (UTC)"]]),
        (f"'{TAB}'!A10:D20", None),
    ],
)
def test_ranges_open_and_closed_mean_what_google_says(plan: Any, a1_range: str, expected: Any) -> None:
    assert values(plan, a1_range) == expected


def test_the_answer_names_the_range_clipped_to_the_grid(plan: Any) -> None:
    answer = plan.values().get(spreadsheetId=PLAN, range=f"'{TAB}'!A2:ZZ").execute()
    assert answer["range"] == f"'{TAB}'!A2:Z1000"


@pytest.mark.parametrize("a1_range", [f"{TAB}!A1:D", "'2026-11-23'!A1", "Nothing!A1:", f"'{TAB}'!A0", TAB])
def test_a_range_that_is_none_is_refused_in_googles_words(plan: Any, a1_range: str) -> None:
    call = plan.values().get(spreadsheetId=PLAN, range=a1_range)
    assert message_of(call) == f"400 Unable to parse range: {a1_range}"


def test_a_range_outside_the_grid_is_refused(plan: Any) -> None:
    call = plan.values().get(spreadsheetId=PLAN, range=f"'{TAB}'!A2000")
    assert "exceeds grid limits" in message_of(call)


def test_an_unknown_spreadsheet_is_not_found(plan: Any) -> None:
    call = plan.values().get(spreadsheetId="elsewhere", range="A1")
    assert message_of(call) == "404 Requested entity was not found."


def test_values_come_formatted_or_raw_by_rows_or_by_columns(plan: Any) -> None:
    assert values(plan, f"'{TAB}'!B3:D3", valueRenderOption="UNFORMATTED_VALUE") == [[11 / 24, "shefu", 30]]
    assert values(
        plan,
        f"'{TAB}'!B3:D3",
        valueRenderOption="UNFORMATTED_VALUE",
        dateTimeRenderOption="FORMATTED_STRING",
    ) == [["11:00", "shefu", 30]]
    assert values(plan, f"'{TAB}'!A1:B3", majorDimension="COLUMNS") == [
        ["Day", "Monday"],
        ["Time (UTC)", "9:00", "11:00"],
    ]


def test_an_unspecified_dimension_means_rows_and_a_made_up_one_is_refused(plan: Any) -> None:
    assert values(plan, f"'{TAB}'!A1:B1", majorDimension="DIMENSION_UNSPECIFIED") == [["Day", "Time (UTC)"]]
    get = httpx_get(plan, f"/values/'{TAB}'!A1", majorDimension="DIAGONALS")
    assert (get.status_code, get.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_several_ranges_come_in_one_answer(plan: Any) -> None:
    ranges = [f"'{TAB}'!A1", f"'{TAB}'!C3"]
    answer = plan.values().batchGet(spreadsheetId=PLAN, ranges=ranges).execute()
    assert [item["values"] for item in answer["valueRanges"]] == [[["Day"]], [["shefu"]]]


def test_the_tabs_of_a_spreadsheet_are_listed_in_order(plan: Any, mocks: MocksControl) -> None:
    mocks.sheets.put(PLAN, "it's / odd", [["x"]])
    tabs = plan.get(spreadsheetId=PLAN, includeGridData=False).execute()["sheets"]
    assert [tab["properties"]["title"] for tab in tabs] == [TAB, "it's / odd"]
    assert len({tab["properties"]["sheetId"] for tab in tabs}) == 2
    assert values(plan, "'it''s / odd'!A1") == [["x"]]
    assert mocks.sheets.rows(PLAN, "it's / odd") == [["x"]]


def test_an_update_is_read_back(plan: Any, mocks: MocksControl) -> None:
    body = {"range": f"'{TAB}'!D2:E2", "values": [[7, True]]}
    answer = (
        plan.values()
        .update(spreadsheetId=PLAN, range=f"'{TAB}'!D2:E2", valueInputOption="RAW", body=body)
        .execute()
    )
    assert (answer["updatedCells"], answer["updatedRange"]) == (2, f"'{TAB}'!D2:E2")
    assert mocks.sheets.rows(PLAN, TAB)[1] == ["Monday", "9:00", "io67a, xok3w", "7", "TRUE"]


def test_raw_input_stays_text_and_user_input_becomes_what_it_looks_like(plan: Any) -> None:
    for row, option in ((5, "RAW"), (6, "USER_ENTERED")):
        body = {"values": [["6:00", "12", "true", "2026-11-16"]]}
        plan.values().update(
            spreadsheetId=PLAN, range=f"'{TAB}'!A{row}", valueInputOption=option, body=body
        ).execute()
    as_text, as_values = values(plan, f"'{TAB}'!A5:D6", valueRenderOption="UNFORMATTED_VALUE")
    assert as_text == ["6:00", "12", "true", "2026-11-16"]
    assert as_values == [0.25, 12, True, 46342]


def test_a_null_leaves_a_cell_alone_and_an_empty_text_clears_it(plan: Any, mocks: MocksControl) -> None:
    body = {"values": [[None, "", "new"]]}
    plan.values().update(
        spreadsheetId=PLAN, range=f"'{TAB}'!A2:C2", valueInputOption="RAW", body=body
    ).execute()
    assert mocks.sheets.rows(PLAN, TAB)[1] == ["Monday", "", "new"]


def test_writing_outside_the_requested_range_is_refused(plan: Any) -> None:
    update = plan.values().update
    body = {"values": [["a", "b"], ["c", "d"]]}
    rows = update(spreadsheetId=PLAN, range=f"'{TAB}'!A1:B1", valueInputOption="RAW", body=body)
    columns = update(spreadsheetId=PLAN, range=f"'{TAB}'!A1:A2", valueInputOption="RAW", body=body)
    assert "but tried writing to row [2]" in message_of(rows)
    assert "but tried writing to column [B]" in message_of(columns)


def test_an_update_must_say_how_its_input_is_meant(plan: Any) -> None:
    call = plan.values().update(spreadsheetId=PLAN, range=f"'{TAB}'!A1", body={"values": [["x"]]})
    assert message_of(call) == "400 'valueInputOption' is required but not specified"


def test_an_append_goes_below_the_table_that_the_range_touches(plan: Any, mocks: MocksControl) -> None:
    append = plan.values().append
    answer = append(
        spreadsheetId=PLAN,
        range=f"'{TAB}'!A1",
        valueInputOption="RAW",
        insertDataOption="OVERWRITE",
        body={"values": [["Tuesday", "7:00"]]},
    ).execute()
    assert answer["tableRange"] == f"'{TAB}'!A1:D3"
    assert answer["updates"]["updatedRange"] == f"'{TAB}'!A4:B4"
    assert mocks.sheets.rows(PLAN, TAB)[3] == ["Tuesday", "7:00"]


def test_a_bad_formula_is_refused_when_the_test_prepares_a_sheet(mocks: MocksControl) -> None:
    with pytest.raises(MocksRefusedError, match="formulas"):
        mocks.sheets.put(PLAN, TAB, [["=1+1"]])


def test_a_key_that_google_does_not_know_gets_no_token(mocks: MocksControl, connect: Connect) -> None:
    other, _ = private_key_pem()
    with pytest.raises(RefreshError, match=r"Invalid JWT Signature\."):
        connect(private_key=other).get(spreadsheetId=PLAN).execute()


def test_another_service_account_gets_no_token(mocks: MocksControl, connect: Connect) -> None:
    with pytest.raises(RefreshError, match="invalid_grant"):
        connect(client_email="somebody@else.iam.gserviceaccount.com").get(spreadsheetId=PLAN).execute()


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://example.com/token"},
        {"exp": 1_000_000_000},
        {"iat": 4_000_000_000, "exp": 4_000_000_060},
    ],
)
def test_an_assertion_for_elsewhere_or_another_time_gets_no_token(
    production_names: Running, mocks: MocksControl, changes: dict[str, Any]
) -> None:
    now = int(time.time())
    claims = {"iss": CLIENT_EMAIL, "aud": "https://oauth2.googleapis.com/token", "iat": now, "exp": now + 60}
    assertion = jwt.encode(
        {**claims, "scope": SCOPES[1], **changes}, production_names.google_private_key, algorithm="RS256"
    )
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    answer = httpx.post("https://oauth2.googleapis.com/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_token_without_a_spreadsheet_scope_may_not_read(mocks: MocksControl, connect: Connect) -> None:
    mocks.sheets.put(PLAN, TAB, ROWS)
    call = connect(scopes=SCOPES[:1]).get(spreadsheetId=PLAN)
    assert message_of(call).startswith("403")


def test_a_token_to_read_may_not_write(mocks: MocksControl, connect: Connect) -> None:
    mocks.sheets.put(PLAN, TAB, ROWS)
    client = connect(scopes=["https://www.googleapis.com/auth/spreadsheets.readonly"])
    assert values(client, f"'{TAB}'!A1") == [["Day"]]
    call = client.values().update(
        spreadsheetId=PLAN, range=f"'{TAB}'!A1", valueInputOption="RAW", body={"values": [["x"]]}
    )
    assert message_of(call).startswith("403")


def test_without_a_token_the_answer_is_401_in_googles_shape(
    production_names: Running, mocks: MocksControl
) -> None:
    answer = httpx.get(f"https://sheets.googleapis.com/v4/spreadsheets/{PLAN}")
    assert answer.status_code == 401
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"


def test_a_parameter_that_is_not_modelled_is_never_ignored(plan: Any, mocks: MocksControl) -> None:
    call = plan.get(spreadsheetId=PLAN, ranges=["A1"])
    assert message_of(call).startswith("501")
    assert len(mocks.egress()) == 1


@pytest.mark.parametrize("mask", ["sheets.properties.title", "sheets(properties/title)"])
def test_a_field_mask_takes_a_part_of_the_answer(plan: Any, mask: str) -> None:
    answer = plan.get(spreadsheetId=PLAN, fields=mask).execute()
    assert answer == {"sheets": [{"properties": {"title": TAB}}]}


@pytest.mark.parametrize("mask", ["", "sheets(", "sheets)", "a,,b", "a b", "/a", "-"])
def test_a_malformed_field_mask_is_refused(plan: Any, mask: str) -> None:
    values(plan, f"'{TAB}'!A1")
    answer = httpx_get(plan, f"/values/'{TAB}'!A1", fields=mask)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, f"Invalid field selection {mask}")


def test_the_regional_boundary_that_google_auth_asks_for_is_answered_with_none(
    production_names: Running, mocks: MocksControl, service_account: dict[str, str]
) -> None:
    credentials = Credentials.from_service_account_info(service_account, scopes=SCOPES)
    request = google_auth_httplib2.Request(httplib2.Http(ca_certs=str(production_names.ca_bundle)))
    credentials.refresh(request)
    answer = credentials._lookup_regional_access_boundary(request)
    request.http.close()
    assert answer == {"locations": [], "encodedLocations": "0x0"}
    url = (
        f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{CLIENT_EMAIL}/allowedLocations"
    )
    assert httpx.get(url).status_code == 401
    headers = {"Authorization": f"Bearer {credentials.token}"}
    assert httpx.get(url.replace(CLIENT_EMAIL, "else@where"), headers=headers).status_code == 404
