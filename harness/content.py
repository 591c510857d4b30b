"""Content on its way into the pods: push to the stack's git origin, poke syncers, wait until pods serve it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.history import Recorder
from harness.runtime.base import Runtime
from harness.waits import eventually

BRANCH = "main"
STATUS_FILE = "/opt/airflow/content/.syncer/status.json"
SUBPATH = "content"
PUSH_ATTEMPTS = 10
"""How often a push is tried again because somebody else's came first."""
AUTHOR = {
    "GIT_AUTHOR_NAME": "itest",
    "GIT_AUTHOR_EMAIL": "itest@localhost",
    "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "itest",
    "GIT_COMMITTER_EMAIL": "itest@localhost",
    "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}
"""Fixed, so that equal trees make equal revisions."""


class ContentError(RuntimeError):
    """Content could not be committed or pushed; the message has git's own words, without the token."""


@dataclass(frozen=True, slots=True)
class PodRevision:
    """What a pod's syncer says it serves; empty where it serves or says nothing."""

    pod: str
    revision: str
    last_success: str
    last_error: str
    held: bool = False
    """Whether it is pinned to what it serves."""


class Content:
    """The stack's content: a private git repository on this host, its origin, and the pods' syncers.

    `url` is the origin as the host reaches it; `user` and `token` are sent as a header that git takes from its
    environment, so that no list of processes shows them. `syncers` maps pods to their sidecars' service names.
    """

    def __init__(
        self,
        runtime: Runtime,
        syncers: Mapping[str, str],
        url: str,
        credentials: tuple[str, str],
        record: Recorder,
    ) -> None:
        self._runtime = runtime
        self._syncers = dict(syncers)
        self._url = url
        basic = base64.b64encode(":".join(credentials).encode()).decode()
        self._secrets = (credentials[1], basic)
        self._git_environment = {
            **AUTHOR,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
        self._record = record
        self._folder = tempfile.TemporaryDirectory(prefix="itest-content-")
        self._git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}")

    def close(self) -> None:
        """Remove the private repository."""
        self._folder.cleanup()

    # ---- revisions

    @property
    def revision(self) -> str:
        """The revision that the origin offers now, whoever pushed it; raises `ContentError` when it has none."""
        found = self._git("ls-remote", self._url, f"refs/heads/{BRANCH}").partition("\t")[0]
        if not found:
            raise ContentError("nothing was pushed to the stack's git origin yet")
        return found

    def wait_for_origin(self, timeout: float = 30) -> None:
        """Wait until the origin answers through the gateway, which looks its name up a moment after both are up."""
        last = ""

        def look() -> bool:
            nonlocal last
            try:
                self._git("ls-remote", self._url)
            except ContentError as error:
                last = str(error)
                return False
            return True

        eventually(look, "the git origin to answer through the gateway", timeout, 0.1, lambda: last)

    def commit_directory(self, folder: Path) -> str:
        """Commit `folder` (which holds ``dags``, ``plugins``, ``shared``) as it lies on disk, without a past.

        Files that its repository ignores are left out. Returns the revision; equal folders have equal ones.
        """
        if not (folder / "dags").is_dir():
            raise ContentError(
                f"{folder} holds no dags folder; give the folder that is `content` in production"
            )
        with tempfile.NamedTemporaryFile(dir=self._folder.name) as index:
            Path(index.name).unlink()
            env = {"GIT_INDEX_FILE": index.name}
            files = listed_files(folder)
            for start in range(0, len(files), 500):
                names = [str(f) for f in files[start : start + 500]]
                self._git("--work-tree", str(folder), "add", "--force", "--", *names, env=env, cwd=folder)
            tree = self._git("write-tree", env=env)
            Path(index.name).touch()
        return self._commit(self._under_subpath(tree), "content of the working tree")

    def push_directory(self, folder: Path) -> str:
        """Make the origin offer what `commit_directory` commits. Returns the revision."""
        return self._offer(self.commit_directory(folder))

    def push_revision(self, repository: Path, revision: str) -> str:
        """Push the content that `repository` holds at `revision`, a commit id (see `resolve`). Returns the revision
        under which the stack serves it, which differs from `revision`: history is left behind."""
        self._git("fetch", "--quiet", "--no-tags", "--depth=1", str(repository.resolve()), revision)
        tree = self._git("rev-parse", "--verify", "--quiet", f"FETCH_HEAD:{SUBPATH}")
        return self._offer(self._commit(self._under_subpath(tree), f"content of {revision}"))

    def push_changes(self, changes: Mapping[str, str | None], message: str = "a change") -> str:
        """Commit changed files on top of what the origin offers, and push. Returns the revision.

        `changes` maps paths below ``content/``, such as ``dags/x.py``, to their text, or to None to delete.
        Others may push at the same time: nothing of theirs is lost. Raises `ContentError`.
        """
        for attempt in range(PUSH_ATTEMPTS):
            self._git("fetch", "--quiet", self._url, BRANCH)
            parent = self._git("rev-parse", "--verify", "FETCH_HEAD")
            commit = self._commit(self._changed(parent, changes), message, parent)
            try:
                self._git("push", "--quiet", self._url, f"{commit}:refs/heads/{BRANCH}")
            except ContentError:
                if attempt == PUSH_ATTEMPTS - 1 or self.revision == parent:
                    raise
            else:
                break
        self._record("push", revision=commit, message=message)
        return commit

    def changed_dag_files(self, former: str, revision: str) -> list[str]:
        """Paths below ``dags`` that are new or other in `revision` (ours) than in `former`, which was offered."""
        self._git("fetch", "--quiet", self._url, former)
        folder = f"{SUBPATH}/dags/"
        listed = self._git("diff", "--name-only", "--diff-filter=d", former, revision, "--", folder)
        return [name.removeprefix(folder) for name in listed.splitlines() if name.endswith(".py")]

    def dag_files(self) -> list[str]:
        """Paths below ``dags``, in the revision that was pushed last, of the files in which Airflow looks for DAGs: its
        safe mode takes those that mention both "dag" and "airflow". Raises `ContentError` where others pushed it."""
        folder, revision = f"{SUBPATH}/dags/", self.revision
        self._git("cat-file", "-e", revision)
        words = ("-e", "dag", "-e", "airflow")
        # It fails, too, where no file has both.
        found = self._git(
            "grep", "-l", "-i", "--all-match", *words, revision, "--", f"{folder}*.py", check=False
        )
        return [line.partition(":")[2].removeprefix(folder) for line in found.splitlines()]

    def restore(self, revision: str) -> None:
        """Make the origin offer a revision that it has offered before, and wait until every pod serves it."""
        self._git("fetch", "--quiet", self._url, revision)
        self._offer(revision)
        self.deliver(revision)

    def _changed(self, parent: str, changes: Mapping[str, str | None]) -> str:
        """The tree of `parent` with the changes."""
        with tempfile.NamedTemporaryFile(dir=self._folder.name) as index:
            Path(index.name).unlink()
            env = {"GIT_INDEX_FILE": index.name}
            self._git("read-tree", parent, env=env)
            self._git("update-index", "--index-info", env=env, input=self._index_lines(changes))
            tree = self._git("write-tree", env=env)
            Path(index.name).touch()
        return tree

    def _index_lines(self, changes: Mapping[str, str | None]) -> str:
        """The changes as git's index takes them: mode, object, path; mode 0 removes."""
        lines = []
        for path, text in changes.items():
            if text is None:
                lines.append(f"0 {'0' * 40}\t{SUBPATH}/{path}\n")
            else:
                blob = self._git("hash-object", "-w", "--stdin", input=text)
                lines.append(f"100644 {blob}\t{SUBPATH}/{path}\n")
        return "".join(lines)

    def _under_subpath(self, tree: str) -> str:
        return self._git("mktree", input=f"040000 tree {tree}\t{SUBPATH}\n")

    def _commit(self, tree: str, message: str, parent: str = "") -> str:
        return self._git("commit-tree", tree, "-m", message, *(["-p", parent] if parent else []))

    def _offer(self, commit: str) -> str:
        """Make the origin offer `commit`, whatever it offered before."""
        self._git("push", "--quiet", "--force", self._url, f"{commit}:refs/heads/{BRANCH}")
        self._record("push", revision=commit)
        return commit

    # ---- pods

    def pods(self) -> dict[str, PodRevision]:
        """What each pod serves now, by the pod's name."""
        return {pod: self._status(pod, syncer) for pod, syncer in self._syncers.items()}

    def _status(self, pod: str, syncer: str) -> PodRevision:
        """Read the syncer's status file out of the pod's volume: the engine does, no process is started there."""
        try:
            status = json.loads(self._runtime.read_file(syncer, STATUS_FILE))
        except (FileNotFoundError, ValueError):
            status = {}
        return PodRevision(
            pod,
            status.get("revision") or "",
            status.get("last_success") or "",
            status.get("last_error") or "",
            bool(status.get("held")),
        )

    def poke(self, pods: Iterable[str] | None = None) -> None:
        """Make the pods' syncers look at the origin now instead of at their next interval."""
        for pod in pods if pods is not None else self._syncers:
            self._runtime.signal(self._syncers[pod], "SIGUSR1")

    def deliver(self, revision: str) -> None:
        """Have every pod serve `revision`, which was pushed, without waiting for the syncers' interval."""
        self.poke()
        self.wait_until_served(revision)

    def hold(self, pod: str, revision: str = "", timeout: float = 60) -> PodRevision:
        """Pin a pod to what it serves, or to another `revision`, whatever is pushed. What it then serves.

        Raises `ContentError` with the syncer's words, and `WaitTimeout`.
        """
        self._tell_syncer(pod, "hold", *([revision] if revision else []))
        self._record("hold", pod=pod, revision=revision)
        return self._when(pod, lambda s: s.held and revision in ("", s.revision), "to be pinned", timeout)

    def release(self, pod: str, timeout: float = 60) -> PodRevision:
        """Undo `hold`: the pod follows the branch again. What it then serves."""
        self._tell_syncer(pod, "release")
        self._record("release", pod=pod)
        return self._when(pod, lambda s: not s.held, "to follow the branch again", timeout)

    def _tell_syncer(self, pod: str, *command: str) -> None:
        told = self._runtime.exec(self._syncers[pod], ["content-syncer", *command])
        if told.exit_code:
            raise ContentError(f"{' '.join(command)} in {pod}: {told.output.strip()}")

    def _when(self, pod: str, good: Callable[[PodRevision], bool], what: str, timeout: float) -> PodRevision:
        def look() -> PodRevision | None:
            seen = self._status(pod, self._syncers[pod])
            return seen if good(seen) else None

        return eventually(look, f"{pod} {what}", timeout)

    def wait_until_served(
        self, revision: str, pods: Iterable[str] | None = None, timeout: float = 60
    ) -> dict[str, PodRevision]:
        """Wait until each pod serves `revision`; raises `WaitTimeout` with what each serves instead."""
        return self._wait_for_pods(lambda served: served == revision, revision, pods, timeout)

    def wait_until_contained(self, revision: str, timeout: float = 60) -> dict[str, PodRevision]:
        """Wait until each pod serves `revision` or a later one that was pushed on top of it."""

        def contained(served: str) -> bool:
            return served == revision or (bool(served) and self._is_ancestor(revision, served))

        return self._wait_for_pods(contained, revision, None, timeout)

    def _is_ancestor(self, revision: str, of: str) -> bool:
        self._git("fetch", "--quiet", self._url, BRANCH)
        asked = subprocess.run(
            ["git", f"--git-dir={self._folder.name}", "merge-base", "--is-ancestor", revision, of],
            capture_output=True,
            check=False,
        )
        return asked.returncode == 0

    def _wait_for_pods(
        self, good: Callable[[str], bool], revision: str, pods: Iterable[str] | None, timeout: float
    ) -> dict[str, PodRevision]:
        wanted = list(pods if pods is not None else self._syncers)
        seen: dict[str, PodRevision] = {}

        def look() -> bool:
            waiting = [pod for pod in wanted if pod not in seen or not good(seen[pod].revision)]
            with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
                asked = pool.map(lambda pod: self._status(pod, self._syncers[pod]), waiting)
                seen.update(zip(waiting, asked, strict=True))
            return all(good(seen[pod].revision) for pod in waiting)

        def describe() -> str:
            return "\n".join(
                f"  {s.pod} serves {s.revision or 'nothing'}; last error: {s.last_error or 'none'}"
                for s in seen.values()
            )

        eventually(look, f"every pod to serve {revision}", timeout, describe=describe)
        self._record("served", revision=revision, pods=wanted)
        return seen

    # ---- git

    def _git(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input: str | None = None,
        check: bool = True,
    ) -> str:
        done = subprocess.run(
            ["git", f"--git-dir={self._folder.name}", *arguments],
            env={**os.environ, **self._git_environment, **(env or {})},
            cwd=cwd or self._folder.name,
            input=input,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            words = f"git {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}"
            for secret in self._secrets:
                words = words.replace(secret, "***")
            raise ContentError(words)
        return done.stdout.strip()


def resolve(repository: Path, revision: str) -> str:
    """The commit id that `revision` (an id, a branch, a tag, ``HEAD~3``) names; raises `ContentError`."""
    asked = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise ContentError(f"{repository} has no revision {revision!r}; fetch it, or name another")
    return asked.stdout.strip()


def listed_files(folder: Path) -> list[Path]:
    """Files below `folder`, relative to it: those git knows or would add; in no repository, all of them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name]
    else:
        names = [f.relative_to(folder) for f in folder.rglob("*") if "__pycache__" not in f.parts]
    return sorted({n for n in names if (folder / n).is_file()})
