"""The texts that a rollout posts to Slack, in Slack's mrkdwn."""

from collections import Counter
from collections.abc import Sequence

from dfinity.proposals import proposal_page
from dfinity.rollout import ProposalOutcome, Rollout, SubnetRollout


def vote_request(step: SubnetRollout, proposal_id: int) -> str:
    """Asks for votes on the proposal that upgrades one subnet."""
    return (
        f"Batch {step.batch}: please vote on proposal <{proposal_page(proposal_id)}|{proposal_id}>, which upgrades "
        f"subnet *{step.abbreviation}* (`{step.subnet_id}`) to revision `{step.git_revision}`."
    )


def summary(rollout: Rollout, outcomes: Sequence[ProposalOutcome]) -> str:
    """Says what a rollout that reached its end has done."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    scope = f"{_count(rollout.subnet_count, 'subnet')} in {_count(len(rollout.batches), 'batch', 'batches')}"
    what = f"of revision `{rollout.git_revision}` to {scope} (week of {rollout.week})"
    if rollout.simulate:
        rest = _remainder(counts["existing"], counts["not_needed"])
        dry_runs = _count(counts["simulated"], "dry run")
        return f"Simulated rollout {what} finished: {dry_runs} of proposals{rest}. Nothing was proposed."
    rest = _remainder(counts["existing"], counts["not_needed"])
    return f"Rollout {what} finished: {_count(counts['created'], 'proposal')} made{rest}."


def _remainder(existing: int, not_needed: int) -> str:
    parts = []
    if existing:
        parts.append(f"{_count(existing, 'proposal')} existed already")
    if not_needed:
        parts.append(f"{_count(not_needed, 'subnet')} had the revision already")
    return "".join(f", {part}" for part in parts)


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
