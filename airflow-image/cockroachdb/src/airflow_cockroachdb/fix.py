"""What a fix is, and how fixes reach the modules they are for."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import wrapt
from packaging.specifiers import SpecifierSet

log = logging.getLogger(__name__)

DIALECT = "cockroachdb"


class FixDoesNotApply(Exception):
    """What a fix changes is not there (any more). Fixes raise it, :func:`install` turns it into an end."""


class UnsupportedAirflow(SystemExit):
    """This Airflow must not run on CockroachDB before somebody has reviewed the fixes.

    It ends the process with its message, and is no ``Exception``, because Airflow imports modules under
    ``except Exception`` and imports them again later, then without the fixes.
    """


@dataclass(frozen=True)
class Fix:
    """One change to one module.

    :param name: short and unique; error messages use it
    :param module: the module that is changed, right after its import; never imported for the fix's sake
    :param airflow: the Airflow versions that need the change, as a PEP 440 specifier
    :param why: what happens without it
    :param apply: makes the change; raises :class:`FixDoesNotApply` when it can't
    """

    name: str
    module: str
    airflow: str
    why: str
    apply: Callable[[ModuleType], None]

    def is_for(self, airflow_version: str) -> bool:
        return SpecifierSet(self.airflow).contains(airflow_version, prereleases=True)


def install(fixes: Iterable[Fix], airflow_version: str) -> list[Fix]:
    """Apply each fix that this Airflow needs as soon as its module is imported.

    :return: the fixes that are now waiting or applied
    :raises UnsupportedAirflow: if a module that is already imported lacks what its fix changes
        (for the others it comes out of the import)
    """
    installed = [fix for fix in fixes if fix.is_for(airflow_version)]
    for fix in installed:
        wrapt.register_post_import_hook(functools.partial(_apply, fix, airflow_version), fix.module)
    return installed


def _apply(fix: Fix, airflow_version: str, module: ModuleType) -> None:
    try:
        fix.apply(module)
    except FixDoesNotApply as error:
        message = (
            f"CockroachDB support: fix {fix.name!r} does not fit {fix.module} of Airflow {airflow_version}: "
            f"{error}. Without it: {fix.why}. Review airflow-cockroachdb against this version."
        )
        log.critical(message)  # a thread ends without a word
        raise UnsupportedAirflow(message) from None
    log.debug("applied fix %s to %s", fix.name, fix.module)


def member(owner: object, name: str) -> Any:
    """The attribute ``name`` of a module or class.

    :raises FixDoesNotApply: if it has none
    """
    try:
        return inspect.getattr_static(owner, name)
    except AttributeError:
        raise FixDoesNotApply(f"{_label(owner)} has no {name}") from None


def function(owner: object, name: str, *parameters: str) -> Callable[..., Any]:
    """The function ``name`` of a module or class, bare of classmethod, if it takes these parameters first.

    :raises FixDoesNotApply: if there is no such function, or it takes others
    """
    found = member(owner, name)
    bare: Callable[..., Any] = found.__func__ if isinstance(found, classmethod | staticmethod) else found
    actual = tuple(inspect.signature(bare).parameters)
    if actual[: len(parameters)] != parameters:
        raise FixDoesNotApply(
            f"{_label(owner)}.{name} takes ({', '.join(actual)}), expected ({', '.join(parameters)}, ...)"
        )
    return bare


def replace(module: ModuleType, name: str, replacement: object) -> None:
    """Replace ``name`` in the module and wherever Airflow's modules have imported it from there."""
    original = member(module, name)
    setattr(module, name, replacement)
    for other_name, other in list(sys.modules.items()):
        if other_name.partition(".")[0] == "airflow" and vars(other).get(name) is original:
            setattr(other, name, replacement)


def _label(owner: object) -> str:
    return str(getattr(owner, "__qualname__", None) or getattr(owner, "__name__", owner))
