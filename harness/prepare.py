"""From options to everything a stack needs before it starts: topology, database kind, image references."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import cast

from harness import builder, engine, images, registry, template
from harness.catalog import TOPOLOGIES, build
from harness.images import COCKROACHDB, DATABASE_KINDS, DEBIAN, DatabaseKind, Recipe
from harness.paths import CACHE
from harness.topology import Topology


class OptionError(ValueError):
    """An option that cannot be followed; the message names it and what is possible."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for. `database` is ``auto``, ``cockroachdb`` or ``stand-in``; `registry` is ``auto``,
    ``always`` or ``never``; `given` maps image keys to references used as they are; `faithful` asks for production's
    values instead of quick ones."""

    topology: str = "default"
    registry: registry.Mode = "auto"
    database: str = "auto"
    given: dict[str, str] = field(default_factory=dict)
    faithful: bool = False
    clock: bool = False
    """Whether the mirror lives by a virtual clock, which can be moved forward."""

    @classmethod
    def from_environment(cls, **overrides: object) -> Options:
        """Read ``ITEST_{TOPOLOGY,REGISTRY,DATABASE,FAITHFUL,CLOCK}`` and ``AIRFLOW_IMAGE``.

        `overrides` that are not None win. Raises `OptionError`.
        """
        given = {"airflow": os.environ["AIRFLOW_IMAGE"]} if os.environ.get("AIRFLOW_IMAGE") else {}
        values: dict[str, object] = {
            "topology": os.environ.get("ITEST_TOPOLOGY") or "default",
            "registry": os.environ.get("ITEST_REGISTRY") or "auto",
            "database": os.environ.get("ITEST_DATABASE") or "auto",
            "given": given,
            "faithful": os.environ.get("ITEST_FAITHFUL", "") not in ("", "0"),
            "clock": os.environ.get("ITEST_CLOCK", "") not in ("", "0"),
        }
        values.update({k: v for k, v in overrides.items() if v is not None})
        _check("topology", values["topology"], TOPOLOGIES)
        _check("registry", values["registry"], registry.MODES)
        _check("database", values["database"], ("auto", *DATABASE_KINDS))
        return cls(**values)  # type: ignore[arg-type]


def _check(option: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise OptionError(f"{option} is {value!r}; it can be {', '.join(allowed)}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is decided: `recipes` hold every image with how it is obtained."""

    options: Options
    topology: Topology
    database: DatabaseKind
    registry: bool
    recipes: dict[str, Recipe]

    @property
    def references(self) -> dict[str, str]:
        return {key: recipe.reference for key, recipe in self.recipes.items()}

    @property
    def base_image(self) -> str:
        """The base that the Airflow image stands on, and how it came."""
        recipe = self.recipes.get("airflow-base") or self.recipes["airflow"]
        return f"{recipe.reference} ({recipe.how})"

    @property
    def database_name(self) -> str:
        """How every report names the database."""
        if self.database == "cockroachdb":
            return f"CockroachDB ({self.references['database']})"
        return "stand-in (PostgreSQL dressed as CockroachDB, not the real one)"

    def facts(self) -> dict[str, str]:
        """What a result was obtained on; every report carries it."""
        return {
            "airflow": self.topology.airflow,
            "topology": self.topology.name,
            "database": self.database_name,
            "base_image": self.base_image,
            "clock": "virtual" if self.options.clock else "real",
            "settings": "production's (--faithful)" if self.options.faithful else "quick (services/speed.py)",
        }

    def banner(self) -> str:
        """The facts as one line."""
        return "mirror: " + "; ".join(f"{k.replace('_', ' ')}: {v}" for k, v in self.facts().items())


def decide(options: Options) -> Prepared:
    """Decide what would run, without building or pulling anything. Raises `OptionError` and `EngineError`."""
    client = engine.client()
    reachable = registry.reachable(client, DEBIAN, options.registry, CACHE / "registry.json")
    kind = _database(options.database, reachable)
    if options.clock and kind == "cockroachdb":
        raise OptionError(
            "the virtual clock needs the stand-in database (ITEST_DATABASE=stand-in): CockroachDB reads its clock "
            "without the C library, where nothing can move it"
        )
    topology = build(options.topology, kind, options.faithful, options.clock)
    recipes = images.plan(topology.images(), registry=reachable, database=kind, given=options.given)
    return Prepared(options, topology, kind, reachable, recipes)


def with_clock(prepared: Prepared) -> Prepared:
    """The same with a virtual clock, all its images on the engine. Raises `OptionError` and `ImageError`."""
    if prepared.options.clock:
        return prepared
    virtual = decide(replace(prepared.options, clock=True))
    obtain(virtual)
    return virtual


def with_images(prepared: Prepared, keys: tuple[str, ...], airflow: str = images.AIRFLOW_VERSION) -> Prepared:
    """The same for the images `keys` instead of the topology's, and make sure that those are on the engine."""
    recipes = images.plan(
        keys,
        registry=prepared.registry,
        database=prepared.database,
        given=prepared.options.given if airflow == prepared.topology.airflow else {},
        airflow=airflow,
    )
    builder.obtain(recipes, keys)
    return replace(prepared, recipes=recipes)


def _database(asked: str, reachable: bool) -> DatabaseKind:
    present = not builder.missing({"database": Recipe("database", COCKROACHDB, "pulled")})
    if asked == "cockroachdb" and not (present or reachable):
        raise OptionError(
            f"CockroachDB is required, but {COCKROACHDB} is not on this engine and no registry answers.\n"
            "Load the image with `docker load`, or make a registry reachable."
        )
    if asked != "auto":
        return cast(DatabaseKind, asked)
    return "cockroachdb" if present or reachable else "stand-in"


def obtain(prepared: Prepared) -> None:
    """Make sure that every image the topology needs is on the engine. Raises `ImageError`."""
    builder.obtain(prepared.recipes, prepared.topology.images())
    template.obtain(prepared.recipes, prepared.references)
