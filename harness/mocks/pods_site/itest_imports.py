"""Changing a module right after its import, or deciding how it is executed.

Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class OnImport:
    """A finder of nothing that has `act` execute the module `name` at its first import.

    `act` gets the module and the function that executes it.
    """

    def __init__(self, name: str, act: Callable[[ModuleType, Callable[[ModuleType], None]], None]) -> None:
        self._name = name
        self._act = act

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        execute = loader.exec_module

        def act(module: ModuleType) -> None:
            self._act(module, execute)

        loader.exec_module = act
        return spec


def instead_of_import(name: str, act: Callable[[Any, Callable[[Any], None]], None]) -> None:
    """Have `act` called with the module `name`, and what executes it, when it is first imported."""
    sys.meta_path.insert(0, OnImport(name, act))


def after_import(name: str, change: Callable[[Any], None]) -> None:
    """Have `change` called with the module `name` once it is imported."""

    def execute_and_change(module: Any, execute: Callable[[Any], None]) -> None:
        execute(module)
        change(module)

    instead_of_import(name, execute_and_change)
