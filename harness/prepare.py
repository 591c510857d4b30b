"""From options to everything a stack needs before it starts: topology, database kind, image references."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from harness import builder, engine, images, registry, template
from harness.catalog import SHAPES, TOPOLOGIES, build
from harness.database import USER
from harness.images import COCKROACHDB, DATABASE_KINDS, DEBIAN, DatabaseKind, Recipe
from harness.lines import Line, line_for
from harness.paths import CACHE
from harness.releases import DEFAULT, UnknownReleaseError, resolve
from harness.services import cockroach
from harness.services.database import FAILURES_SETTING
from harness.topology import Topology


class OptionError(ValueError):
    """An option that cannot be followed; the message names it and what is possible."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for. `database` is ``auto``, ``cockroachdb`` or ``stand-in``; `registry` is ``auto``,
    ``always`` or ``never``; `given` maps image keys to references used as they are; `faithful` asks for production's
    values instead of quick ones. `failures` is how many percent of COMMITs the stand-in lets fail with 40001.
    `binary` is the user's `cockroach`."""

    topology: str = "default"
    registry: registry.Mode = "auto"
    database: str = "auto"
    given: dict[str, str] = field(default_factory=dict)
    faithful: bool = False
    failures: float = 0
    binary: str = ""
    clock: bool = False
    """Whether the mirror lives by a virtual clock, which can be moved forward."""
    airflow: str = DEFAULT
    """The version of Airflow, one that there is a lock for."""
    template: bool = True
    """Whether stacks start from a database with Airflow's schema, instead of migrating an empty one."""

    @property
    def stand_in_settings(self) -> dict[str, str]:
        """What is asked of the stand-in, as its settings."""
        return {FAILURES_SETTING: f"{self.failures:g}"} if self.failures else {}

    @classmethod
    def from_environment(cls, **overrides: object) -> Options:
        """Read ``ITEST_AIRFLOW``, ``ITEST_TOPOLOGY``, ``ITEST_REGISTRY``, ``ITEST_DATABASE``, ``ITEST_FAITHFUL``,
        ``AIRFLOW_IMAGE``, ``COCKROACH_IMAGE``, ``COCKROACH_BINARY``, ``ITEST_TEMPLATE`` and
        ``ITEST_INJECT_SERIALIZATION_FAILURES``.

        `overrides` that are not None win; `failures` is text such as ``5%``, `airflow` may be short, such as ``2.11``.
        Raises `OptionError`.
        """
        named = {"airflow": "AIRFLOW_IMAGE", "database": "COCKROACH_IMAGE"}
        given = {key: os.environ[name] for key, name in named.items() if os.environ.get(name)}
        values: dict[str, object] = {
            "airflow": os.environ.get("ITEST_AIRFLOW") or DEFAULT,
            "topology": os.environ.get("ITEST_TOPOLOGY") or "default",
            "registry": os.environ.get("ITEST_REGISTRY") or "auto",
            "database": os.environ.get("ITEST_DATABASE") or "auto",
            "given": given,
            "faithful": os.environ.get("ITEST_FAITHFUL", "") not in ("", "0"),
            "clock": os.environ.get("ITEST_CLOCK", "") not in ("", "0"),
            "failures": os.environ.get("ITEST_INJECT_SERIALIZATION_FAILURES") or "0",
            "binary": os.environ.get("COCKROACH_BINARY") or "",
            "template": (os.environ.get("ITEST_TEMPLATE") or "auto") != "never",
        }
        values.update({k: v for k, v in overrides.items() if v is not None})
        _check("topology", values["topology"], TOPOLOGIES)
        _check("registry", values["registry"], registry.MODES)
        _check("ITEST_TEMPLATE", os.environ.get("ITEST_TEMPLATE") or "auto", ("auto", "never"))
        _check("database", values["database"], ("auto", *DATABASE_KINDS))
        if values["binary"] and "database" in given:
            raise OptionError("COCKROACH_IMAGE and COCKROACH_BINARY are both set; unset one")
        values["failures"] = percent(str(values["failures"]))
        try:
            values["airflow"] = resolve(str(values["airflow"]))
        except UnknownReleaseError as error:
            raise OptionError(str(error)) from error
        return cls(**values)  # type: ignore[arg-type]


