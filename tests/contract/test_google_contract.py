"""google-api-python-client through Sheets and Drive, on tokens that it gets for a signed assertion."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google_auth_httplib2
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaFileUpload, MediaIoBaseDownload, MediaIoBaseUpload

from harness.mocks import exchanges
from harness.mocks.journal import REDACTED
from harness.mocks.readers import MocksControl
from tests.unit.mocks.conftest import Running, private_key_pem
from tests.unit.mocks.test_mock_google import OneHttp

from .conftest import Hold

SCOPE = "https://www.googleapis.com/auth/"
FOLDER = "application/vnd.google-apps.folder"
Connect = Callable[..., Any]


@pytest.fixture
def connect(
    production_names: Running, service_account: dict[str, str], hold: Hold, mocks: MocksControl
) -> Iterator[Connect]:
    """Makes a client of an API; `changes` are to the service account's keyfile."""
    hold("google-api-python-client")
    opened: list[Any] = []

    def make(api: str, version: str, *scopes: str, **changes: str) -> Any:
        names = [f"{SCOPE}{name}" for name in scopes or ("spreadsheets", "drive")]
        credentials = Credentials.from_service_account_info({**service_account, **changes}, scopes=names)
        http = OneHttp(ca_certs=str(production_names.ca_bundle), timeout=10)
        # As the client's own build_http() has it: 308 tells an upload to go on.
        http.redirect_codes = http.redirect_codes - {308}
        opened.append(google_auth_httplib2.AuthorizedHttp(credentials, http=http))
        return build(api, version, http=opened[-1], cache_discovery=False)

    yield make
    for http in opened:
        http.close()


@pytest.fixture
def sheets(connect: Connect) -> Any:
    return connect("sheets", "v4").spreadsheets()


@pytest.fixture
def drive(connect: Connect) -> Any:
    return connect("drive", "v3")


