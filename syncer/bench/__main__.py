"""Measure a sync of 10 changed files in large trees, beside `git fetch` + `rsync --checksum`: `python syncer/bench`.

Both work on the same origin, the same revisions and the same file system, turn about, in one run. A round is
one pushed revision. Printed are medians of the rounds: wall time, CPU time of the process and its children, and
bytes that were written to the published tree. Needs git and Debian's rsync.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from content_syncer.settings import read_settings
from content_syncer.sync import Syncer

TREES = (900, 3600, 14400)
CHANGED = 10
PER_FOLDER = 36
LINES = 60
"""So many lines of some 35 bytes make a DAG file of about 2 KB."""


@dataclass(frozen=True)
class Cost:
    """What one round took: seconds of wall and CPU time, and bytes written to the published tree."""

    wall: float
    cpu: float
    written: int


def git(directory: Path, *arguments: str) -> str:
    """Run git there, with an identity and without the machine's configuration; return what it printed."""
    who = {
        f"GIT_{role}_{part}": "bench@localhost"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", **who}
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], env=environment, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def dag(number: int, version: int) -> str:
    """The text of a DAG file."""
    return "".join(f"line_{line} = ({number}, {version}, {line * number})\n" for line in range(LINES))


def make_origin(path: Path, files: int) -> None:
    """A repository with so many DAG files, some to a folder."""
    for number in range(files):
        write_dag(path, number, 0)
    git(path.parent, "init", "--quiet", "--initial-branch=main", str(path))
    commit(path)


def write_dag(origin: Path, number: int, version: int) -> None:
    """Write one DAG file of the origin's work tree."""
    file = origin / f"content/dags/team_{number // PER_FOLDER}/dag_{number}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dag(number, version))


def commit(origin: Path) -> None:
    """Commit the work tree as it is."""
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message=change")


def change(origin: Path, files: int, version: int) -> None:
    """Push a revision that changes ten files, spread over the tree."""
    for number in range(CHANGED):
        write_dag(origin, (number * files // CHANGED + version) % files, version)
    commit(origin)


def cpu_seconds() -> float:
    """CPU time of this process and of its children that ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measured(work: Callable[[], int]) -> Cost:
    """Do it; `work` returns how many bytes it wrote."""
    wall, cpu = time.monotonic(), cpu_seconds()
    written = work()
    return Cost(time.monotonic() - wall, cpu_seconds() - cpu, written)


@contextmanager
def syncer_of(origin: Path, folder: Path, retention: float) -> Iterator[Callable[[], int]]:
    """A syncer as the sidecar has it between two intervals; gives what syncs once."""
    syncer = Syncer(
        read_settings(
            {
                "CONTENT_SYNCER_GIT_REPO_SOURCE": str(origin),
                "CONTENT_SYNCER_TARGET": str(folder / "volume"),
                "CONTENT_SYNCER_CACHE": str(folder / "cache"),
                "CONTENT_SYNCER_RETENTION": str(retention),
            }
        ),
        os.environ,
    )

    def sync() -> int:
        before = syncer.trees.bytes_written
        assert syncer.sync().changed  # noqa: S101 - a round that changed nothing would measure nothing
        return syncer.trees.bytes_written - before

    try:
        yield sync
    finally:
        syncer.close()


def peer_of(origin: Path, folder: Path) -> Callable[[], int]:
    """`git fetch` and reset in a clone, then `rsync --checksum` to the published tree; gives what does it once."""
    clone, published = folder / "clone", folder / "published"
    git(folder, "clone", "--quiet", "--depth=1", f"file://{origin}", str(clone))
    published.mkdir()

    def sync() -> int:
        git(clone, "fetch", "--quiet", "--depth=1", "origin", "main")
        git(clone, "reset", "--quiet", "--hard", "FETCH_HEAD")
        command = [
            "rsync",
            "--archive",
            "--checksum",
            "--delete",
            "--stats",
            f"{clone}/content/",
            f"{published}/",
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("Literal data:"))
        return int("".join(filter(str.isdigit, line)))

    sync()
    return sync


def bench(files: int, rounds: int, root: Path) -> dict[str, list[Cost]]:
    """Measure so many rounds on a tree of `files`."""
    folder = root / str(files)
    origin = folder / "origin"
    origin.mkdir(parents=True)
    make_origin(origin, files)
    (folder / "kept").mkdir()
    costs: dict[str, list[Cost]] = {}
    # The first retention lets each round renew the tree before the last one, the second never lets it.
    with syncer_of(origin, folder, 0.001) as renewing, syncer_of(origin, folder / "kept", 1e6) as linking:
        ways = {
            "syncer": renewing,
            "syncer, first changes": linking,
            "fetch + rsync": peer_of(origin, folder),
        }
        renewing()
        linking()
        for version in range(1, rounds + 3):
            change(origin, files, version)
            for name, way in ways.items():
                cost = measured(way)
                if version > 2:  # until then there is nothing to renew yet
                    costs.setdefault(name, []).append(cost)
    return costs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--directory", type=Path, help="where to work (default: the system's temporary directory)"
    )
    options = parser.parse_args()
    if not shutil.which("rsync"):
        raise SystemExit("rsync is missing: apt-get install rsync")
    print(f"| DAG files ({CHANGED} changed) | | wall, ms | CPU, ms | bytes written |")
    print("|---|---|---|---|---|")
    for files in TREES:
        with tempfile.TemporaryDirectory(dir=options.directory) as root:
            for name, costs in bench(files, options.rounds, Path(root)).items():
                wall, cpu = (
                    1000 * statistics.median(getattr(c, key) for c in costs) for key in ("wall", "cpu")
                )
                written = statistics.median(cost.written for cost in costs)
                print(f"| {files} | {name} | {wall:.0f} | {cpu:.0f} | {written:.0f} |", flush=True)


if __name__ == "__main__":
    main()
