"""What is in the customized image, and what must not be."""

from __future__ import annotations

import gzip
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from docker_cli import Docker

from harness import builder, engine
from harness.paths import ROOT
from harness.prepare import Prepared

pytestmark = pytest.mark.itest
CHUNK = 1 << 24
GZIP = b"\x1f\x8b"


def shell(docker: Docker, image: str, script: str) -> list[str]:
    """Lines that a shell in the image writes, ahead of any entrypoint."""
    return docker.run(image, "-c", script, options=("--entrypoint=bash",)).splitlines()


def test_it_runs_as_the_airflow_user(docker: Docker, airflow_image: str) -> None:
    assert shell(docker, airflow_image, "id -un; id -u; id -g") == ["airflow", "50000", "0"]


def test_content_belongs_to_the_airflow_user_and_is_where_airflow_looks(
    docker: Docker, airflow_image: str
) -> None:
    said = shell(
        docker,
        airflow_image,
        "stat -c '%u:%g %a' /opt/airflow/content; ls -A /opt/airflow/content | wc -l;"
        "readlink -m /opt/airflow/dags /opt/airflow/plugins;"
        "echo $AIRFLOW__CORE__DAGS_FOLDER $AIRFLOW__CORE__PLUGINS_FOLDER",
    )
    folders = ["/opt/airflow/content/dags", "/opt/airflow/content/plugins"]
    assert said == ["50000:0 2775", "0", *folders, " ".join(folders)]


def test_it_holds_exactly_the_locked_versions(docker: Docker, airflow_image: str, prepared: Prepared) -> None:
    lock = ROOT / "airflow-image" / "locks" / f"airflow-{prepared.topology.airflow}.txt"
    locked = {line.split()[0] for line in lock.read_text().splitlines() if line[:1].isalnum()}
    held = docker.run(
        airflow_image, "-c", "uv pip freeze --python $(command -v python)", options=("--entrypoint=bash",)
    )
    assert locked - set(held.split()) == set()


def test_nothing_is_compiled_when_a_container_starts(docker: Docker, airflow_image: str) -> None:
    find_stale = (
        "import importlib.util as u, os, pathlib, sysconfig\n"
        "for source in pathlib.Path(sysconfig.get_path('purelib'), 'airflow').rglob('*.py'):\n"
        "    cached = pathlib.Path(u.cache_from_source(source))\n"
        "    if not cached.exists() or cached.read_bytes()[8:12] != "
        "int(source.stat().st_mtime).to_bytes(4, 'little'): print(source)\n"
    )
    assert docker.run(airflow_image, "-c", find_stale, options=("--entrypoint=python",)) == ""


def test_there_is_no_compiler(docker: Docker, airflow_image: str) -> None:
    assert shell(docker, airflow_image, "command -v cc gcc g++ make || echo none") == ["none"]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["airflow-base", "airflow"])
def test_the_certificate_bundle_is_in_no_layer(
    docker: Docker, prepared: Prepared, tmp_path: Path, key: str
) -> None:
    recipe = prepared.recipes[key]
    if recipe.how == "pulled":
        pytest.skip(f"{key} was not built here")
    canary = f"# canary {uuid.uuid4().hex}"
    system = builder.ca_bundle()
    bundle = tmp_path / "ca.pem"
    bundle.write_text(f"{canary}\n{system.read_text() if system else ''}")
    below = prepared.references[recipe.base] if recipe.base else None
    with built(docker, builder.build_command(recipe, below, bundle)) as image:
        assert not any_layer_has(image, canary.encode())


def test_a_search_of_the_layers_finds_what_a_later_step_removed(
    docker: Docker, prepared: Prepared, tmp_path: Path
) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        f"FROM {prepared.references['debian']}\nRUN echo left behind >/left\nRUN rm /left\n"
    )
    command = [engine.docker_cli(), "build", "--tag", "unnamed", "--file", str(dockerfile), str(tmp_path)]
    with built(docker, command) as image:
        assert any_layer_has(image, b"left behind\n")
        assert not any_layer_has(image, uuid.uuid4().hex.encode())


@contextmanager
def built(docker: Docker, command: list[str]) -> Iterator[str]:
    """Build with nothing from the cache, whose steps saw another bundle; the image is removed afterwards."""
    image = f"itest/{docker.name}"
    command = [*command[:2], "--no-cache", *command[2:]]
    command[command.index("--tag") + 1] = image
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    build = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert build.returncode == 0, build.stderr[-4000:]
    try:
        yield image
    finally:
        docker("rmi", "--force", image)


def any_layer_has(image: str, needle: bytes) -> bool:
    """Whether the bytes are anywhere in the saved image: layers, and the configuration with its history."""
    found = False
    command = [engine.docker_cli(), "save", image]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as saved,
        tarfile.open(fileobj=saved.stdout, mode="r|") as archive,
    ):
        for entry in archive:
            if stream := archive.extractfile(entry):
                compressed = stream.peek(2)[:2] == GZIP  # type: ignore[attr-defined]
                found |= has(gzip.GzipFile(fileobj=stream) if compressed else stream, needle)
    assert saved.returncode == 0
    return found


def has(stream: IO[bytes] | gzip.GzipFile, needle: bytes) -> bool:
    tail = b""
    while chunk := stream.read(CHUNK):
        if needle in tail + chunk:
            return True
        tail = chunk[-len(needle) :]
    return False
