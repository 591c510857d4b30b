"""What is installed: distributions, configuration options, the metadata schema, trigger classes."""

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from . import syntax


def distributions() -> dict[str, str]:
    """Versions by normalized name."""
    return {_normalized(d.metadata["Name"]): d.version for d in importlib.metadata.distributions()}


def modules() -> dict[str, list[str]]:
    """Top-level modules, with the distributions that have them."""
    found = importlib.metadata.packages_distributions()
    return {module: sorted({_normalized(n) for n in names}) for module, names in found.items()}


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def configuration() -> dict[str, Any]:
    """Options of Airflow and its providers, and what Airflow says about former ones; see `facts.Configuration`."""
    module = importlib.import_module("airflow.configuration")
    described = module.retrieve_configuration_description(include_providers=True)
    options = {
        f"{section}.{key}": None if option.get("default") is None else str(option["default"])
        for section, content in described.items()
        for key, option in (content.get("options") or {}).items()
    }
    return {"options": options, "renamed": _renamed(module.conf, options), **_listed_changes()}


def _renamed(conf: Any, options: dict[str, Any]) -> dict[str, str]:
    """Old names that Airflow still reads, with the new ones."""
    renamed = {
        f"{old[0]}.{old[1]}": f"{section}.{key}" for (section, key), old in conf.deprecated_options.items()
    }
    for (section, key), olds in getattr(conf, "many_to_one_deprecated_options", {}).items():
        renamed |= {f"{old[0]}.{old[1]}": f"{section}.{key}" for old in olds}
    for section, (old, _) in conf.deprecated_sections.items():
        for name in options:
            if name.startswith(f"{section}."):
                renamed.setdefault(f"{old}.{name.partition('.')[2]}", name)
    return renamed


def _listed_changes() -> dict[str, Any]:
    """Airflow's list for ``airflow config lint``; empty in an image that has no such command."""
    found: dict[str, dict[str, Any]] = {"moved": {}, "removed": {}, "invalid": {}}
    try:
        changes = importlib.import_module("airflow.cli.commands.config_command").CONFIGS_CHANGES
    except (ImportError, AttributeError):
        return found
    for change in changes:
        name = f"{change.config.section}.{change.config.option}"
        if change.renamed_to:
            found["moved"][name] = f"{change.renamed_to.section}.{change.renamed_to.option}"
        elif change.is_invalid_if is not None:
            found["invalid"][name] = [str(change.is_invalid_if), change.suggestion]
        elif change.was_removed and getattr(change, "remove_if_equals", None) is None:
            found["removed"][name] = change.suggestion
    return found


def schema() -> dict[str, Any]:
    """Tables of Airflow's own metadata as PostgreSQL's DDL has them, from the models; no database is asked."""
    importlib.import_module("airflow.models").import_all_models()
    metadata = importlib.import_module("airflow.models.base").Base.metadata
    dialect = importlib.import_module("sqlalchemy.dialects.postgresql").dialect()
    tables = {
        table.name: {
            column.name: column.type.compile(dialect=dialect) + ("" if column.nullable else " NOT NULL")
            for column in table.columns
        }
        for table in metadata.tables.values()
    }
    heads = importlib.import_module("airflow.utils.db")._REVISION_HEADS_MAP
    return {"tables": tables, "revision": list(heads.values())[-1]}


def triggers() -> dict[str, Any]:
    """The trigger classes in the source of Airflow and its providers, by class path; nothing is imported."""
    spec = importlib.util.find_spec("airflow")
    found: dict[str, Any] = {}
    for root in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(root).rglob("triggers/**/*.py")):
            parts = ("airflow", *path.relative_to(root).with_suffix("").parts)
            name = ".".join(part for part in parts if part != "__init__")
            tree = syntax.parse(path)
            found |= syntax.trigger_classes(tree, name) if tree else {}
    return found
