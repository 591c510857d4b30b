"""The only table of image references, and how each is obtained: pulled, built, or given by the user.

Built images are tagged with a hash of everything that goes into them, so an image that is there is up to date.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from harness.paths import ROOT
from harness.releases import DEFAULT, LOCKS

COCKROACHDB = "cockroachdb/cockroach:v26.2.2"
DEBIAN = "debian:bookworm-slim"

DatabaseKind = Literal["cockroachdb", "stand-in"]
DATABASE_KINDS: tuple[DatabaseKind, ...] = get_args(DatabaseKind)
How = Literal["pulled", "built", "built offline", "given", "migrated"]


class ImageError(RuntimeError):
    """An image could not be obtained; the message says which, why, and where the full log is."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to obtain one image.

    `reference` is complete (name:tag). For builds, `context` and `dockerfile` are paths below the project,
    and `base` is the key of the image it starts from, passed as the build argument `base_argument`.
    A ``migrated`` image is a container of its `base` committed after the image `migrated_by` wrote its schema.
    """

    key: str
    reference: str
    how: How
    context: str = ""
    dockerfile: str = ""
    base: str | None = None
    base_argument: str = "BASE_IMAGE"
    arguments: dict[str, str] = field(default_factory=dict)
    migrated_by: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What an image is built from: files below the project, and the image below it."""

    dockerfile: str
    context: str
    inputs: tuple[str, ...]
    base: str | None = "debian"
    base_argument: str = "BASE_IMAGE"
    arguments: dict[str, str] = field(default_factory=dict)


def _container(name: str) -> Source:
    folder = f"harness/containers/{name}"
    return Source(f"{folder}/Dockerfile", folder, (folder,))


def _sources(airflow: str) -> dict[str, Source]:
    version = {"AIRFLOW_VERSION": airflow}
    locks = f"{LOCKS}/airflow-{airflow}.txt"
    return {
        "debian": Source("", "", ("harness/containers/debian",), base=None),
        "airflow-base": Source(
            "airflow-image/base/Dockerfile",
            "airflow-image",
            ("airflow-image/.dockerignore", "airflow-image/base", "airflow-image/locks/tools.txt", locks),
            base_argument="DEBIAN_IMAGE",
            arguments=version,
        ),
        "airflow": Source(
            "airflow-image/Dockerfile",
            "airflow-image",
            (
                "airflow-image/.dockerignore",
                "airflow-image/Dockerfile",
                "airflow-image/cockroachdb/pyproject.toml",
                "airflow-image/cockroachdb/src",
                locks,
            ),
            base="airflow-base",
            arguments=version,
        ),
        "airflow-tests": Source(
            "airflow-image/tests/Dockerfile",
            "airflow-image",
            ("airflow-image/tests/Dockerfile", "airflow-image/locks/tests.txt"),
            base="airflow",
        ),
        "syncer": Source(
            "syncer/Dockerfile", "syncer", ("syncer/Dockerfile", "syncer/image", "syncer/content_syncer")
        ),
        "syncer-gated": Source(
            "syncer/gated/Dockerfile", "syncer", ("syncer/gated", "syncer/content_syncer"), base="airflow"
        ),
        "syncer-origin": Source("syncer/e2e/origin/Dockerfile", "syncer/e2e/origin", ("syncer/e2e/origin",)),
        "mocks": Source(
            "harness/containers/mocks/Dockerfile", ".", ("harness/containers/mocks", "harness/mocks")
        ),
        "redis": _container("redis"),
        "sandbox": _container("sandbox"),
        "git-origin": _container("git-origin"),
        "gateway": _container("gateway"),
        "clock": _container("clock"),
        "database": _container("cockroach-standin"),
    }


