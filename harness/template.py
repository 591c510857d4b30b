"""The migrated database template: the database with Airflow's schema, made once for a pair of images, then an image.

The stand-in's image holds its data. CockroachDB's holds a backup, which its nodes keep in memory once it is restored.

A stack that starts from it has no migration to wait for; that a migration works is found out when it is made.
"""

from __future__ import annotations

from docker.errors import ImageNotFound

from harness import engine
from harness.images import DatabaseKind, ImageError, Recipe
from harness.labels import Owner
from harness.lines import Line
from harness.progress import Tracker
from harness.runtime.base import StartError
from harness.runtime.docker import DockerRuntime
from harness.services.database import NAME, TEMPLATE, database, keep, ready
from harness.services.gateway import gateway
from harness.settings import StackSettings, new_stack_name
from harness.topology import After, Topology

MADE_OF = "itest.template-of"
"""Label with the ids of the two images: a reference that the user gave may mean another image tomorrow."""


def obtain(recipes: dict[str, Recipe], references: dict[str, str], kind: DatabaseKind, line: Line) -> None:
    """Make the template unless it is there for these very images. Does nothing where the plan has none.

    Raises `ImageError` when the migration fails.
    """
    recipe = recipes.get(TEMPLATE)
    if recipe is None:
        return
    parts = _ids(recipe, references)
    if _made_of(recipe.reference) == parts:
        return
    with Tracker("Making the migrated database template", 1) as tracker, tracker.step(recipe.reference):
        _make(recipe, references, parts, kind, line)


def _ids(recipe: Recipe, references: dict[str, str]) -> str:
    images = engine.client().images
    return " ".join(str(images.get(references[key]).id) for key in (recipe.base or "", recipe.migrated_by))


def _made_of(reference: str) -> str:
    try:
        return str(engine.client().images.get(reference).labels.get(MADE_OF, ""))
    except ImageNotFound:
        return ""


def _make(recipe: Recipe, references: dict[str, str], parts: str, kind: DatabaseKind, line: Line) -> None:
    schema = After("migrate", "completed")
    services = (*database(kind, migrated=False), *line.components.migrate(ready(kind)), *keep(kind, schema))
    topology = Topology("template", "", (*services, gateway(())), ())
    stack = new_stack_name()
    settings = StackSettings.generate(stack)
    runtime = DockerRuntime(stack, topology, references, settings.placeholders, Owner.this_process())
    try:
        runtime.start(services, lambda service, what: None)
        runtime.stop(NAME)
        runtime.commit(NAME, recipe.reference, {MADE_OF: parts})
    except StartError as error:
        raise ImageError(f"the database template {recipe.reference} could not be made: {error}") from error
    finally:
        runtime.remove()
