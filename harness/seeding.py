"""The variables and connections that production's administrators create by hand, with a stack's own keys."""

from __future__ import annotations

import json

from harness.airflow import Airflow
from harness.settings import StackSettings

PROPOSER_KEY = "dfinity.ic_admin.mainnet.proposer_key_file"
SLACK = "slack.ic_os_rollout"
GOOGLE = "google_cloud_default"
LOGGING = "airflow_logging"

S3_ENDPOINT = "http://rook-ceph-rgw-ceph-store.rook-ceph.svc.cluster.local"
GOOGLE_SCOPES = "https://www.googleapis.com/auth/cloud-platform,https://www.googleapis.com/auth/spreadsheets"


def seed(airflow: Airflow, settings: StackSettings) -> None:
    """Create them through Airflow's API, so that they are stored as in production: encrypted, in the database."""
    airflow.set_variable(
        PROPOSER_KEY, settings.proposer_key, "The proposal certificate for neuron 80 to be used on mainnet."
    )
    airflow.set_connection(
        SLACK,
        "slack",
        password=settings.placeholders["ITEST_SLACK_TOKEN"],
        description="The connection used for IC OS rollouts.",
    )
    extra = {"keyfile_dict": json.dumps(settings.google_keyfile()), "scope": GOOGLE_SCOPES}
    airflow.set_connection(
        GOOGLE,
        "google_cloud_platform",
        extra=json.dumps(extra),
        description="Used to access Google spreadsheets for rollout plan.",
    )
    airflow.set_connection(
        LOGGING,
        "aws",
        login="itest",
        password="itest",  # noqa: S106 - moto accepts any
        extra=json.dumps({"endpoint_url": S3_ENDPOINT}),
        description="Logging storage for Airflow.",
    )
