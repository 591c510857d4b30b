"""What Python source says, without running it: imports, the keywords of calls, trigger classes."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

TOLERATED = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")


def parse(path: Path) -> ast.Module | None:
    """The file's syntax tree; None when it is no Python of this version."""
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError):
        return None


def uses(tree: ast.Module, where: str) -> list[dict[str, Any]]:
    """Absolute imports of the file `where`, those inside functions too, but for those under ``TYPE_CHECKING``."""
    attributes = sorted({node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)})
    keywords = _keywords(tree)
    found = []
    for node, guarded in _imports(tree.body, False):
        names = node.names if isinstance(node, ast.ImportFrom) else [ast.alias("")]
        modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        for module in modules:
            for alias in names:
                bound = alias.asname or alias.name
                found.append(
                    {
                        "what": f"{module}:{'' if alias.name == '*' else alias.name}",
                        "where": f"{where}:{node.lineno}",
                        "guarded": guarded,
                        "keywords": sorted(keywords.get(bound, ())),
                        "attributes": attributes,
                    }
                )
    return found


def _imports(body: list[ast.stmt], guarded: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in body:
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
            yield node, guarded
        elif isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from _imports(node.body, True)
            yield from _imports(node.orelse, True)
        elif isinstance(node, ast.Try):
            yield from _imports(node.body, guarded or any(_tolerates(h) for h in node.handlers))
            for handler in node.handlers:
                yield from _imports(handler.body, True)
            yield from _imports([*node.orelse, *node.finalbody], guarded)
        else:
            for name in ("body", "orelse"):
                inner = getattr(node, name, None)
                if isinstance(inner, list):
                    yield from _imports(inner, guarded)


def _tolerates(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(n, ast.Name) and n.id in TOLERATED for n in ast.walk(handler.type))


def _keywords(tree: ast.Module) -> dict[str, set[str]]:
    """Which keywords calls of a plain name pass; the name of a base class has those of ``super().__init__``."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.setdefault(node.func.id, set()).update(k.arg for k in node.keywords if k.arg)
        elif isinstance(node, ast.ClassDef):
            passed = {k.arg for call in ast.walk(node) if _is_super(call) for k in call.keywords if k.arg}
            for base in node.bases:
                if isinstance(base, ast.Name):
                    found.setdefault(base.id, set()).update(passed)
    return found


def _is_super(node: ast.AST) -> TypeGuard[ast.Call]:
    """Whether it is a call ``super().__init__(...)``."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__"


def trigger_classes(tree: ast.Module, module: str) -> dict[str, dict[str, Any]]:
    """Classes with a method ``serialize`` that looks like a trigger's, by class path; see `facts.TriggerFacts`.

    A trigger without a ``serialize`` of its own is found by a base's name that ends with ``Trigger``.
    """
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        serialize = _method(node, "serialize")
        stored = _stored(serialize) if serialize else None
        inherits = any(ast.unparse(base).split(".")[-1].endswith("Trigger") for base in node.bases)
        if not inherits and not (stored and stored[0]):
            continue
        own = f"{module}.{node.name}"
        paths, keys = stored or (set(), None)
        found[own] = {
            "stored_as": sorted(paths) or [own],
            "stores": keys,
            **_constructor(_method(node, "__init__")),
        }
    return found


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == name), None)


def _stored(serialize: ast.FunctionDef) -> tuple[set[str], list[str] | None]:
    """(class paths that are literal in `serialize`, keywords of the dictionary it returns or None)."""
    constants = {
        node.targets[0].id: node.value
        for node in serialize.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    paths: set[str] = set()
    keys: list[str] | None = None
    for node in ast.walk(serialize):
        value = node.value if isinstance(node, ast.Return) else None
        if not (isinstance(value, ast.Tuple) and len(value.elts) == 2):
            continue
        path, stored = (constants.get(e.id, e) if isinstance(e, ast.Name) else e for e in value.elts)
        if isinstance(path, ast.Constant) and isinstance(path.value, str):
            paths.add(path.value)
        if isinstance(stored, ast.Dict) and all(isinstance(k, ast.Constant) for k in stored.keys):
            keys = sorted(
                {*(keys or ()), *(str(k.value) for k in stored.keys if isinstance(k, ast.Constant))}
            )
    return paths, keys


def _constructor(init: ast.FunctionDef | None) -> dict[str, Any]:
    if init is None:
        return {"parameters": None, "required": [], "open": True}
    plain = [a.arg for a in (*init.args.posonlyargs, *init.args.args)][1:]
    without_default = plain[: len(plain) - len(init.args.defaults)]
    only = init.args.kwonlyargs
    required = [a.arg for a, d in zip(only, init.args.kw_defaults, strict=True) if d is None]
    return {
        "parameters": sorted([*plain, *(a.arg for a in only)]),
        "required": sorted([*without_default, *required]),
        "open": init.args.kwarg is not None,
    }
