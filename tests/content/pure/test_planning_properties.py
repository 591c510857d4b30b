"""What holds of every plan, whatever it is made of: for batches of subnets, and for waves of nodes."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from dfinity.allowed_hours import DAYS, AllowedHours
from dfinity.node_rollout import NODE_KINDS, WaveRollout, WaveWishes, plan_waves
from dfinity.nodes import Node
from dfinity.plan_entries import PlanEntry
from dfinity.production import MAX_BATCHES, MAX_WAVES
from dfinity.rollout_plan import Batch, schedule
from dfinity.subnets import Subnet
from dfinity.waves import Amount, cut, spare, spread

WEEK = date(2026, 11, 23)
OLD, NEW = "a" * 40, "b" * 40


@st.composite
def subnet_plans(draw: st.DrawFn) -> tuple[list[PlanEntry], list[Subnet]]:
    """A plan without faults, and the registry that it is for."""
    count = draw(st.integers(1, 40))
    registry = [Subnet(f"s{number:02}-x", 13, OLD) for number in range(count)]
    order = draw(st.permutations(range(count)))
    slots = sorted(
        draw(st.sets(st.integers(0, 14 * 24 * 4 - 1), min_size=1, max_size=min(count, MAX_BATCHES)))
    )
    cuts = sorted(draw(st.sets(st.integers(1, count - 1), max_size=len(slots) - 1))) if count > 1 else []
    entries = []
    for slot, first, last in zip(slots, [0, *cuts], [*cuts, count], strict=False):
        day, quarter = divmod(slot, 24 * 4)
        name = DAYS[day % 7] + (" next week" if day >= 7 else "")
        names = tuple(f"s{order[n]:02}" for n in range(first, last))
        entries.append(PlanEntry("here", name, f"{quarter // 4}:{quarter % 4 * 15:02}", names, None))
    # The last entry takes what no slot was left for.
    left = {f"s{n:02}" for n in range(count)} - {name for entry in entries for name in entry.subnets}
    last_entry = entries[-1]
    entries[-1] = PlanEntry(
        "here", last_entry.day, last_entry.time, (*last_entry.subnets, *sorted(left)), None
    )
    return entries, registry


@given(subnet_plans())
def test_batches_do_not_overlap_and_hold_each_subnet_once_in_the_order_of_the_plan(
    plan: tuple[list[PlanEntry], list[Subnet]],
) -> None:
    entries, registry = plan
    faults: list[str] = []
    batches = schedule(entries, WEEK, registry, faults)
    assert faults == []
    placed = [subnet.subnet_id for batch in batches for subnet in batch.subnets]
    assert placed == [f"{name}-x" for entry in entries for name in entry.subnets]
    assert sorted(placed) == sorted(subnet.subnet_id for subnet in registry)
    assert all(earlier.start_at < later.start_at for earlier, later in pairwise(batches))
    assert all(earlier.number < later.number for earlier, later in pairwise(batches))
    assert {batch.start_at.date() for batch in batches} <= {WEEK + timedelta(days=n) for n in range(14)}


@given(subnet_plans(), st.data())
def test_a_subnet_in_two_batches_is_always_found(
    plan: tuple[list[PlanEntry], list[Subnet]], data: st.DataObject
) -> None:
    entries, registry = plan
    assume(len(entries) > 1)
    twice = data.draw(st.sampled_from(entries[0].subnets))
    last = entries[-1]
    entries[-1] = PlanEntry(last.where, last.day, last.time, (*last.subnets, twice), None)
    faults: list[str] = []
    schedule(entries, WEEK, registry, faults)
    assert faults == [f"here: subnet {twice} is already in here"]


@given(subnet_plans(), st.data())
def test_batches_out_of_order_are_always_found(
    plan: tuple[list[PlanEntry], list[Subnet]], data: st.DataObject
) -> None:
    entries, registry = plan
    assume(len(entries) > 1)
    position = data.draw(st.integers(0, len(entries) - 2))
    entries[position], entries[position + 1] = entries[position + 1], entries[position]
    faults: list[str] = []
    batches: list[Batch] = schedule(entries, WEEK, registry, faults)
    assert any("does not start after the batch before it" in fault for fault in faults)
    assert len(batches) == len(entries)


@st.composite
def fleets(draw: st.DrawFn) -> list[Node]:
    """The nodes of a registry: some subnets, API boundary nodes, and nodes without a subnet."""
    sizes = draw(st.lists(st.integers(1, 40), max_size=6))
    homes: list[tuple[str | None, bool]] = [
        (f"s{number}", False) for number, size in enumerate(sizes) for _ in range(size)
    ]
    homes += [(None, True)] * draw(st.integers(0, 20)) + [(None, False)] * draw(st.integers(0, 30))
    names = draw(st.permutations(range(len(homes))))
    return [
        Node(f"n{name:03}-x", home, boundary, OLD, OLD)
        for name, (home, boundary) in zip(names, homes, strict=True)
    ]


amounts = st.one_of(
    st.builds(Amount, st.integers(1, 50)), st.builds(Amount, st.integers(1, 100), st.just(True))
)
allowed_hours = st.builds(
    lambda days, span: AllowedHours(days, min(span), max(span) + 1),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
)
wishes = st.builds(
    WaveWishes,
    kind=st.sampled_from(sorted(NODE_KINDS)),
    version=st.just(NEW),
    sizes=st.lists(amounts, min_size=1, max_size=4),
    tolerance=amounts,
    hours=allowed_hours,
    interval_hours=st.integers(0, 60),
    not_before=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda m: m.replace(tzinfo=UTC)),
    simulate=st.just(False),
    sensor_interval=st.just(60),
)


@given(fleets(), st.lists(amounts, min_size=1, max_size=4))
def test_waves_hold_each_node_once_in_order_and_no_more_of_a_subnet_than_it_can_spare(
    nodes: list[Node], sizes: list[Amount]
) -> None:
    order = spread(nodes)
    assert Counter(order) == Counter(nodes)
    members = Counter(node.subnet_id for node in nodes)
    waves = cut(order, sizes, members)
    assert [node for wave in waves for node in wave] == order
    for number, wave in enumerate(waves):
        assert 1 <= len(wave) <= max(1, sizes[min(number, len(sizes) - 1)].of(len(nodes)))
        taken = Counter(node.subnet_id for node in wave if node.subnet_id is not None)
        assert all(count <= spare(members[subnet]) for subnet, count in taken.items())


@given(fleets(), wishes)
def test_all_waves_are_planned_inside_allowed_hours_and_far_enough_apart(
    nodes: list[Node], wanted: WaveWishes
) -> None:
    faults: list[str] = []
    rollout = plan_waves(wanted, nodes, (), faults)
    fitting = [node.node_id for node in nodes if NODE_KINDS[wanted.kind].includes(node)]
    assert bool(faults) == (not fitting or len(rollout.waves) > MAX_WAVES)
    assert sorted(name for step in rollout.waves.values() for name in step.node_ids) == sorted(fitting)
    moments = [datetime.fromisoformat(rollout.planned[number]) for number in sorted(rollout.waves)]
    assert all(moment >= wanted.not_before and wanted.hours.contain(moment) for moment in moments)
    interval = timedelta(hours=wanted.interval_hours)
    assert all(later - earlier >= interval for earlier, later in pairwise(moments))
    assert WaveRollout.from_payload(rollout.to_payload()) == rollout


@given(fleets(), wishes, st.data())
def test_a_wave_that_is_late_still_begins_inside_allowed_hours_and_far_enough_from_the_one_before(
    nodes: list[Node], wanted: WaveWishes, data: st.DataObject
) -> None:
    rollout = plan_waves(wanted, nodes, (), [])
    assume(len(rollout.waves) > 1)
    interval = timedelta(hours=wanted.interval_hours)
    late = timedelta(minutes=data.draw(st.integers(0, 20 * 24 * 60)))
    began = wanted.hours.next(wanted.not_before + late)
    previous = type(rollout.waves[1])(**{**vars(rollout.waves[1]), "started_at": began.isoformat()})
    start = rollout.start_of(2, began + timedelta(minutes=5), previous)
    assert wanted.hours.contain(start)
    assert start >= began + interval
    assert start >= datetime.fromisoformat(rollout.planned[2])
