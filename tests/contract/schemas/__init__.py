"""Published schemas, and what an exchange with a mock breaks of them.

`judge` finds the schema of an exchange by its service; an exchange that no schema describes is a fault itself.
"""

from collections.abc import Callable, Mapping

from harness.mocks.exchanges import Exchange
from tests.contract.schemas import google, plain, s3, slack
from tests.contract.schemas.judgement import Judgement

JUDGES: Mapping[str, Callable[[Exchange], Judgement]] = {
    "slack": slack.judge,
    "slack_hooks": plain.judge,
    "slack_files": plain.judge,
    "google_sheets": google.judge,
    "google_drive": google.judge,
    "google_oauth": plain.judge,
    "google_iam": plain.judge,
    "s3": s3.judge,
}


def judge(exchange: Exchange) -> Judgement:
    """What `exchange` breaks of the schema that describes it."""
    found = JUDGES.get(exchange.service)
    if found is None:
        return Judgement("", "none", ("no schema describes it",))
    return found(exchange)
