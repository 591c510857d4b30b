"""Airflow's own hooks, unmodified and in the image, against the mocks' container under production's names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from docker_cli import Docker

from harness import prepare, seeding
from harness.mocks import exchanges, names
from harness.mocks.slack.webhooks import webhook_path
from harness.paths import ROOT
from harness.prepare import Prepared
from harness.services import mocks
from harness.services.airflow import TRUST
from harness.settings import StackSettings
from harness.waits import eventually
from tests.contract.summary import CHECKED

pytestmark = pytest.mark.itest
CHANNEL = "ic-os-rollout"
NEEDED = {"harness": "harness", "tests/contract/airflow": "hooks"}
STATE = "/var/lib/itest"


def connections(settings: StackSettings) -> dict[str, dict[str, object]]:
    """What the tests in the container use, by id."""
    token = settings.placeholders["ITEST_SLACK_TOKEN"]
    other = dataclasses.replace(settings, google_private_key=StackSettings.generate("x").google_private_key)
    scopes = f"{seeding.GOOGLE_SCOPES},https://www.googleapis.com/auth/drive"
    readonly = "https://www.googleapis.com/auth/spreadsheets.readonly"

    def google(keys: StackSettings, scope: str, **more: object) -> dict[str, object]:
        return {
            "conn_type": "google_cloud_platform",
            "extra": {"keyfile_dict": json.dumps(keys.google_keyfile()), "scope": scope, **more},
        }

    def aws(**config: object) -> dict[str, object]:
        extra = {"endpoint_url": seeding.S3_ENDPOINT, "region_name": "us-east-1", "config_kwargs": config}
        return {"conn_type": "aws", "login": "itest", "password": "itest", "extra": extra}

    return {
        "slack": {"conn_type": "slack", "password": token},
        "slack_brisk": {"conn_type": "slack", "password": token, "extra": {"timeout": 2}},
        "slack_stolen": {"conn_type": "slack", "password": "xoxb-stolen"},
        "slack_webhook": {
            "conn_type": "slackwebhook",
            "password": f"https://hooks.slack.com{webhook_path(CHANNEL, token)}",
        },
        "google": google(settings, scopes),
        "google_brisk": google(settings, scopes, num_retries=0),
        "google_reading": google(settings, readonly),
        "google_stolen": google(other, scopes),
        "aws_path": aws(s3={"addressing_style": "path"}),
        "aws_virtual": aws(s3={"addressing_style": "virtual"}),
        "aws_once": aws(retries={"total_max_attempts": 1}, read_timeout=2),
        "dashboard": {"conn_type": "http", "host": "https://dashboard.mainnet.dfinity.network"},
    }


@pytest.fixture
def mocks_container(docker: Docker, prepared: Prepared) -> tuple[str, StackSettings]:
    """The mocks, serving on a network of their own; its name, and what they know."""
    settings = StackSettings.generate("hooks")
    image = prepare.with_images(prepared, ("mocks",)).references["mocks"]
    known = ("ITEST_SLACK_TOKEN", "ITEST_GOOGLE_PUBLIC_KEY", "ITEST_GOOGLE_CLIENT_EMAIL")
    options = (
        f"--network={docker.network()}",
        *(f"--network-alias={alias}" for alias in (mocks.NAME, *names.aliases())),
        *(f"--env={name}={settings.placeholders[name]}" for name in known),
        "--env=ITEST_KEEP_EXCHANGES=1",
        "--volume=/opt/itest",
    )
    name = docker.start("mocks", image, options=options)
    eventually(lambda: "mocks: serving" in docker("logs", name).stdout, "the mocks to serve", 30)
    return name, settings


def test_unmodified_hooks_meet_the_mocks_their_errors_and_their_faults(
    docker: Docker,
    tests_image: str,
    mocks_container: tuple[str, StackSettings],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    serving, settings = mocks_container
    made = {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections(settings).items()
    }
    name = docker.create(
        "hooks",
        tests_image,
        *("-m", "pytest", "--color=no", "-p", "no:cacheprovider", "-q", "hooks"),
        options=(
            "--entrypoint=python",
            "--workdir=/work",
            f"--network={docker.name}",
            f"--volumes-from={serving}:ro",
            "--env=PYTHONDONTWRITEBYTECODE=1",
            "--env=PYTHONPATH=/work",
            *(f"--env={key}={value}" for key, value in {**TRUST, **made}.items()),
        ),
    )
    for folder, target in NEEDED.items():
        docker("cp", f"{ROOT / folder}/.", f"{name}:/work/{target}")
    ran = docker("start", "--attach", name, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout

    docker("cp", f"{serving}:{STATE}/{exchanges.FILE}", str(tmp_path))
    # The Internet Computer's own clients are content's, and have no published schema.
    found = [it for it in exchanges.read(tmp_path / exchanges.FILE) if not it.service.startswith("ic_")]
    faults = request.config.stash[CHECKED].hold(found, "Airflow's hooks")
    assert not faults, "\n".join(faults)
