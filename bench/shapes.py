"""DAG files of simple shapes, as text: what is measured is Airflow around the tasks, which do next to nothing.

`SHAPES` maps the id of each DAG to its text; the texts work wherever Airflow 3 runs.
"""

from __future__ import annotations

HEAD = '''\
"""{purpose} Written by bench/shapes.py."""

from __future__ import annotations

from airflow.sdk import {names}

'''

DEFERRAL = '''\
class Pause(BaseOperator):
    """Gives its worker slot up for `seconds`, then comes back to a worker for one more moment."""

    def __init__(self, *, seconds: float, **options):
        super().__init__(**options)
        self.seconds = seconds

    def execute(self, context):
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=self.seconds)), method_name="resume")

    def resume(self, context, event=None):
        return self.seconds


'''

DEFERRAL_IMPORTS = """\
from datetime import timedelta

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
"""


def _file(purpose: str, names: str, body: str) -> str:
    """A DAG file that imports `names` of Airflow's SDK; with the operator `Pause` when BaseOperator is one."""
    head = HEAD.format(purpose=purpose, names=names)
    if "BaseOperator" not in names:
        return f"{head}\n{body}"
    imported = head.replace("from airflow.sdk", f"{DEFERRAL_IMPORTS}from airflow.sdk")
    return f"{imported}\n{DEFERRAL}{body}"


QUICKSTART = "bench_quickstart"
QUICKSTART_DAG = _file(
    "A task, three mapped ones, a deferral of two seconds, a task.",
    "BaseOperator, dag, task",
    """\
@dag(dag_id="bench_quickstart", schedule=None, catchup=False)
def quickstart():
    @task
    def first():
        return [1, 2, 3]

    @task
    def square(number):
        return number * number

    @task
    def last(squares):
        return sum(squares)

    squares = square.expand(number=first())
    squares >> Pause(task_id="pause", seconds=2) >> last(squares)


quickstart()
""",
)

ONE_TASK = _file(
    "One task.",
    "dag, task",
    """\
@dag(dag_id="bench_one_task", schedule=None, catchup=False)
def one_task():
    @task
    def only():
        return 1

    only()


one_task()
""",
)

CHAIN_OF_TEN = _file(
    "Ten tasks, one after the other.",
    "dag, task",
    """\
@dag(dag_id="bench_chain_of_ten", schedule=None, catchup=False)
def chain_of_ten():
    @task
    def step(number):
        return number + 1

    number = 0
    for position in range(10):
        number = step.override(task_id=f"step_{position}")(number)


chain_of_ten()
""",
)

FIFTY_MAPPED = _file(
    "Fifty mapped tasks side by side.",
    "dag, task",
    """\
@dag(dag_id="bench_fifty_mapped", schedule=None, catchup=False)
def fifty_mapped():
    @task
    def square(number):
        return number * number

    square.expand(number=list(range(50)))


fifty_mapped()
""",
)

ONE_DEFERRAL = _file(
    "A task that defers itself for one second.",
    "BaseOperator, dag",
    """\
@dag(dag_id="bench_one_deferral", schedule=None, catchup=False)
def one_deferral():
    Pause(task_id="pause", seconds=1)


one_deferral()
""",
)

EIGHT_DAYS = "bench_eight_days"
DEFERRALS = 18
EIGHT_DAYS_DAG = _file(
    "Eighteen deferrals, one after the other, for eight days in all.",
    "BaseOperator, chain, dag",
    f"""\
@dag(dag_id="bench_eight_days", schedule=None, catchup=False)
def eight_days():
    chain(*(Pause(task_id=f"pause_{{n}}", seconds=8 * 86400 / {DEFERRALS}) for n in range({DEFERRALS})))


eight_days()
""",
)

SHAPES: dict[str, str] = {
    "bench_one_task": ONE_TASK,
    "bench_chain_of_ten": CHAIN_OF_TEN,
    "bench_fifty_mapped": FIFTY_MAPPED,
    "bench_one_deferral": ONE_DEFERRAL,
    QUICKSTART: QUICKSTART_DAG,
}