def percent(text: str) -> float:
    """``5%`` or ``5`` as 5.0; raises `OptionError` outside 0 to 100."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1
    if not 0 <= value <= 100:  # also what is not a number
        raise OptionError(f"the rate of serialization failures is {text!r}; it can be 0% to 100%")
    return value


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
    def line(self) -> Line:
        """The line of Airflow that the mirror runs."""
        return line_for(self.topology.airflow)

    @property
    def references(self) -> dict[str, str]:
        return {key: recipe.reference for key, recipe in self.recipes.items()}

    @property
    def base_image(self) -> str:
        """The base that the Airflow image stands on, and how it came."""
        recipe = self.recipes.get("airflow-base") or self.recipes["airflow"]
        return f"{recipe.reference} ({recipe.how})"

    @property
    def login(self) -> tuple[str, str]:
        """The test driver's user of the database, and its password as a placeholder; an empty one means: none."""
        return (
            (cockroach.HARNESS_USER, cockroach.PASSWORD)
            if SHAPES[self.options.topology].secure
            else (USER, "")
        )

    @property
    def database_name(self) -> str:
        """How every report names the database."""
        if self.database == "cockroachdb":
            return f"CockroachDB ({self.references['database']})"
        return "stand-in (PostgreSQL dressed as CockroachDB, not the real one)"

    def facts(self) -> dict[str, str]:
        """What a result was obtained on; every report carries it."""
        injected = f", {self.options.failures:g} % of COMMITs fail" if self.options.failures else ""
        return {
            "airflow": self.topology.airflow,
            "topology": self.topology.name,
            "database": self.database_name + injected,
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
    kind = _database(options, reachable)
    if options.stand_in_settings and kind == "cockroachdb":
        raise OptionError("only the stand-in can fail at a rate: ITEST_DATABASE=stand-in")
    if options.clock and kind == "cockroachdb":
        raise OptionError(
            "the virtual clock needs the stand-in database (ITEST_DATABASE=stand-in): CockroachDB reads its clock "
            "without the C library, where nothing can move it"
        )
    topology = build(
        options.topology,
        kind,
        options.faithful,
        options.stand_in_settings,
        virtual_clock=options.clock,
        template=options.template,
        airflow=options.airflow,
    )
    recipes = images.plan(
        topology.images(),
        registry=reachable,
        database=kind,
        given=_given(options, kind),
        airflow=options.airflow,
        binary=_staged(options, kind),
    )
    return Prepared(options, topology, kind, reachable, recipes)


def varied(prepared: Prepared, clock: bool = False, topology: str = "") -> Prepared:
    """The same with a virtual `clock`, and of another `topology`, where asked, all its images on the engine.

    Raises `OptionError`, `ImageError`, and `KeyError` for a topology that does not exist.
    """
    options = replace(
        prepared.options,
        clock=clock or prepared.options.clock,
        topology=topology or prepared.options.topology,
    )
    if options == prepared.options:
        return prepared
    other = decide(options)
    obtain(other)
    return other


def with_images(prepared: Prepared, keys: tuple[str, ...], airflow: str = "") -> Prepared:
    """The same for the images `keys` instead of the topology's, of another version where `airflow` names one; makes
    sure that they are on the engine."""
    airflow = airflow or prepared.topology.airflow
    recipes = images.plan(
        keys,
        registry=prepared.registry,
        database=prepared.database,
        given=_given(prepared.options, prepared.database) if airflow == prepared.topology.airflow else {},
        airflow=airflow,
        binary=_staged(prepared.options, prepared.database),
    )
    builder.obtain(recipes, keys)
    return replace(prepared, recipes=recipes)


def _given(options: Options, kind: DatabaseKind) -> dict[str, str]:
    """The references that the user named; CockroachDB's image is not the stand-in's."""
    return {key: name for key, name in options.given.items() if key != "database" or kind == "cockroachdb"}


def _staged(options: Options, kind: DatabaseKind) -> str:
    return (
        images.stage_binary(Path(options.binary), CACHE) if options.binary and kind == "cockroachdb" else ""
    )


def _database(options: Options, reachable: bool) -> DatabaseKind:
    named = bool(options.binary) or "database" in options.given
    present = named or not builder.missing({"database": Recipe("database", COCKROACHDB, "pulled")})
    if options.database == "cockroachdb" and not (present or reachable):
        raise OptionError(
            f"CockroachDB is required, but {COCKROACHDB} is not on this engine and no registry answers.\n"
            "Load the image with `docker load`, name another with COCKROACH_IMAGE, point COCKROACH_BINARY at a "
            "cockroach program, or make a registry reachable."
        )
    if options.database != "auto":
        return cast(DatabaseKind, options.database)
    return "cockroachdb" if present or reachable else "stand-in"


def obtain(prepared: Prepared) -> None:
    """Make sure that every image the topology needs is on the engine. Raises `ImageError`."""
    builder.obtain(prepared.recipes, prepared.topology.images())
    template.obtain(prepared.recipes, prepared.references, prepared.database, prepared.line)
