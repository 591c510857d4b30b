"""Tells people on Slack about a rollout."""

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator, Context

from dfinity.messages import summary, vote_request, wave_summary
from dfinity.node_rollout import WaveRollout
from dfinity.production import SLACK_CHANNEL, SLACK_CONNECTION_ID
from dfinity.rollout import ProposalOutcome, Rollout
from dfinity.step import step_from_payload


def post(text: str) -> None:
    """Posts to the rollout channel. Raises slack_sdk's SlackApiError if Slack refuses."""
    # Imported here since it is slow, and DAG parsing does not need it.
    from airflow.providers.slack.hooks.slack import SlackHook

    hook = SlackHook(slack_conn_id=SLACK_CONNECTION_ID)
    hook.call("chat.postMessage", json={"channel": SLACK_CHANNEL, "text": text, "unfurl_links": False})


class RequestVotes(BaseOperator):
    """Asks for votes on a step's proposal as long as it is open; a simulation only logs what it would do."""

    template_fields = ("step", "proposal")

    def __init__(self, *, step: Mapping[str, Any], proposal: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.proposal = proposal

    def execute(self, context: Context) -> None:
        step = step_from_payload(self.step)
        outcome = ProposalOutcome.from_payload(self.proposal)
        if outcome.proposal_id is None or not outcome.needs_votes:
            self.log.info("no votes are needed: %s", outcome.outcome)
        elif step.simulate:
            self.log.info("simulation, not posted: %s", vote_request(step, outcome.proposal_id))
        else:
            post(vote_request(step, outcome.proposal_id))


class PostSummary(BaseOperator):
    """Posts what a rollout has done, to subnets or to nodes.

    `proposal_task_ids` maps the number of each batch or wave, as text, to the task which made its proposals.
    """

    template_fields = ("rollout",)

    def __init__(
        self, *, rollout: Mapping[str, Any], proposal_task_ids: Mapping[str, str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rollout = rollout
        self.proposal_task_ids = proposal_task_ids

    def execute(self, context: Context) -> None:
        parts = self.rollout["waves" if "waves" in self.rollout else "batches"]
        payloads = context["ti"].xcom_pull(task_ids=[self.proposal_task_ids[str(number)] for number in parts])
        outcomes = [ProposalOutcome.from_payload(item) for item in payloads if item]
        if "waves" in self.rollout:
            text = wave_summary(WaveRollout.from_payload(self.rollout), outcomes)
        else:
            text = summary(Rollout.from_payload(self.rollout), outcomes)
        self.log.info(text)
        post(text)
