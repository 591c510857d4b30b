"""Where DAG files are parsed, and how it shows among the processes that a file is being parsed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.services.airflow2 import SCHEDULER
from harness.services.airflow3 import DAG_PROCESSOR

MANAGER = "airflow scheduler -- DagFileProcessorManager"
PROCESSOR = "airflow scheduler - DagFileProcessor "
"""What Airflow 2's processes call themselves."""


@dataclass(frozen=True, slots=True)
class Parser:
    """The pod that parses DAG files."""

    service: str
    is_parse: Callable[[str, str], bool]
    """Whether a process of it parses a file: called with its title, and that of the process that started it."""


DAG_PROCESSOR_POD = Parser(DAG_PROCESSOR, lambda title, parent: title == parent)
"""It forks for each file."""

INSIDE_SCHEDULER = Parser(
    # A fork has its parent's title until it gives itself its own.
    SCHEDULER,
    lambda title, parent: title.startswith(PROCESSOR) or title == parent == MANAGER,
)
