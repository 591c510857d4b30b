"""What becomes of content in this image: each of its imports, its modules, its DAGs, its triggers."""

import importlib
import inspect
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import syntax

FOLDERS = ("plugins", "shared")
"""Content's folders whose inside is on the pods' ``sys.path``; in pods, `shared` is published into `plugins`."""

REFUSING = ("BaseOperator",)
"""Classes of Airflow whose constructors take any keyword and then refuse those that they don't know."""


ABSENT = object()


def collect(root: Path) -> dict[str, Any]:
    """All about the content below `root`; see `facts.ContentFacts`."""
    sys.path += [str(root / folder) for folder in ("dags", *FOLDERS)]
    paths = sorted(root.rglob("*.py"))
    trees = {path: tree for path in paths if (tree := syntax.parse(path))}
    uses = [use for path, tree in trees.items() for use in syntax.uses(tree, str(path.relative_to(root)))]
    own = {p.name.removesuffix(".py") for f in ("dags", *FOLDERS) for p in (root / f).glob("*")}
    foreign = [
        u for u in uses if u["what"].split(":")[0].split(".")[0] not in {*own, *sys.stdlib_module_names}
    ]
    imports = {what: _resolve(what, root) for what in dict.fromkeys(use["what"] for use in foreign)}
    modules = {name: str(p.relative_to(root)) for p in paths if (name := _module(root, p, FOLDERS))}
    warned: list[dict[str, str]] = []
    with _warnings(warned, root):
        errors = {name: _import_error(name) for name in modules}
        dags, dag_errors = _dags(root)
    return {
        "uses": foreign,
        "imports": imports,
        "modules": {modules[name]: error for name, error in errors.items()},
        "warnings": [dict(pair) for pair in dict.fromkeys(tuple(w.items()) for w in warned)],
        "dags": dags,
        "dag_errors": dag_errors,
        "triggers": {
            path: cls
            for file, tree in trees.items()
            if (name := _module(root, file, ("dags", *FOLDERS)))
            for path, cls in syntax.trigger_classes(tree, name).items()
        },
    }


def _module(root: Path, file: Path, folders: tuple[str, ...]) -> str:
    """The name by which `file` is imported; empty where it lies outside of these `folders` of content."""
    top, *inside = file.relative_to(root).with_suffix("").parts
    return ".".join(part for part in inside if part != "__init__") if top in folders else ""


@contextmanager
def _warnings(found: list[dict[str, str]], root: Path | None) -> Iterator[None]:
    """Add deprecations that the body is told: of Airflow, or about lines of content below `root` (None: all)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        file = Path(warning.filename)
        ours = root is not None and root in file.parents
        airflow = warning.category.__module__.startswith("airflow")
        deprecation = issubclass(
            warning.category, (DeprecationWarning, FutureWarning, PendingDeprecationWarning)
        )
        if airflow or (deprecation and (ours or root is None)):
            found.append(
                {
                    "category": warning.category.__name__,
                    "message": str(warning.message),
                    "where": f"{file.relative_to(root)}:{warning.lineno}" if ours and root else "",
                }
            )


def _resolve(what: str, root: Path) -> dict[str, Any]:
    """Do one import of content's as content does. A warning counts when it is told to the importer."""
    module, _, name = what.partition(":")
    caught: list[dict[str, str]] = []
    result: dict[str, Any] = {"error": "", "lives": "", "cls": None}
    try:
        with _warnings(caught, None):
            found = importlib.import_module(module)
            found = _member(found, name) if name else found
    except BaseException as error:
        return {**result, "error": f"{type(error).__name__}: {error}", "warnings": []}
    if inspect.isclass(found):
        result["lives"] = f"{found.__module__}.{found.__qualname__}"
        result["cls"] = _describe(found)
    mentions = (module, name or module)
    told = [w for w in caught if any(part in w["message"] for part in mentions)]
    return {**result, "warnings": told}


def _member(module: Any, name: str) -> Any:
    found = getattr(module, name, ABSENT)  # asked once: a deprecated name warns each time
    if found is not ABSENT:
        return found
    try:
        return importlib.import_module(f"{module.__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{module.__name__}.{name}":
            raise
        raise ImportError(f"cannot import name {name!r} from {module.__name__!r}") from None


def _describe(cls: type) -> dict[str, Any]:
    """A class as its users see it; see `facts.ClassFacts`."""
    parameters: dict[str, str] = {}
    is_open = False
    for owner in cls.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        try:
            signature = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        except (TypeError, ValueError):
            is_open = True
            break
        for parameter in signature:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                parameters.setdefault(parameter.name, _default(parameter))
        takes_any = any(p.kind is p.VAR_KEYWORD for p in signature)
        if not takes_any or owner.__name__ in REFUSING:
            break
    else:
        is_open = bool(parameters)
    return {
        "parameters": parameters,
        "open": is_open,
        "attributes": sorted(name for name in dir(cls) if not name.startswith("_")),
        "triggers": sorted({path for owner in cls.__mro__ for path in _triggers_of(owner.__module__)}),
    }


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "required"
    text = repr(parameter.default)
    return type(parameter.default).__name__ if " at 0x" in text else text[:200]


def _triggers_of(module: str) -> set[str]:
    """Class paths of the triggers that a module of Airflow imports, wherever in it."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not module.startswith("airflow."):
        return set()
    tree = syntax.parse(Path(file))
    found = set(syntax.trigger_classes(tree, module)) if tree else set()
    for use in syntax.uses(tree, "") if tree else ():
        source, _, name = use["what"].partition(":")
        if name.endswith("Trigger"):
            found.add(f"{source}.{name}")
    return found


def _import_error(module: str) -> str:
    try:
        importlib.import_module(module)
    except BaseException:
        return traceback.format_exc()
    return ""


def _dags(root: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """(DAGs by id, errors by file): what the DAG processor would find."""
    bag = _dag_bag(root / "dags")
    errors = {_below(root, file): error for file, error in bag.import_errors.items()}
    return {dag_id: _dag(root, dag) for dag_id, dag in bag.dags.items()}, errors


def _dag_bag(folder: Path) -> Any:
    try:
        module = importlib.import_module("airflow.dag_processing.dagbag")
    except ImportError:  # before Airflow 3.2
        module = importlib.import_module("airflow.models.dagbag")
    return module.DagBag(dag_folder=str(folder))


def _below(root: Path, file: str) -> str:
    path = root / "dags" / file
    return str(path.relative_to(root)) if path.is_relative_to(root) else file


def _dag(root: Path, dag: Any) -> dict[str, Any]:
    tasks = {}
    for task in dag.tasks:
        cls = getattr(task, "operator_class", None) or type(task)
        tasks[task.task_id] = f"{cls.__module__}.{cls.__qualname__}" if inspect.isclass(cls) else str(cls)
    serialized, error = None, ""
    try:
        serialized = serialization().to_dict(dag)
    except Exception:
        error = traceback.format_exc()
    return {
        "file": _below(root, dag.fileloc),
        "tasks": tasks,
        "serialized": serialized,
        "unserializable": error,
    }


def serialization() -> Any:
    """The class that makes of DAGs what is stored in the database, and the reverse."""
    module = importlib.import_module("airflow.serialization.serialized_objects")
    return getattr(module, "DagSerialization", None) or module.SerializedDAG
