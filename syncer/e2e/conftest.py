"""Fixtures: the syncer's image, an origin in a volume, a place for containers."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from container_kit import Lab, repository_files
from syncer_kit import Origin

from harness import engine
from harness.prepare import Options, decide, with_images

CONTENT = {
    "content/plugins/operators/deploy.py": "operator 1\n",
    "content/shared/lib/__init__.py": "lib 1\n",
    "content/dags/rollout.py": "dag 1\n",
}
Push = Callable[[dict[str, str | None]], str]


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """References of the images, built where they are missing."""
    return with_images(decide(Options.from_environment()), ("syncer", "syncer-origin")).references


@pytest.fixture(scope="session")
def gated_image() -> str:
    """Reference of the syncer's image that is made from Airflow's."""
    return with_images(decide(Options.from_environment()), ("syncer-gated",)).references["syncer-gated"]


@pytest.fixture
def lab(images: dict[str, str]) -> Iterator[Lab]:
    made = Lab(engine.client(), images)
    yield made
    made.close()


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def ssh_keys(tmp_path: Path) -> dict[str, bytes]:
    """Three ssh keys, `host`, `old` and `new`, and their public halves, `host.pub` and so on."""
    for name in ("host", "old", "new"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    names = [f"{name}{end}" for name in ("host", "old", "new") for end in ("", ".pub")]
    return {name: (tmp_path / name).read_bytes() for name in names}


@pytest.fixture
def origin_volume(lab: Lab) -> str:
    return lab.volume()


@pytest.fixture
def push(lab: Lab, origin: Origin, origin_volume: str) -> Push:
    """Commits changes and puts the repository into the origin's volume; gives the revision. Pushed once already."""

    def to_volume(changes: dict[str, str | None]) -> str:
        revision = origin.commit(changes)
        lab.put(origin_volume, repository_files(origin))
        return revision

    to_volume(dict(CONTENT))
    return to_volume
