"""Routes of a FastAPI application that are analysed when they are first asked for.

FastAPI examines an endpoint's parameters whenever a route is made, and makes each route anew for every router that
it goes through: Airflow's API server makes 825 before the first request. Here a route knows its path, methods and
options at once, and what FastAPI learns from the endpoint when somebody wants to know it. `sitecustomize` asks for
this module where ITEST_ROUTES is `lazy`; what it changes against production is in `harness/services/speed.py`.
Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

from itest_imports import after_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FASTAPI = "fastapi.routing"
EXAMINED = (
    "response_field",
    "stream_item_field",
    "response_fields",
    "dependant",
    "_flat_dependant",
    "_embed_body_fields",
    "body_field",
    "is_sse_stream",
    "is_json_stream",
    "app",
)
"""What `APIRoute` learns from its endpoint; nothing of it is an argument."""
EXAMINES = (
    "create_model_field",
    "get_dependant",
    "get_parameterless_sub_dependant",
    "get_flat_dependant",
    "_should_embed_body_fields",
    "get_body_field",
    "request_response",
)
"""The functions by which it learns it."""
HANDLER = "get_route_handler"
PENDING = "_itest_pending"


class Nothing:
    """Stands for whatever was not examined: it can be called, and has empty attributes."""

    def __init__(self) -> None:
        self.dependencies: list[Any] = []
        self.body_params: list[Any] = []
        self.is_gen_callable = self.is_async_gen_callable = False

    def __call__(self, *_: Any, **__: Any) -> Nothing:
        return Nothing()


def examine_late() -> None:
    """Have FastAPI examine endpoints late, once it is imported."""
    after_import(FASTAPI, change)


def change(module: Any) -> None:
    """Change `module`, which is `fastapi.routing`; one that has not all that is known here stays as it is."""
    from threading import RLock
    from types import FunctionType

    route_class = module.APIRoute
    examine = route_class.__init__
    if not all(hasattr(module, name) for name in EXAMINES) or hasattr(route_class, "__getattr__"):
        return
    unexamined = {**vars(module), **dict.fromkeys(EXAMINES, Nothing())}
    sketch: Any = FunctionType(
        examine.__code__, unexamined, examine.__name__, examine.__defaults__, examine.__closure__
    )
    sketch.__kwdefaults__ = examine.__kwdefaults__
    lock = RLock()

    def initialize(self: Any, *arguments: Any, **options: Any) -> None:
        known = self.__dict__
        known[HANDLER] = Nothing()
        sketch(self, *arguments, **options)
        for name in (HANDLER, *EXAMINED):
            known.pop(name, None)
        # As they are now: the lists of a route are changed afterwards, for the routes that will be made of it.
        kept = {name: list(value) if isinstance(value, list) else value for name, value in options.items()}
        known[PENDING] = (arguments, kept)

    def look_up(self: Any, name: str) -> Any:
        if name in EXAMINED:
            with lock:
                pending = self.__dict__.get(PENDING)
                if pending is not None:
                    complete(self, *pending)
            if name in self.__dict__:
                return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def complete(self: Any, arguments: Any, options: Any) -> None:
        examined = object.__new__(type(self))
        examined.__dict__.update(self.__dict__)
        examine(examined, *arguments, **options)
        for name in EXAMINED:
            self.__dict__.setdefault(name, examined.__dict__[name])
        del self.__dict__[PENDING]

    route_class.__init__ = initialize
    route_class.__getattr__ = look_up
