"""What the probe tells of one image and of content in it, as JSON. Pure data.

The probe's modules make these, and `harness.upgrade.compare` reads them. What the probe could not collect is empty,
and its section is named in `failed`, with the error.
"""

from __future__ import annotations

from typing import Any, TypedDict, cast

FORMAT = 1
"""Changes when the shape does, so that cached facts of another shape are collected anew."""


class FactsError(RuntimeError):
    """Facts of an image could not be collected; the message says which, and what the container said."""


class Warned(TypedDict):
    """A warning: its class's name, its text, and the place in content it is about (or empty)."""

    category: str
    message: str
    where: str


class ClassFacts(TypedDict):
    """A class as its users see it. `parameters` of the constructor, with those of all bases that it passes on to;
    `open` if it takes any keyword; `attributes` are the public names. `triggers` are class paths of the triggers that
    the module of the class, or of a base, imports or defines."""

    parameters: dict[str, str]
    open: bool
    attributes: list[str]
    triggers: list[str]


class Imported(TypedDict):
    """What became of one of content's imports: `error` is empty when it worked; `cls` is for classes."""

    error: str
    lives: str
    warnings: list[Warned]
    cls: ClassFacts | None


class Use(TypedDict):
    """Where content imports a thing: ``module:name``, the place, whether it may fail (in a ``try`` or an ``if``),
    the keywords that calls of it pass, and the attributes that are used in the same file."""

    what: str
    where: str
    guarded: bool
    keywords: list[str]
    attributes: list[str]


class TriggerFacts(TypedDict):
    """A trigger class by its source: the class paths that it may be stored under, the keywords that are stored (None
    where that is computed), and what its constructor takes (None where a base's does)."""

    stored_as: list[str]
    stores: list[str] | None
    parameters: list[str] | None
    required: list[str]
    open: bool


class DagFacts(TypedDict):
    """A DAG: its file below ``dags``, its tasks with their operators' class paths, and as it would be stored in the
    database, or why it can't be."""

    file: str
    tasks: dict[str, str]
    serialized: dict[str, Any] | None
    unserializable: str


class ContentFacts(TypedDict):
    """Content in the image. `modules` are content's own, with the error that importing each gave, or nothing."""

    uses: list[Use]
    imports: dict[str, Imported]
    modules: dict[str, str]
    warnings: list[Warned]
    dags: dict[str, DagFacts]
    dag_errors: dict[str, str]
    triggers: dict[str, TriggerFacts]


class Configuration(TypedDict):
    """Options by ``section.key`` with their defaults. `renamed` maps old names that are still read to new ones.

    By Airflow's own list of changes, `moved` maps names to new ones whether they are still read or not, `removed` to a
    suggestion, and `invalid` to [value that is refused, suggestion].
    """

    options: dict[str, str | None]
    renamed: dict[str, str]
    moved: dict[str, str]
    removed: dict[str, str]
    invalid: dict[str, list[str]]


class Schema(TypedDict):
    """`tables` maps tables to columns to types as PostgreSQL's DDL has them; `revision` is the newest migration."""

    tables: dict[str, dict[str, str]]
    revision: str


class Facts(TypedDict):
    """All of one image. `distributions` maps normalized names to versions, `modules` top-level modules to names.
    `triggers` are those of Airflow and its providers, by class path."""

    format: int
    airflow: str
    python: str
    distributions: dict[str, str]
    modules: dict[str, list[str]]
    configuration: Configuration
    schema: Schema
    triggers: dict[str, TriggerFacts]
    content: ContentFacts
    failed: dict[str, str]


class Questions(TypedDict):
    """What a second look at the new image shall answer: can these class paths be imported, and these DAGs, as the old
    image has stored them, be read?"""

    classes: list[str]
    dags: dict[str, dict[str, Any]]


class Answers(TypedDict):
    """To each of `Questions`, by class path and DAG id, the error or nothing."""

    classes: dict[str, str]
    dags: dict[str, str]


def parse(value: Any, source: str) -> Facts:
    """`value` as facts; raises `FactsError` naming `source` when it is something else, or of another format."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise FactsError(f"{source} holds no facts of format {FORMAT}")
    missing = sorted(Facts.__required_keys__ - value.keys())
    if missing:
        raise FactsError(f"{source} lacks {', '.join(missing)}")
    return cast(Facts, value)
