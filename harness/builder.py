"""Obtain the images of a plan: pull, import or build what the engine does not have yet."""

from __future__ import annotations

import os
import re
import subprocess
from collections import deque
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound

from harness import engine
from harness.graph import run_graph
from harness.images import ImageError, Recipe
from harness.paths import ROOT, STATE
from harness.progress import Step, Tracker

CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
"""Where Debian, Red Hat and macOS keep the host's certificate authorities."""

STEP = re.compile(r"^#\d+ \[(?:[\w.-]+ )?(\d+/\d+)\] (.*)")
ROOTFS_SCRIPT = "harness/containers/debian/build-rootfs"
TAIL = 30


def ca_bundle() -> Path | None:
    """The host's bundle of certificate authorities: ``ITEST_CA_BUNDLE``, ``SSL_CERT_FILE`` or the system's."""
    named = [os.environ.get("ITEST_CA_BUNDLE"), os.environ.get("SSL_CERT_FILE"), *CA_BUNDLES]
    return next((Path(path) for path in named if path and Path(path).is_file()), None)


def missing(recipes: dict[str, Recipe]) -> set[str]:
    """Keys of the recipes whose image the engine does not have."""
    client = engine.client()
    return {key for key, recipe in recipes.items() if not _present(client, recipe.reference)}


def _present(client: docker.DockerClient, reference: str) -> bool:
    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def obtain(recipes: dict[str, Recipe], wanted: tuple[str, ...]) -> None:
    """Make sure that the images `wanted` are there; what is below them is only made when it is needed.

    Raises `ImageError` for the first image that can't be obtained.
    """
    absent = missing(recipes)
    todo = _needed(recipes, wanted, absent)
    if not todo:
        return
    needs = {key: {below for below in [recipes[key].base] if below in todo} for key in todo}
    with Tracker(f"Obtaining {len(todo)} container images", len(todo)) as tracker:

        def make(key: str) -> None:
            recipe = recipes[key]
            with tracker.step(f"{recipe.reference} ({recipe.how})") as step:
                _make(recipe, recipes, step)

        run_graph(needs, make, workers=2)


def _needed(recipes: dict[str, Recipe], wanted: tuple[str, ...], absent: set[str]) -> set[str]:
    """What to make here; a migrated image is not, but what it is made of (`harness.template`)."""
    todo: set[str] = set()
    queue = deque(key for key in wanted if key in absent)
    while queue:
        key = queue.popleft()
        recipe = recipes[key]
        if recipe.how != "migrated":
            todo.add(key)
        queue.extend(of for of in (recipe.base, recipe.migrated_by) if of and of in absent and of not in todo)
    return todo


def _make(recipe: Recipe, recipes: dict[str, Recipe], step: Step) -> None:
    if recipe.how in ("pulled", "given"):
        _pull(recipe, step)
    elif recipe.key == "debian":
        _import_rootfs(recipe, step)
    else:
        _build(recipe, recipes, step)


def _pull(recipe: Recipe, step: Step) -> None:
    step.say("pulling")
    try:
        engine.client().images.pull(recipe.reference)
    except APIError as error:
        instead = (
            "name another with AIRFLOW_IMAGE, or unset it"
            if recipe.how == "given"
            else "let the harness build its own: ITEST_REGISTRY=never"
        )
        raise ImageError(
            f"{recipe.reference} is not on this engine and cannot be pulled: {error.explanation}\n"
            f"Load it with `docker load`, or {instead}."
        ) from error


def _log_file(recipe: Recipe) -> Path:
    folder = STATE / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"image-{recipe.key}.log"


def _import_rootfs(recipe: Recipe, step: Step) -> None:
    """Make the Debian base from packages and import it as an image of one layer."""
    log = _log_file(recipe)
    tarball = STATE / "cache" / f"{recipe.reference.replace('/', '-').replace(':', '-')}.tar"
    tarball.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tarball.open("wb") as out, log.open("w") as err:
            step.say("unpacking Debian packages")
            made = subprocess.run([str(ROOT / ROOTFS_SCRIPT)], stdout=out, stderr=err, check=False)
        if made.returncode != 0:
            raise ImageError(_failure(recipe, log))
        step.say("importing")
        name, _, tag = recipe.reference.rpartition(":")
        engine.client().api.import_image_from_file(
            str(tarball), repository=name, tag=tag, changes=['CMD ["bash"]']
        )
    finally:
        tarball.unlink(missing_ok=True)


def build_command(recipe: Recipe, base_reference: str | None, ca: Path | None) -> list[str]:
    """The docker command that builds `recipe`. The CA bundle goes in as a secret, so no layer has it."""
    command = [engine.docker_cli(), "build", "--progress=plain", "--network=host"]
    command += ["--tag", recipe.reference, "--file", str(ROOT / recipe.dockerfile)]
    command += ["--label", "itest.image=" + recipe.key]
    if base_reference:
        command += ["--build-arg", f"{recipe.base_argument}={base_reference}"]
    for name, value in sorted(recipe.arguments.items()):
        command += ["--build-arg", f"{name}={value}"]
    if ca:
        command += ["--secret", f"id=ca,src={ca}"]
    return [*command, str(ROOT / recipe.context)]


def _build(recipe: Recipe, recipes: dict[str, Recipe], step: Step) -> None:
    base = recipes[recipe.base].reference if recipe.base else None
    if recipe.base and recipes[recipe.base].how == "pulled" and not _present(engine.client(), base or ""):
        _pull(recipes[recipe.base], step)
    log = _log_file(recipe)
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    with (
        log.open("w") as out,
        subprocess.Popen(
            build_command(recipe, base, ca_bundle()),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        ) as process,
    ):
        for line in process.stdout or ():
            out.write(line)
            if match := STEP.match(line):
                step.say(f"step {match[1]}: {match[2]}")
    if process.returncode != 0:
        raise ImageError(_failure(recipe, log))


def _failure(recipe: Recipe, log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-TAIL:]
    return f"building {recipe.reference} failed; the last lines of {log}:\n" + "\n".join(
        f"  {line}" for line in lines
    )
