"""What Airflow's components import at their start, though most never use it: imported when it is first used.

`sitecustomize` asks for this module where ITEST_IMPORTS is `late`; what that changes against production is in
`harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from threading import RLock
from types import ModuleType

from itest_imports import after_import, instead_of_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Execute = Callable[[ModuleType], None]

LOG_SERVER = "airflow.utils.serve_logs"
"""Scheduler, triggerer and worker import it, with FastAPI and uvicorn, before they look whether they shall serve."""
DECORATORS = "airflow.sdk.definitions._internal.decorators"
"""Needs libcst, a parser of Python, when a decorated task is sent to another interpreter."""
AMQP_SHELL = "celery.bin.amqp"
"""A shell among Celery's commands, whose prompt comes with a terminal toolkit."""
SERVICES = "svcs"
"""The execution API's registry of services; it has an integration for every web framework that is installed."""
DIALECT, MIGRATIONS = "sqlalchemy_cockroachdb.base", "alembic"
"""The dialect tells Alembic of itself, where there is Alembic; only migrations use that."""
DAG_PROCESSOR, EXECUTION_API = "airflow.dag_processing.manager", "airflow.api_fastapi.execution_api.app"
"""The DAG processor builds an execution API of its own, for DAG files that ask for a variable or a connection."""
TASK_LOG, TASK_RUNNER = "airflow.sdk.log", "airflow.sdk.execution_time.task_runner"
MASKER = "airflow.sdk._shared.secrets_masker"
"""A secret that is to be masked is told to the task's supervisor; looking for a task imports all that runs one."""


class Anything:
    """Stands for every class and function of a module that is not there: a base class, a call that does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


class Absent(ModuleType):
    """A module that is not there, while somebody imports names of it."""

    def __getattr__(self, name: str) -> type[Anything]:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


def import_late() -> None:
    """Have what is named above imported late, but for the task runner."""
    instead_of_import(
        LOG_SERVER, lambda module, execute: when_called(module, execute, "serve_logs", "create_app")
    )
    instead_of_import(DECORATORS, remove_decorators_late)
    instead_of_import(
        AMQP_SHELL, lambda module, execute: without(module, execute, click_repl=Absent("click_repl"))
    )
    missing = {"svcs.aiohttp": None, "svcs.flask": None}
    instead_of_import(SERVICES, lambda module, execute: without(module, execute, **missing))
    instead_of_import(DIALECT, tell_alembic_late)
    after_import(DAG_PROCESSOR, build_execution_api_late)


def mask_without_task_runner() -> None:
    """Have a secret masked without the task runner's import: where nobody has imported it, no task is running."""
    after_import(TASK_LOG, mask_in_this_process)


def mask_in_this_process(module: Any) -> None:
    """Change `module`, which is `airflow.sdk.log`."""
    mask_secret = module.mask_secret

    def mask(secret: Any, name: str | None = None) -> None:
        if TASK_RUNNER in sys.modules:
            mask_secret(secret, name)
        else:
            import_module(MASKER)._secrets_masker().add_mask(secret, name)

    module.mask_secret = mask


def tell_alembic_late(module: ModuleType, execute: Execute) -> None:
    """Execute the dialect without Alembic, and its statement about Alembic once somebody imports that."""
    if MIGRATIONS in sys.modules:
        execute(module)
        return
    without(module, execute, **{MIGRATIONS: None})

    def tell(_: Any) -> None:
        from inspect import getsource

        tree = ast.parse(getsource(module), str(module.__file__))
        tree.body = [
            s for s in tree.body if isinstance(s, ast.Try) and "import alembic." in ast.unparse(s.body[0])
        ]
        exec(compile(tree, str(module.__file__), "exec"), vars(module))  # noqa: S102 - the module's own statement

    after_import(MIGRATIONS, tell)


def build_execution_api_late(module: Any) -> None:
    """Change `module`, which is the DAG processor's: its API is built for the first request of a DAG file.

    Airflow 2's has none, and stays as it is.
    """
    if not hasattr(module, "_make_execution_api"):
        return

    def make() -> Any:
        from itest_late import LateApi  # type: ignore[import-not-found]  # these are a function's of another module

        return LateApi()

    # The function is held by a class already: it stays, and does something else.
    module._make_execution_api.__code__ = make.__code__


class LateApi:
    """Airflow's `InProcessExecutionAPI`, of which the DAG processor uses the transport."""

    def __init__(self) -> None:
        self.transport = LateTransport()


class LateTransport:
    """An HTTP transport to an execution API that is built for the first request."""

    def __init__(self) -> None:
        self._made: list[Any] = []

    def handle_request(self, request: Any) -> Any:
        if not self._made:
            self._made.append(import_module(EXECUTION_API).InProcessExecutionAPI().transport)
        return self._made[0].handle_request(request)

    def close(self) -> None:
        for made in self._made:
            made.close()

    def __enter__(self) -> LateTransport:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def remove_decorators_late(module: ModuleType, execute: Execute) -> None:
    """Execute the decorators' module without libcst, and once more with it when its one user is called."""
    without(module, execute, libcst=Absent("libcst"))
    when_called(module, execute, "remove_task_decorator")


def when_called(module: ModuleType, execute: Execute, *functions: str) -> None:
    """Give `module` these functions; the first call of one executes the module, whose own are called from then on."""
    lock = RLock()
    done: list[ModuleType] = []

    def late(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with lock:
                if not done:
                    execute(module)
                    done.append(module)
            return getattr(module, name)(*arguments, **options)

        return call

    for name in functions:
        setattr(module, name, late(name))


def without(module: ModuleType, execute: Execute, **names: ModuleType | None) -> None:
    """Execute `module` with these modules in place of those of their `names`; None for one that cannot be imported.

    A name that is imported already stays what it is.
    """
    replaced = {name: other for name, other in names.items() if name not in sys.modules}
    modules: dict[str, Any] = sys.modules
    modules.update(replaced)
    try:
        execute(module)
    finally:
        for name, other in replaced.items():
            if modules.get(name) is other:
                modules.pop(name, None)