def stage_binary(binary: Path, folder: Path) -> str:
    """Copy a `cockroach` binary to where an image can be built around it; that folder, relative to the project.

    Raises `ImageError` when it is no program.
    """
    if not (binary.is_file() and os.access(binary, os.X_OK)):
        raise ImageError(f"COCKROACH_BINARY={binary} is no executable file")
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()[:12]
    staged = folder / f"cockroach-{digest}" / "cockroach"
    if not staged.exists():
        staged.parent.mkdir(parents=True, exist_ok=True)
        partial = staged.with_suffix(".new")
        shutil.copyfile(binary, partial)
        partial.chmod(0o755)
        partial.replace(staged)
    return str(staged.parent.relative_to(ROOT))


def _around_binary(staged: str) -> Source:
    folder = "harness/containers/cockroachdb"
    return Source(f"{folder}/Dockerfile", staged, (folder, staged))


def content_hash(paths: tuple[str, ...], *salt: str, root: Path = ROOT) -> str:
    """Twelve hex digits over the names, modes and bytes of the files below `paths`, and over `salt`.

    Raises `ImageError` when a path does not exist. Bytecode caches and hidden files do not count.
    """
    digest = hashlib.sha256("\0".join(salt).encode())
    for path in paths:
        top = root / path
        if not top.exists():
            raise ImageError(f"{path} is missing from the checkout")
        files = [top] if top.is_file() else sorted(f for f in top.rglob("*") if f.is_file())
        for file in files:
            relative = file.relative_to(root)
            if "__pycache__" in relative.parts:
                continue
            mode = "x" if os.access(file, os.X_OK) else "-"
            digest.update(f"{relative}\0{mode}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def plan(
    keys: tuple[str, ...],
    *,
    registry: bool,
    database: DatabaseKind,
    given: dict[str, str] | None = None,
    airflow: str = DEFAULT,
    binary: str = "",
) -> dict[str, Recipe]:
    """Recipes for `keys` and all images below them. Pure, but for reading the files that are hashed.

    With `registry`, the bases are pulled; without, they are built offline. `given` maps keys to references
    that are used as they are. `binary` is where `stage_binary` has put the user's `cockroach`.
    """
    sources = _sources(airflow)
    if binary and database == "cockroachdb":
        sources["database"] = _around_binary(binary)
    planner = _Planner(sources, registry, database, given or {}, airflow, bool(binary))
    for key in keys:
        planner.add(key)
    return planner.recipes


@dataclass
class _Planner:
    sources: dict[str, Source]
    registry: bool
    database: DatabaseKind
    given: dict[str, str]
    airflow: str
    has_binary: bool = False
    recipes: dict[str, Recipe] = field(default_factory=dict)

    def add(self, key: str) -> Recipe:
        if key not in self.recipes:
            recipe = self._recipe(key)
            self.recipes[key] = recipe
        return self.recipes[key]

    def _pulled(self, key: str) -> str | None:
        if key == "database" and self.database == "cockroachdb":
            return None if self.has_binary else COCKROACHDB
        if not self.registry:
            return None
        return {"debian": DEBIAN, "airflow-base": f"apache/airflow:{self.airflow}-python3.11"}.get(key)

    def _template(self, key: str) -> Recipe:
        empty, airflow = self.add("database"), self.add("airflow")
        tag = content_hash((), empty.reference, airflow.reference)
        reference = f"itest/{key}:{tag}"
        return Recipe(key, reference, "migrated", base="database", migrated_by="airflow")

    def _recipe(self, key: str) -> Recipe:
        if key in self.given:
            return Recipe(key, self.given[key], "given")
        pulled = self._pulled(key)
        if pulled:
            return Recipe(key, pulled, "pulled")
        if key == "database-template":
            return self._template(key)
        source = self.sources[key]
        below = self.add(source.base) if source.base else None
        below_reference = below.reference if below else ""
        arguments = dict(source.arguments)
        tag = content_hash(source.inputs, below_reference, *sorted(f"{k}={v}" for k, v in arguments.items()))
        return Recipe(
            key=key,
            reference=f"itest/{key}:{tag}",
            how="built offline" if key in ("debian", "airflow-base") else "built",
            context=source.context,
            dockerfile=source.dockerfile,
            base=source.base,
            base_argument=source.base_argument,
            arguments=arguments,
        )
