"""What Airflow's components do at their start in a dear way, done in a cheap one with the same result.

`sitecustomize` asks for this module where ITEST_START is `cheap`; what that changes against production is in
`harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

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


def believe_providers(module: ModuleType) -> None:
    """What an installed provider says of itself is not held against Airflow's schema, twice in each process."""
    name = "_create_provider_info_schema_validator"
    if hasattr(module, name):
        setattr(module, name, Believer)


class Believer:
    """A validator that finds everything valid."""

    def validate(self, _: Any) -> None:
        pass
