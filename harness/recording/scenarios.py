"""What `itest record` asks a real service, with its official client: a short life of the things that content uses.

The clients are development dependencies; they are imported when a scenario runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """A real service as a person configures it. `place`: a channel or spreadsheet that is there to be written to."""

    service: str
    url: str
    place: str
    credential: str


def slack(proxy: str, target: Target) -> None:
    """Post, read, change, react to and delete a message in the channel `place` (its id)."""
    from slack_sdk import WebClient

    client = WebClient(token=target.credential, base_url=f"{proxy}/api/")
    client.auth_test()
    client.conversations_info(channel=target.place)
    posted = client.chat_postMessage(
        channel=target.place, text="itest record: this message is deleted at once"
    )
    ts = str(posted["ts"])
    client.chat_update(channel=target.place, ts=ts, text="itest record: changed")
    client.reactions_add(channel=target.place, timestamp=ts, name="eyes")
    client.conversations_history(channel=target.place, latest=ts, inclusive=True, limit=1)
    client.chat_delete(channel=target.place, ts=ts)


def sheets(proxy: str, target: Target) -> None:
    """Write, read and clear A1:B1 of the spreadsheet `place`; the credential is an access token."""
    from google.oauth2.credentials import Credentials
    from googleapiclient.discovery import build  # type: ignore[import-untyped]

    service: Any = build(
        "sheets",
        "v4",
        credentials=Credentials(target.credential),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": proxy},
        cache_discovery=False,
    )
    values = service.spreadsheets().values()
    where = {"spreadsheetId": target.place, "range": "A1:B1"}
    values.update(**where, valueInputOption="USER_ENTERED", body={"values": [["9:00", "x"]]}).execute()
    values.get(**where).execute()
    values.get(**where, valueRenderOption="UNFORMATTED_VALUE").execute()
    values.clear(**where, body={}).execute()
    service.close()


SCENARIOS: Mapping[str, Callable[[str, Target], None]] = {"slack": slack, "google_sheets": sheets}
URLS = {"slack": "https://slack.com", "google_sheets": "https://sheets.googleapis.com"}
