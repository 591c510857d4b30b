"""One sync: look up the branch, fetch it if it moved, publish what changed, prune what is old."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from content_syncer import control, log
from content_syncer.errors import ContentError, GitError, MissingError, SyncError
from content_syncer.files import Volume
from content_syncer.gate import Gate
from content_syncer.git import Git
from content_syncer.layout import DAGS, Tree, check_attributes, list_folders, read_layout
from content_syncer.objects import Objects
from content_syncer.publish import Published, Publisher, Step, ignore, steps_for
from content_syncer.repository import Remote, Repository
from content_syncer.settings import Settings
from content_syncer.status import utc_now
from content_syncer.trees import TreeStore, holds, touch


@dataclass(frozen=True)
class Outcome:
    """What a sync did: the revision now served, the slots that changed in the order they did, and if it is held."""

    revision: str
    changed: tuple[str, ...]
    held: bool = False


class Syncer:
    """Syncs one volume with one source. Other processes may sync the same volume: they take turns."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], observe: Callable[[Step], None] = ignore
    ) -> None:
        """`environment` is what git inherits from; `observe` is called after each step of publishing."""
        self.volume = Volume(settings.target)
        self.publisher = Publisher(self.volume, observe)
        self.trees = TreeStore(self.volume, settings.allow)
        self._settings = settings
        self._verified = time.monotonic()
        self._damaged: set[str] = set()
        self._gate = Gate(settings.gate_python, settings.gate_timeout, self.volume, environment)
        self._repository = Repository(Git(settings.access, settings.git_timeout, environment), settings.cache)

    def close(self) -> None:
        """Remove what was fetched; the volume stays as it is."""
        self._repository.close()

    def sync(self) -> Outcome:
        """Bring the volume to what it shall serve now. Raises SyncError or OSError; the volume still serves then."""
        with self.volume.locked():
            self.volume.clear_staging()
            self.trees.sweep()
            recovered = self.publisher.recover()
            if recovered:
                log.warning("finished what a killed sync began to publish", revision=recovered.revision)
            outcome = self._sync()
            served = set(self.publisher.served().values())
            self.trees.prune(served, self._settings.retention)
            return outcome

    def _sync(self) -> Outcome:
        published = self.publisher.published()
        hold = control.held(self.volume)
        if hold == control.HERE and published and self.publisher.intact(published):
            return Outcome(published.revision, (), held=True)
        # Held at what was served, but that is gone or damaged: back to that revision, or to any for a start.
        wanted = hold or (published.revision if hold == control.HERE and published else None)
        outcome = self._follow(wanted or self._settings.branch, published)
        if hold and hold != outcome.revision:
            control.hold(self.volume, outcome.revision)
        return replace(outcome, held=hold is not None)

    def _follow(self, name: str, published: Published | None) -> Outcome:
        if published is None:
            # Nothing to compare with: what the branch is comes with the fetch.
            with suppress(MissingError):
                return self._update(self._repository.guess(name))
        remote = self._repository.resolve(name)
        if published and self._is_current(published, remote) and not self._is_damaged(remote):
            return Outcome(published.revision, ())
        try:
            return self._update(remote)
        except GitError:
            # The origin just answered, so what was fetched earlier may be broken: once more without it.
            if not self._repository.discard():
                raise
            return self._update(remote)

    def _is_current(self, published: Published, remote: Remote) -> bool:
        wanted = (remote.commit, self._settings.subpath)
        return (published.revision, published.subpath) == wanted and self.publisher.intact(published)

    def _is_damaged(self, remote: Remote) -> bool:
        """Now and then, compare all that is served with git; remembers the slots that differ."""
        if time.monotonic() - self._verified < self._settings.verify_interval:
            return False
        served = self.publisher.served()
        revision = self._repository.fetch(remote)
        with self._repository.objects() as objects:
            for tree in self._layout(objects, revision):
                if tree.slot in served and not self.trees.intact(served[tree.slot], tree, objects):
                    log.warning("files were changed by somebody else: publishing them anew", slot=tree.slot)
                    self._damaged.add(tree.slot)
        self._verified = time.monotonic()
        return bool(self._damaged)

    def _update(self, remote: Remote) -> Outcome:
        revision = self._repository.fetch(remote)
        if self._settings.allowed_signers:
            self._repository.verify(revision, self._settings.allowed_signers)
        served = self.publisher.served()
        wanted, written = self._check_out(revision, served)
        bridges = self._bridge(wanted, served)
        steps = steps_for(wanted, served, bridges)
        links = {slot: checkout.name for slot, checkout in wanted.items()}
        self._damaged.clear()
        touch(written)
        self.publisher.publish(steps, Published(revision, self._settings.subpath, utc_now(), links))
        return Outcome(revision, tuple(dict.fromkeys(step.slot for step in steps)))

    def _check_out(
        self, revision: str, served: Mapping[str, Path]
    ) -> tuple[dict[str, Path], tuple[Path, ...]]:
        """Return each slot's checkout (the served one where its tree did not change) and the files written."""
        wanted: dict[str, Path] = {}
        written: tuple[Path, ...] = ()
        built: list[Path] = []
        try:
            with self._repository.objects() as objects:
                for tree in self._layout(objects, revision):
                    current = None if tree.slot in self._damaged else served.get(tree.slot)
                    if current and holds(current, tree):
                        wanted[tree.slot] = current
                        continue
                    checkout = self.trees.build(tree, objects, current)
                    built.append(checkout.path)
                    wanted[tree.slot] = checkout.path
                    written += checkout.written
            if built:
                self._gate.check(revision, wanted)
        except SyncError:
            for path in built:
                self.trees.drop(path)
            raise
        return wanted, written

    def _layout(self, objects: Objects, revision: str) -> list[Tree]:
        subpath = self._settings.subpath
        folders = objects.folders_to(revision, subpath)
        if not folders:
            raise ContentError(
                f"revision {revision} has no folder {subpath!r} (CONTENT_SYNCER_GIT_REPO_SUBPATH)"
            )
        entries = list_folders(objects, folders[-1])
        check_attributes(objects, folders[:-1], entries, self._settings.allow)
        return read_layout(entries)

    def _bridge(self, wanted: Mapping[str, Path], served: Mapping[str, Path]) -> dict[str, Path]:
        """Make a bridge for each changed slot that loses files; the DAGs need none, they change in one swap."""
        bridges: dict[str, Path] = {}
        for slot, checkout in wanted.items():
            old = served.get(slot)
            if slot != DAGS and old and old != checkout and old.is_dir():
                bridge = self.trees.build_bridge(slot, checkout, old)
                if bridge:
                    bridges[slot] = bridge
        return bridges
