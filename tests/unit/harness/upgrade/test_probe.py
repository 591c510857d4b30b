"""What the probe reads from source: imports and where they may fail, keywords, triggers and what they store."""

from __future__ import annotations

import ast
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

from harness.upgrade.facts import FORMAT, parse
from harness.upgrade.probe import __main__ as probe
from harness.upgrade.probe import content, syntax


def uses(text: str) -> dict[str, dict[str, Any]]:
    return {use["what"]: use for use in syntax.uses(ast.parse(text), "dags/a.py")}


def test_imports_are_found_wherever_they_are_and_told_apart_by_whether_they_may_fail() -> None:
    found = uses(
        """
import a.b
from c import d as e, f
from . import relative
from __future__ import annotations
if TYPE_CHECKING:
    from hidden import g
else:
    import h
try:
    import i
except ImportError:
    import j
try:
    import k
except ValueError:
    pass
def function():
    with x:
        from l import m
"""
    )
    assert {what: use["guarded"] for what, use in found.items()} == {
        "a.b:": False,
        "c:d": False,
        "c:f": False,
        "__future__:annotations": False,
        "h:": True,
        "i:": True,
        "j:": True,
        "k:": False,
        "l:m": False,
    }
    assert found["l:m"]["where"] == "dags/a.py:20"


def test_keywords_are_those_of_calls_and_of_super_in_subclasses() -> None:
    found = uses(
        """
from a import Op as Other, Base
Other(task_id="x", **more)
class Mine(Base):
    def __init__(self, **kwargs):
        super().__init__(pool="p", **kwargs)
        self.seen
"""
    )
    assert found["a:Op"]["keywords"] == ["task_id"]
    assert found["a:Base"]["keywords"] == ["pool"]
    assert found["a:Base"]["attributes"] == ["__init__", "seen"]


def test_a_trigger_says_how_it_is_stored() -> None:
    found = syntax.trigger_classes(
        ast.parse(
            """
class Literal(BaseTrigger):
    def __init__(self, moment, *, zone=None, must): ...
    def serialize(self):
        return ("former.place.Literal", {"moment": self.moment, "zone": self.zone})
class Named(BaseTrigger):
    def serialize(self):
        path = "m.Named"
        return path, {}
class Computed(BaseTrigger):
    def __init__(self, **kwargs): ...
    def serialize(self):
        return f"{self.__class__.__module__}.Computed", self.everything()
class Inheriting(Literal2Trigger): ...
class Other:
    def serialize(self):
        return 1
"""
        ),
        "m",
    )
    assert found["m.Literal"] == {
        "stored_as": ["former.place.Literal"],
        "stores": ["moment", "zone"],
        "parameters": ["moment", "must", "zone"],
        "required": ["moment", "must"],
        "open": False,
    }
    assert found["m.Named"]["stored_as"] == ["m.Named"]
    assert found["m.Named"]["stores"] == []
    assert found["m.Computed"]["stored_as"] == ["m.Computed"]
    assert found["m.Computed"]["stores"] is None
    assert found["m.Inheriting"]["parameters"] is None
    assert "m.Other" not in found


def test_a_constructor_is_followed_to_where_keywords_end() -> None:
    class Base:
        def __init__(self, conn: str, retries: int = 3) -> None: ...

    class Middle(Base):
        def __init__(self, path: str, **kwargs: Any) -> None: ...

    class Open:
        def __init__(self, **kwargs: Any) -> None: ...

    described = content._describe(Middle)
    assert described["parameters"] == {"path": "required", "conn": "required", "retries": "3"}
    assert described["open"] is False
    assert content._describe(Open)["parameters"] == {}


def test_an_import_tells_its_error_and_the_deprecations_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = types.ModuleType("shim_of_test")

    def lookup(name: str) -> object:
        if name != "Old":
            raise AttributeError(name)
        warnings.warn("shim_of_test.Old is deprecated; use new.Old", DeprecationWarning, stacklevel=2)
        return dict

    vars(shim)["__getattr__"] = lookup
    monkeypatch.setitem(sys.modules, "shim_of_test", shim)
    told = content._resolve("shim_of_test:Old", tmp_path)
    assert told["error"] == ""
    assert "use new.Old" in told["warnings"][0]["message"]
    assert "ImportError" in content._resolve("shim_of_test:Missing", tmp_path)["error"]
    assert "ModuleNotFoundError" in content._resolve("no_such_module_of_test:", tmp_path)["error"]


def test_empty_sections_have_the_shape_of_facts() -> None:
    assert probe.FORMAT == FORMAT
    empty = {"format": FORMAT, "airflow": "", "python": "", "failed": {}, **probe.EMPTY}
    assert parse(empty, "the probe")
