"""One sync: look up the branch, fetch it if it moved, publish what changed, prune what is old."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from content_syncer import log
from content_syncer.errors import GitError
from content_syncer.files import Volume
from content_syncer.git import Git
from content_syncer.layout import DAGS, FOLDERS, Tree, read_layout
from content_syncer.publish import Published, Publisher, Step, ignore, steps_for
from content_syncer.repository import Remote, Repository
from content_syncer.settings import Settings
from content_syncer.status import utc_now
from content_syncer.trees import TreeStore, holds, touch


@dataclass(frozen=True)
class Outcome:
    """What a sync did: the revision now served, and the slots that changed in the order they did."""

    revision: str
    changed: tuple[str, ...]


class Syncer:
    """Syncs one volume with one source. Other processes may sync the same volume: they take turns."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], observe: Callable[[Step], None] = ignore
    ) -> None:
        """`environment` is what git inherits from; `observe` is called after each step of publishing."""
        self.volume = Volume(settings.target)
        self.publisher = Publisher(self.volume, observe)
        self._settings = settings
        self._trees = TreeStore(self.volume)
        self._repository = Repository(Git(settings.source, settings.git_timeout, environment), settings.cache)

    def close(self) -> None:
        """Remove what was fetched; the volume stays as it is."""
        self._repository.close()

    def sync(self) -> Outcome:
        """Bring the volume to what the branch is now. Raises SyncError or OSError; the volume still serves then."""
        with self.volume.locked():
            self.volume.clear_staging()
            recovered = self.publisher.recover()
            if recovered:
                log.warning("finished what a killed sync began to publish", revision=recovered.revision)
            outcome = self._sync()
            self._trees.prune(set(self.publisher.served().values()), self._settings.retention)
            return outcome

    def _sync(self) -> Outcome:
        remote = self._repository.resolve(self._settings.branch)
        published = self.publisher.published()
        if published and self._is_current(published, remote):
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

    def _update(self, remote: Remote) -> Outcome:
        revision = self._repository.fetch(remote)
        trees = read_layout(self._repository.entries(revision, self._settings.subpath, FOLDERS))
        served = self.publisher.served()
        wanted, written = self._check_out(trees, served)
        bridges = self._bridge(wanted, served)
        steps = steps_for(wanted, served, bridges)
        links = {slot: checkout.name for slot, checkout in wanted.items()}
        touch(written)
        self.publisher.publish(steps, Published(revision, self._settings.subpath, utc_now(), links))
        return Outcome(revision, tuple(dict.fromkeys(step.slot for step in steps)))

    def _check_out(
        self, trees: list[Tree], served: Mapping[str, Path]
    ) -> tuple[dict[str, Path], tuple[Path, ...]]:
        """Return each slot's checkout (the served one where its tree did not change) and the files written."""
        wanted: dict[str, Path] = {}
        written: tuple[Path, ...] = ()
        with self._repository.blobs() as read:
            for tree in trees:
                current = served.get(tree.slot)
                if current and holds(current, tree):
                    wanted[tree.slot] = current
                    continue
                checkout = self._trees.build(tree, read, current)
                wanted[tree.slot] = checkout.path
                written += checkout.written
        return wanted, written

    def _bridge(self, wanted: Mapping[str, Path], served: Mapping[str, Path]) -> dict[str, Path]:
        """Make a bridge for each changed slot that loses files; the DAGs need none, they change in one swap."""
        bridges: dict[str, Path] = {}
        for slot, checkout in wanted.items():
            old = served.get(slot)
            if slot != DAGS and old and old != checkout and old.is_dir():
                bridge = self._trees.build_bridge(slot, checkout, old)
                if bridge:
                    bridges[slot] = bridge
        return bridges
