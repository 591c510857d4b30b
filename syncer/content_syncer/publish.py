"""Publishes checkouts: a few atomic link swaps in the contract's order, redone after a kill.

Before the first swap all checkouts are complete and the list of steps is in a journal on the volume.
So a sync that was killed between two steps is finished by the next one, even with the origin away.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from content_syncer.files import Volume, read_json
from content_syncer.layout import DAGS, publishing_order
from content_syncer.trees import mark_replaced

Links = Mapping[str, str]
"""Slot to the name of the checkout that its link points to."""


@dataclass(frozen=True)
class Step:
    """Point a slot's link to the checkout of that name, or remove the link (None)."""

    slot: str
    checkout: str | None


@dataclass(frozen=True)
class Published:
    """What the volume serves: written once all of a revision's links are in place."""

    revision: str
    subpath: str
    published_at: str
    links: Links


def ignore(_: Step) -> None:
    """Observe nothing."""


class Publisher:
    """Swaps links in one volume; call with the volume's lock held."""

    def __init__(self, volume: Volume, observe: Callable[[Step], None] = ignore) -> None:
        """`observe` is called after each step; if it raises, publishing stops there (as a kill would)."""
        self._volume = volume
        self._observe = observe

    def published(self) -> Published | None:
        """Return what was published last, or None where nothing was or its record is damaged."""
        try:
            return Published(**(read_json(self._volume.record) or {}))
        except TypeError:
            return None

    def served(self) -> dict[str, Path]:
        """Return the checkout each slot's link points to, without the links that point nowhere."""
        links = (self._volume.target / DAGS, *sorted((self._volume.target / "plugins").glob("*")))
        slots = {str(link.relative_to(self._volume.target)): self._pointed(link) for link in links}
        return {slot: checkout for slot, checkout in slots.items() if checkout}

    def intact(self, published: Published) -> bool:
        """Tell whether the links are those of the record, no more and no less, and lead to folders."""
        served = {slot: checkout.name for slot, checkout in self.served().items() if checkout.is_dir()}
        return served == published.links

    def serves(self) -> bool:
        """Tell whether a revision's DAGs are there to be read: true also while the next one is published."""
        dags = self.served().get(DAGS)
        return self.published() is not None and dags is not None and dags.is_dir()

    def publish(self, steps: list[Step], published: Published) -> None:
        """Do the steps, so that after any kill either none was done or `recover` does the rest."""
        journal = {"steps": [asdict(step) for step in steps], "published": asdict(published)}
        self._volume.write_json(self._volume.journal, journal)
        self._finish(steps, published)

    def recover(self) -> Published | None:
        """Finish the publishing that a killed sync began; returns what it was, None where there was none."""
        journal = read_json(self._volume.journal)
        if journal is None:
            return None
        try:
            steps = [Step(**step) for step in journal["steps"]]
            published = Published(**journal["published"])
        except (KeyError, TypeError):
            self._volume.journal.unlink()
            return None
        if any(step.checkout and not self._checkout(step).is_dir() for step in steps):
            self._volume.journal.unlink()
            return None
        self._finish(steps, published)
        return published

    def _finish(self, steps: list[Step], published: Published) -> None:
        for step in steps:
            self._do(step)
            self._observe(step)
        self._volume.write_json(self._volume.record, asdict(published))
        self._volume.journal.unlink()

    def _do(self, step: Step) -> None:
        link = self._volume.target / step.slot
        replaced = self._pointed(link)
        if replaced:
            mark_replaced(replaced)
        if step.checkout is None:
            link.unlink(missing_ok=True)
            return
        fresh = self._volume.scratch()
        fresh.symlink_to(os.path.relpath(self._checkout(step), link.parent))
        if link.is_dir() and not link.is_symlink():
            # No rename replaces a folder with a link. Only a volume that others filled has one here.
            self._volume.discard(link.rename(self._volume.scratch()))
        fresh.replace(link)

    def _checkout(self, step: Step) -> Path:
        return self._volume.trees / step.slot / (step.checkout or "")

    def _pointed(self, link: Path) -> Path | None:
        """Return the checkout that a link of ours points to; None for anything else."""
        if not link.is_symlink():
            return None
        checkout = Path(os.path.normpath(link.parent / link.readlink()))
        return checkout if checkout.is_relative_to(self._volume.trees) else None


def steps_for(
    wanted: Mapping[str, Path], served: Mapping[str, Path], bridges: Mapping[str, Path]
) -> list[Step]:
    """Order the swaps: what is new from operators to DAGs, then what goes from DAGs to operators.

    A slot in `bridges` first serves its bridge (new and removed files), and its new checkout only after
    the DAGs were swapped. Slots whose checkout stays are left alone.
    """
    changed = [slot for slot in publishing_order(wanted) if wanted[slot] != served.get(slot)]
    forward = [Step(slot, (bridges.get(slot) or wanted[slot]).name) for slot in changed]
    going = [slot for slot in publishing_order({*served, *bridges}) if slot in bridges or slot not in wanted]
    backward = [Step(slot, wanted[slot].name if slot in wanted else None) for slot in reversed(going)]
    return forward + backward
