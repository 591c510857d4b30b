"""Slack, as slack_sdk and Airflow's provider meet it: the Web API, file uploads, incoming webhooks.

`workspace` is the state, `web` (with `chat`, `conversations`, `people`, `files`) and `webhooks` serve it.
"""

from harness.mocks.slack.files import Uploads
from harness.mocks.slack.web import WebApi
from harness.mocks.slack.webhooks import Webhooks
from harness.mocks.slack.workspace import Workspace

__all__ = ["Uploads", "WebApi", "Webhooks", "Workspace"]
