"""Fixtures: an origin with a small content tree, and syncers of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from syncer_kit import Origin, Setup

CONTENT = {
    "README.md": "not content\n",
    "content/README.md": "not published\n",
    "content/plugins/operators/deploy.py": "operator 1\n",
    "content/plugins/sensors/wait.py": "sensor 1\n",
    "content/shared/README.md": "not a shared folder\n",
    "content/shared/lib/__init__.py": "lib 1\n",
    "content/shared/lib/deep/module.py": "deep 1\n",
    "content/shared/tools/__init__.py": "tools 1\n",
    "content/dags/rollout.py": "dag 1\n",
    "content/dags/other.py": "other 1\n",
}


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path / "origin")
    made.commit(CONTENT)
    return made


@pytest.fixture
def setup(tmp_path: Path, origin: Origin) -> Iterator[Setup]:
    target = tmp_path / "volume"
    settings = {
        "CONTENT_SYNCER_GIT_REPO_SOURCE": str(origin.path),
        "CONTENT_SYNCER_TARGET": str(target),
        "CONTENT_SYNCER_CACHE": str(tmp_path / "cache"),
    }
    setup = Setup(origin, target, settings)
    yield setup
    for syncer in setup.made:
        syncer.close()
