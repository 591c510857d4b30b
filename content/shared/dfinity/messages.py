"""The texts that a rollout posts to Slack, in Slack's mrkdwn."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from dfinity.node_rollout import NODE_KINDS, WaveRollout
from dfinity.proposals import proposal_page
from dfinity.rollout import ProposalOutcome, Rollout
from dfinity.step import Step


def vote_request(step: Step, proposal_id: int) -> str:
    """Asks for votes on the proposal that makes one change."""
    page = proposal_page(proposal_id)
    return f"{step.part}: please vote on proposal <{page}|{proposal_id}>, which upgrades {step.change}."


def stalled(step: Step, waited: timedelta, reason: str) -> str:
    """Says that a rollout does not get on, and why."""
    return f"{step.part} is stalled: *{step.label}* has been waiting for {span(waited)}. Now {reason}."


def waits_for_others(dag_id: str, run_id: str, others: Sequence[str]) -> str:
    """Says that a rollout does not begin yet."""
    runs = ", ".join(f"`{other}`" for other in others)
    return f"Rollout `{run_id}` of `{dag_id}` waits until no other one is under way: {runs}."


def held(batch: int, faults: Sequence[str]) -> str:
    """Says that a batch does not begin since its plan was edited so that it cannot be carried out."""
    listed = "".join(f"\n• {fault}" for fault in faults)
    return (
        f"Batch {batch} is held until the plan is corrected in its sheet; it is read again by itself:{listed}"
    )


def edited(batch: int, changes: Sequence[str]) -> str:
    """Says how a batch that begins differs from what was planned."""
    return f"Batch {batch} begins as edited in the sheet: {', '.join(changes)}."


def summary(rollout: Rollout, outcomes: Sequence[ProposalOutcome]) -> str:
    """Says what a rollout to subnets that reached its end has done."""
    scope = f"{_count(len(outcomes), 'subnet')} in {_count(len(rollout.batches), 'batch', 'batches')}"
    what = f"of revision `{rollout.git_revision}` to {scope} (week of {rollout.week})"
    return _finished(what, rollout.simulate, outcomes, "subnet")


def wave_summary(rollout: WaveRollout, outcomes: Sequence[ProposalOutcome]) -> str:
    """Says what a rollout to nodes that reached its end has done."""
    kind = NODE_KINDS[rollout.kind]
    nodes = sum(len(step.node_ids) for step in rollout.waves.values())
    scope = f"{nodes} {kind.noun} in {_count(len(rollout.waves), 'wave')}"
    return _finished(f"of {kind.system} `{rollout.version}` to {scope}", rollout.simulate, outcomes, "wave")


def span(duration: timedelta) -> str:
    """A duration in the unit that people would use, rounded down: `45 min`, `6 h`, `3 d`."""
    minutes = int(duration.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def _finished(what: str, simulate: bool, outcomes: Sequence[ProposalOutcome], unit: str) -> str:
    counts = Counter(outcome.outcome for outcome in outcomes)
    rest = _remainder(counts["existing"], counts["not_needed"], unit)
    if simulate:
        dry_runs = _count(counts["simulated"], "dry run")
        return f"Simulated rollout {what} finished: {dry_runs} of proposals{rest}. Nothing was proposed."
    return f"Rollout {what} finished: {_count(counts['created'], 'proposal')} made{rest}."


def _remainder(existing: int, not_needed: int, unit: str) -> str:
    parts = []
    if existing:
        parts.append(f"{_count(existing, 'proposal')} existed already")
    if not_needed:
        parts.append(f"{_count(not_needed, unit)} had the revision already")
    return "".join(f", {part}" for part in parts)


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