def error_of(call: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        call.execute()
    return caught.value.status_code, str(json.loads(caught.value.content)["error"]["message"])


def test_what_is_kept_of_an_exchange_holds_neither_assertion_nor_token(sheets: Any, running: Running) -> None:
    sheets.create(body={}).execute()
    kept = (running.state_dir / exchanges.FILE).read_text()
    assert sheets._http.credentials.token not in kept
    token = [it for it in exchanges.read(running.state_dir / exchanges.FILE) if it.service == "google_oauth"][
        -1
    ]
    assert (token.request["assertion"], token.response["access_token"]) == (REDACTED, REDACTED)


def test_a_spreadsheet_is_made_and_its_tabs_are_changed(sheets: Any) -> None:
    body = {"properties": {"title": "Plan"}, "sheets": [{"properties": {"title": "first"}}]}
    made = sheets.create(body=body).execute()
    spreadsheet = made["spreadsheetId"]
    assert [tab["properties"]["title"] for tab in made["sheets"]] == ["first"]
    requests = [{"addSheet": {"properties": {"title": "it's new"}}}]
    added = sheets.batchUpdate(spreadsheetId=spreadsheet, body={"requests": requests}).execute()
    new = added["replies"][0]["addSheet"]["properties"]["sheetId"]
    rename = {"properties": {"sheetId": new, "title": "renamed"}, "fields": "title"}
    body = {
        "requests": [{"updateSheetProperties": rename}, {"deleteSheet": {"sheetId": 0}}],
        "includeSpreadsheetInResponse": True,
    }
    changed = sheets.batchUpdate(spreadsheetId=spreadsheet, body=body).execute()
    tabs = changed["updatedSpreadsheet"]["sheets"]
    assert [tab["properties"]["title"] for tab in tabs] == ["renamed"]
    got = sheets.get(spreadsheetId=spreadsheet, fields="properties.title,sheets(properties/title)").execute()
    assert got == {"properties": {"title": "Plan"}, "sheets": [{"properties": {"title": "renamed"}}]}


def test_a_batch_that_cannot_be_carried_out_changes_nothing(sheets: Any) -> None:
    spreadsheet = sheets.create(body={}).execute()["spreadsheetId"]
    add = {"addSheet": {"properties": {"title": "twice"}}}
    call = sheets.batchUpdate(spreadsheetId=spreadsheet, body={"requests": [add, add]})
    status, message = error_of(call)
    assert (status, message.startswith("Invalid requests[1].addSheet: A sheet with the name")) == (400, True)
    last = sheets.batchUpdate(spreadsheetId=spreadsheet, body={"requests": [{"deleteSheet": {"sheetId": 0}}]})
    assert error_of(last)[0] == 400
    assert len(sheets.get(spreadsheetId=spreadsheet).execute()["sheets"]) == 1


def test_values_are_written_read_appended_and_cleared(sheets: Any, mocks: MocksControl) -> None:
    spreadsheet = sheets.create(body={}).execute()["spreadsheetId"]
    values = sheets.values()
    where = {"spreadsheetId": spreadsheet}
    typed = {"valueInputOption": "USER_ENTERED"}
    values.update(**where, range="A1:C1", body={"values": [["Day", "Time", "Done"]]}, **typed).execute()
    appended = values.append(
        **where,
        range="Sheet1",
        insertDataOption="INSERT_ROWS",
        includeValuesInResponse=True,
        responseValueRenderOption="UNFORMATTED_VALUE",
        body={"values": [["2026-11-16", "9:00", "true"]]},
        **typed,
    ).execute()
    assert appended["updates"]["updatedData"]["values"] == [[46342, 0.375, True]]
    data = [
        {"range": "Sheet1!A3:B3", "values": [["x", 1.5]]},
        {"range": "'Sheet1'!C:C", "majorDimension": "COLUMNS", "values": [["Done", "no"]]},
    ]
    body = {"valueInputOption": "RAW", "data": data}
    assert values.batchUpdate(**where, body=body).execute()["totalUpdatedCells"] == 4
    got = values.get(**where, range="Sheet1!A2:C", majorDimension="ROWS").execute()["values"]
    assert got == [["2026-11-16", "9:00", "no"], ["x", "1.5"]]
    several = values.batchGet(
        **where,
        ranges=["A3:3", "B:B"],
        valueRenderOption="UNFORMATTED_VALUE",
        dateTimeRenderOption="FORMATTED_STRING",
    ).execute()["valueRanges"]
    assert [it.get("values") for it in several] == [[["x", 1.5]], [["Time"], ["9:00"], [1.5]]]
    assert values.clear(**where, range="A2:A3", body={}).execute()["clearedRange"] == "Sheet1!A2:A3"
    cleared = values.batchClear(**where, body={"ranges": ["B:B", "C1"]}).execute()["clearedRanges"]
    assert cleared == ["Sheet1!B1:B1001", "Sheet1!C1"]
    assert mocks.sheets.rows(spreadsheet, "Sheet1") == [["Day"], ["", "", "no"]]
    kinds = [effect.kind for effect in mocks.ledger()]
    assert kinds == ["sheets.create", *["sheets.write"] * 7]


@pytest.mark.parametrize(
    ("a1_range", "message"),
    [
        ("Nowhere!A1", "Unable to parse range: Nowhere!A1"),
        ("A0", "Unable to parse range: A0"),
        ("A5000", "Range (A5000) exceeds grid limits. Max rows: 1000, max columns: 26"),
    ],
)
def test_a_bad_range_is_refused_in_googles_words(sheets: Any, a1_range: str, message: str) -> None:
    spreadsheet = sheets.create(body={}).execute()["spreadsheetId"]
    where = {"spreadsheetId": spreadsheet, "range": a1_range}
    assert error_of(sheets.values().get(**where)) == (400, message)
    assert error_of(sheets.values().clear(**where, body={})) == (400, message)
    data = [{"range": "A1", "values": [["kept out"]]}, {"range": a1_range, "values": [["x"]]}]
    body = {"valueInputOption": "RAW", "data": data}
    assert error_of(sheets.values().batchUpdate(spreadsheetId=spreadsheet, body=body)) == (400, message)
    assert "values" not in sheets.values().get(spreadsheetId=spreadsheet, range="A1").execute()


def test_a_missing_spreadsheet_and_a_missing_scope_are_told_apart(connect: Connect) -> None:
    reading = connect("sheets", "v4", "spreadsheets.readonly").spreadsheets()
    assert error_of(reading.get(spreadsheetId="elsewhere"))[0] == 404
    assert error_of(reading.create(body={}))[0] == 403


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"private_key": private_key_pem()[0]}, "Invalid JWT Signature"),
        ({"client_email": "stranger@itest.iam.gserviceaccount.com"}, "Invalid issuer"),
    ],
)
def test_an_assertion_of_another_key_or_account_gets_no_token(
    connect: Connect, changes: dict[str, str], reason: str
) -> None:
    sheets = connect("sheets", "v4", **changes).spreadsheets()
    with pytest.raises(RefreshError, match=reason):
        sheets.create(body={}).execute()


def test_an_assertion_for_another_audience_gets_no_token(connect: Connect, production_names: Running) -> None:
    drive = connect("drive", "v3")
    credentials = drive._http.credentials
    credentials._token_uri, audience = (
        "https://oauth2.googleapis.com/token",
        "https://elsewhere.example.com/token",
    )
    make = credentials._make_authorization_grant_assertion

    def for_another() -> bytes:
        from google.auth import jwt

        claims = jwt.decode(make(), verify=False)
        return bytes(jwt.encode(credentials._signer, {**claims, "aud": audience}))

    credentials._make_authorization_grant_assertion = for_another
    with pytest.raises(RefreshError, match="Audience"):
        drive.files().list().execute()


