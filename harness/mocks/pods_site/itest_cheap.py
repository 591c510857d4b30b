"""What Airflow's components and tasks do at their start in a dear way, done in a cheap one with the same result.

`sitecustomize` asks for this module where ITEST_START is `cheap`; what that changes against production is in
`harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import time

from itest_imports import after_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

PROVIDERS = (
    "airflow._shared.providers_discovery.providers_discovery",
    "airflow.sdk._shared.providers_discovery.providers_discovery",
    # Airflow 2's.
    "airflow.providers_manager",
)
PR_SET_PDEATHSIG = 1
"""Of Linux's `prctl`."""


def start_cheaply() -> None:
    """Change the modules below once they are imported; one that has not what is known here stays as it is."""
    after_import("yaml", parse_in_c)
    after_import("billiard.util", ask_the_kernel_directly)
    after_import("airflow.providers.amazon.aws.hooks.base_aws", call_nobody_by_name)
    after_import("googleapiclient.schema", document_nothing)
    after_import("airflow.sdk.execution_time.supervisor", beat_later)
    for name in PROVIDERS:
        after_import(name, believe_providers)


def parse_in_c(module: ModuleType) -> None:
    """`yaml.safe_load` with libyaml's parser, where PyYAML was built with it."""
    load, loader = getattr(module, "load", None), getattr(module, "CSafeLoader", None)
    if load is not None and loader is not None:
        module.safe_load = lambda stream: load(stream, loader)  # type: ignore[attr-defined]


def ask_the_kernel_directly(module: ModuleType) -> None:
    """A Celery child asks to be ended with its parent; billiard has cffi compile a C declaration for it, in each."""
    if not hasattr(module, "set_pdeathsig"):
        return

    def set_pdeathsig(signal: Any) -> None:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal))

    module.set_pdeathsig = set_pdeathsig  # type: ignore[attr-defined]


def call_nobody_by_name(module: ModuleType) -> None:
    """The user agent of a request to AWS does not tell which operator it is for.

    Looking for it among the frames of the stack reads the source of each, for every client that is made: each task's
    log is uploaded by one.
    """
    hook = getattr(module, "AwsGenericHook", None)
    if hasattr(hook, "_get_caller"):
        hook._get_caller = lambda *_, **__: "Unknown"  # type: ignore[union-attr]


def document_nothing(module: ModuleType) -> None:
    """The methods that a client of Google's gets for an API have docstrings without the schemas of what they take.

    They are written whenever such a client is made, which each reading of a spreadsheet does.
    """
    schemas = getattr(module, "Schemas", None)
    for name in ("prettyPrintByName", "prettyPrintSchema"):
        if hasattr(schemas, name):
            setattr(schemas, name, lambda *_, **__: "")


def beat_later(module: ModuleType) -> None:
    """A task's first heartbeat comes an interval after its start, which has told the same, and not at once."""
    supervised = getattr(module, "ActivitySubprocess", None)
    begin = getattr(supervised, "_on_child_started", None)
    if begin is None:
        return

    def _on_child_started(self: Any, *arguments: Any, **options: Any) -> Any:
        begun = begin(self, *arguments, **options)
        self._last_heartbeat_attempt = time.monotonic()
        return begun

    supervised._on_child_started = _on_child_started  # type: ignore[union-attr]


def believe_providers(module: ModuleType) -> None:
    """What an installed provider says of itself is not held against Airflow's schema, twice in each process."""
    name = "_create_provider_info_schema_validator"
    if hasattr(module, name):
        setattr(module, name, Believer)


class Believer:
    """A validator that finds everything valid."""

    def validate(self, _: Any) -> None:
        pass
