"""A recording of a real service, here of a server that stands in for one, is replayed against a mock."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.cli import main
from harness.mocks.readers import MocksControl
from harness.recording.record import RecordError, record
from harness.recording.replay import Difference, load, replay
from harness.recording.scenarios import SCENARIOS
from tests.contract.summary import Checked
from tests.unit.mocks.conftest import SLACK_TOKEN, Running

from .conftest import Hold

CONFIG = """
service = "slack"
place = "{place}"
credential_env = "BOT_TOKEN"
url = "https://slack.com"
scrub = ["release-automation"]
ca_bundle = "{bundle}"
"""
ENVIRONMENT = {"BOT_TOKEN": SLACK_TOKEN}


@pytest.fixture
def channel(production_names: Running, mocks: MocksControl) -> str:
    """The id of a channel, as a person would look it up."""
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}"}
    return str(
        httpx.get("https://slack.com/api/conversations.list", headers=headers).json()["channels"][0]["id"]
    )


@pytest.fixture
def config(tmp_path: Path, production_names: Running, channel: str) -> Path:
    path = tmp_path / "slack.toml"
    path.write_text(CONFIG.format(place=channel, bundle=production_names.ca_bundle))
    return path


@pytest.fixture
def recorded(config: Path, tmp_path: Path) -> Path:
    path = tmp_path / "out" / "slack.json"
    assert record(config, path, ENVIRONMENT) == 7
    return path


def replayed(recorded: Path, change: Any = None) -> list[Difference]:
    exchanges = load(recorded)
    if change:
        exchanges = [replace(it, response=change(it.response)) for it in exchanges]
    with httpx.Client(
        base_url="https://slack.com", headers={"Authorization": f"Bearer {SLACK_TOKEN}"}
    ) as client:
        return replay(exchanges, client)


def test_a_recording_fits_the_schema_and_holds_no_secret(
    hold: Hold, recorded: Path, mocks: MocksControl
) -> None:
    hold("itest record: slack_sdk")
    text = recorded.read_text()
    assert SLACK_TOKEN not in text
    assert "release-automation" not in text
    assert Checked().hold(load(recorded), "slack_sdk") == []
    assert mocks.slack.messages() == [], "it cleans up after itself"


def test_a_mock_that_answers_alike_shows_no_difference_although_every_id_is_another(
    hold: Hold, recorded: Path, mocks: MocksControl
) -> None:
    hold("replay")
    mocks.reset()
    assert replayed(recorded) == []
    posts = [entry for entry in mocks.journal(service="slack") if entry.path == "/api/chat.update"]
    assert {post.status for post in posts} == {200}


def test_what_is_missing_added_or_of_another_type_is_told(hold: Hold, recorded: Path) -> None:
    hold("replay")

    def changed(answer: Any) -> Any:
        if "has_more" in answer:
            return {**answer, "has_more": "no", "channel_actions_ts": None}
        return {name: value for name, value in answer.items() if name != "permalink"}

    told = [str(difference) for difference in replayed(recorded, changed)]
    where = next(it for it in load(recorded) if "history" in it.path)
    name = f"{where.method} {where.path}"
    assert told == [
        f"{name}: channel_actions_ts was null, is absent",
        f"{name}: has_more was string, is boolean",
    ]


def test_another_status_or_error_is_told(hold: Hold, recorded: Path, mocks: MocksControl) -> None:
    hold("replay")
    mocks.slack.fail_next(500, endpoint="chat.update")
    told = [str(difference) for difference in replayed(recorded)]
    assert "POST /api/chat.update: status was 200, is 500" in told
    assert "POST /api/chat.update: ts was string, is absent" in told


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("service = ", "cannot read"),
        ('service = "slack"', "missing: ['credential_env', 'place']"),
        ('service = "gopher"\nplace = "x"\ncredential_env = "X"', "must be one of slack, google_sheets"),
        ('service = "slack"\nplace = "x"\ncredential_env = "X"\ntoken = "y"', "unknown: ['token']"),
        ('service = "slack"\nplace = "x"\ncredential_env = "NOT_SET_HERE"', "set NOT_SET_HERE"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    output = tmp_path / "out.json"
    assert main(["record", str(path), "--output", str(output)]) == 1
    assert reason in capsys.readouterr().err
    assert not output.exists()


def test_a_service_that_refuses_leaves_no_recording_and_shows_no_token(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    with pytest.raises(RecordError, match="invalid_auth") as caught:
        record(config, output, {"BOT_TOKEN": "xoxb-stolen"})
    assert "xoxb-stolen" not in str(caught.value)
    assert not output.exists()


def test_a_file_that_is_no_recording_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"exchanges": [{}]}))
    with pytest.raises(ValueError, match=r"x\.json is no recording"):
        load(path)


def test_every_service_that_can_be_recorded_has_a_schema() -> None:
    from tests.contract.schemas import JUDGES

    assert set(SCENARIOS) <= set(JUDGES)