@pytest.mark.parametrize("resumable", [False, True])
def test_a_file_is_uploaded_found_read_and_shared(
    drive: Any, mocks: MocksControl, upload: Path, resumable: bool
) -> None:
    files = drive.files()
    folder = files.create(body={"name": "Reports", "mimeType": FOLDER}, fields="id").execute()["id"]
    media = MediaFileUpload(str(upload), mimetype="text/plain", resumable=resumable, chunksize=256 * 1024)
    body = {"name": "report.txt", "parents": [folder]}
    made = files.create(
        body=body, media_body=media, fields="id,name,parents,size", supportsAllDrives=True
    ).execute()
    assert (made["parents"], made["size"]) == ([folder], str(upload.stat().st_size))
    query = f"name='report.txt' and '{folder}' in parents and mimeType!='{FOLDER}' and trashed=false"
    found = files.list(q=query, spaces="drive", fields="nextPageToken, files(id, name)").execute()
    assert found["files"] == [{"id": made["id"], "name": "report.txt"}]
    read = io.BytesIO()
    download = MediaIoBaseDownload(read, files.get_media(fileId=made["id"]))
    while not download.next_chunk()[1]:
        pass
    assert read.getvalue() == upload.read_bytes()
    reader = {"type": "user", "role": "reader", "emailAddress": "ada@example.com"}
    permission = drive.permissions().create(fileId=made["id"], body=reader, fields="id,role").execute()
    listed = drive.permissions().list(fileId=made["id"]).execute()["permissions"]
    assert [one["role"] for one in listed] == ["owner", "reader"]
    drive.permissions().delete(fileId=made["id"], permissionId=permission["id"]).execute()
    kinds = [effect.kind for effect in mocks.ledger()]
    assert kinds == ["drive.create", "drive.create", "drive.share", "drive.change"]


def test_a_large_upload_comes_in_chunks(drive: Any) -> None:
    content = bytes(range(256)) * 4096
    media = MediaIoBaseUpload(io.BytesIO(content), "application/octet-stream", 256 * 1024, resumable=True)
    request = drive.files().create(body={"name": "large"}, media_body=media, fields="id,size")
    steps, answer = [], None
    while answer is None:
        progress, answer = request.next_chunk()
        steps.append(progress.resumable_progress if progress else len(content))
    assert (len(steps), int(answer["size"])) == (4, len(content))
    assert drive.files().get_media(fileId=answer["id"]).execute() == content


def test_a_file_is_renamed_moved_replaced_and_deleted(drive: Any, upload: Path) -> None:
    files = drive.files()
    first, second = (files.create(body={"name": n, "mimeType": FOLDER}).execute()["id"] for n in ("a", "b"))
    file = files.create(body={"name": "x", "parents": [first]}, fields="id").execute()["id"]
    moved = files.update(
        fileId=file, body={"name": "y"}, addParents=second, removeParents=first, fields="name,parents"
    ).execute()
    assert moved == {"name": "y", "parents": [second]}
    files.update(fileId=file, media_body=MediaFileUpload(str(upload), mimetype="text/plain")).execute()
    assert files.get_media(fileId=file).execute() == upload.read_bytes()
    files.delete(fileId=second).execute()
    assert error_of(files.get(fileId=file)) == (404, f"File not found: {file}.")


def test_a_spreadsheet_is_a_file_too(connect: Connect) -> None:
    spreadsheet = (
        connect("sheets", "v4").spreadsheets().create(body={"properties": {"title": "Plan"}}).execute()
    )
    drive = connect("drive", "v3")
    (found,) = drive.files().list(q="name contains 'plan' and 'root' in parents").execute()["files"]
    assert (found["id"], found["mimeType"].endswith("spreadsheet")) == (spreadsheet["spreadsheetId"], True)
    anyone = {"type": "anyone", "role": "reader"}
    assert drive.permissions().create(fileId=found["id"], body=anyone).execute()["id"] == "anyoneWithLink"


@pytest.mark.parametrize(
    "body", [{"role": "reader"}, {"type": "user", "role": "reader"}, {"type": "domain", "role": "reader"}]
)
def test_a_share_that_says_too_little_is_refused(drive: Any, body: dict[str, str]) -> None:
    file = drive.files().create(body={"name": "x"}).execute()["id"]
    assert error_of(drive.permissions().create(fileId=file, body=body))[0] == 400


def test_a_fault_has_googles_own_shape(sheets: Any, mocks: MocksControl) -> None:
    mocks.sheets.fail_next(429)
    with pytest.raises(HttpError, match="HttpError 429"):
        sheets.create(body={}).execute()
