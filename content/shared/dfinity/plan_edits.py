"""What becomes of a plan that is edited while the rollout is under way."""

from collections.abc import Collection, Mapping

from dfinity.rollout import Rollout, SubnetRollout
from dfinity.subnets import abbreviate


def edited_batch(
    number: int, planned: Rollout, edited: Rollout, begun: Mapping[int, Collection[str]], faults: list[str]
) -> tuple[SubnetRollout, ...]:
    """The subnets of batch `number` as the edited plan has them; none if it was taken out.

    Appends to `faults` what would leave out a subnet in silence: one in a batch that has begun without it, and one in
    a batch which the run does not know, as tasks for it were skipped when the run was planned. `begun` has the ids
    of the subnets that each earlier batch began with.
    """
    done = {subnet_id for subnets in begun.values() for subnet_id in subnets}
    for other, steps in edited.batches.items():
        names = ", ".join(step.abbreviation for step in steps if step.subnet_id not in done)
        if not names:
            continue
        if other < number:
            faults.append(f"{names}: batch {other} has begun without; put them into a later batch")
        elif other not in planned.batches:
            known = ", ".join(str(n) for n in sorted(planned.batches) if n >= number)
            faults.append(
                f"{names}: this run has no batch {other}; put them into one of its batches: {known}"
            )
    return edited.batches.get(number, ())


def changes(planned: tuple[SubnetRollout, ...], edited: tuple[SubnetRollout, ...]) -> list[str]:
    """How an edited batch differs from the planned one, each in a few words."""
    before, after = ({step.subnet_id: step for step in steps} for steps in (planned, edited))
    told = [f"without {abbreviate(name)}" for name in before if name not in after]
    told += [f"with {abbreviate(name)}" for name in after if name not in before]
    told += [
        f"{abbreviate(name)} at {step.git_revision[:10]}"
        for name, step in after.items()
        if name in before and before[name].git_revision != step.git_revision
    ]
    if planned and edited and planned[0].start_at != edited[0].start_at:
        told.append(f"from {edited[0].start_at}")
    return told
