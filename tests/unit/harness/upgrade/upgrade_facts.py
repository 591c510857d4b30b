"""Facts to compare, made small; and strategies for arbitrary ones."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from harness.upgrade.facts import FORMAT, Facts, parse

EMPTY: dict[str, Any] = {
    "format": FORMAT,
    "airflow": "3.2.2",
    "python": "3.11.9",
    "distributions": {},
    "modules": {},
    "configuration": {"options": {}, "renamed": {}, "moved": {}, "removed": {}, "invalid": {}},
    "schema": {"tables": {}, "revision": "a"},
    "triggers": {},
    "content": {
        "uses": [],
        "imports": {},
        "modules": {},
        "warnings": [],
        "dags": {},
        "dag_errors": {},
        "triggers": {},
    },
    "failed": {},
}


def facts(content: dict[str, Any] | None = None, **sections: Any) -> Facts:
    """Facts with these sections; `content` and `configuration` may be partial."""
    made = copy.deepcopy(EMPTY)
    made["content"].update(content or {})
    made["configuration"].update(sections.pop("configuration", {}))
    return parse({**made, **sections}, "the test")


def use(what: str, where: str = "dags/a.py:1", guarded: bool = False, **more: Any) -> dict[str, Any]:
    return {"what": what, "where": where, "guarded": guarded, "keywords": [], "attributes": [], **more}


def imported(error: str = "", cls: Any = None, lives: str = "", warnings: Any = ()) -> dict[str, Any]:
    return {"error": error, "lives": lives, "cls": cls, "warnings": list(warnings)}


def a_class(parameters: Any = (), attributes: Any = (), triggers: Any = (), is_open: bool = False) -> Any:
    return {
        "parameters": dict(parameters),
        "open": is_open,
        "attributes": list(attributes),
        "triggers": list(triggers),
    }


def trigger(path: str, stores: Any = (), parameters: Any = None, required: Any = ()) -> dict[str, Any]:
    return {
        "stored_as": [path],
        "stores": list(stores),
        "parameters": list(stores) if parameters is None else list(parameters),
        "required": list(required),
        "open": False,
    }


names = st.sampled_from(["a", "b", "c.d", "e"])
versions = st.sampled_from(["1.0", "1.1", "2.0", "2025.1"])
distributions = st.dictionaries(names, versions)
errors = st.sampled_from(["", "ImportError: no"])
warned = st.fixed_dictionaries(
    {"category": st.just("DeprecationWarning"), "message": names, "where": st.just("dags/a.py:3")}
)
classes = st.builds(
    a_class,
    parameters=st.dictionaries(names, st.sampled_from(["required", "None", "1"])),
    attributes=st.lists(names, unique=True),
    triggers=st.lists(names, unique=True),
    is_open=st.booleans(),
)


@st.composite
def any_content(draw: st.DrawFn) -> dict[str, Any]:
    whats = draw(st.lists(st.sampled_from(["a:X", "b:", "c.d:Y"]), unique=True))
    uses = [use(what, guarded=draw(st.booleans()), keywords=draw(st.lists(names))) for what in whats]
    imports = {
        what: imported(draw(errors), draw(st.none() | classes), what, draw(st.lists(warned)))
        for what in whats
    }
    dag = st.fixed_dictionaries(
        {
            "file": st.just("dags/a.py"),
            "tasks": st.dictionaries(names, names),
            "serialized": st.none(),
            "unserializable": errors,
        }
    )
    return {
        "uses": uses,
        "imports": imports,
        "modules": draw(st.dictionaries(names, errors)),
        "warnings": draw(st.lists(warned)),
        "dags": draw(st.dictionaries(names, dag)),
        "dag_errors": draw(st.dictionaries(names, st.just("ImportError: no"))),
        "triggers": {},
    }


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    """Facts that the probe could have made, of few names, so that two of them have many in common."""
    return facts(
        draw(any_content()),
        distributions=draw(distributions),
        modules=draw(st.dictionaries(names, st.lists(names, unique=True))),
        configuration={
            "options": draw(st.dictionaries(names.map("s.{}".format), st.none() | names)),
            "renamed": draw(st.dictionaries(names.map("s.{}".format), names.map("t.{}".format))),
        },
        schema={
            "tables": draw(
                st.dictionaries(names, st.dictionaries(names, st.sampled_from(["INTEGER", "TEXT"])))
            ),
            "revision": "a",
        },
        triggers={p: trigger(p, draw(st.lists(names, unique=True))) for p in draw(st.sets(names))},
    )
