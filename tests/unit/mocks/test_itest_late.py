"""Late, early and cheap imports, in a process whose packages are a few files of the same shape as the real ones."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.mocks import pods_site

SITE = Path(pods_site.__file__).parent


def say(folder: Path, files: dict[str, str], script: str, **environment: str) -> Any:
    """What a script prints as JSON, with these modules (name to source) and the pods' own on its path."""
    for name, source in files.items():
        path = folder.joinpath(*name.split("."))
        path.parent.mkdir(parents=True, exist_ok=True)
        for package in path.relative_to(folder).parents[:-1]:
            (folder / package / "__init__.py").touch()
        path.with_suffix(".py").write_text(source)
    where = os.pathsep.join((str(SITE), str(folder)))
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": where, **environment},
    )
    return json.loads(ran.stdout)


def test_a_function_is_executed_with_its_module_when_it_is_called(tmp_path: Path) -> None:
    files = {
        "heavy": "",
        "airflow.utils.serve_logs.__init__": "import heavy\ndef serve_logs(port, host='h'):\n    return [port, host]\n",
    }
    said = say(
        tmp_path,
        files,
        "import json, sys\n"
        "from airflow.utils.serve_logs import serve_logs\n"
        "early = 'heavy' in sys.modules\n"
        "print(json.dumps([early, serve_logs(8793), serve_logs(1, host='x'), 'heavy' in sys.modules]))",
        ITEST_IMPORTS="late",
    )
    assert said == [False, [8793, "h"], [1, "x"], True]


DECORATORS = """
import libcst as cst

def fixup():
    return "at once"

class Remover(cst.CSTTransformer):
    pass

def remove_task_decorator(source):
    return [source, Remover.__mro__[1].__module__]
"""


def test_a_module_without_its_parser_is_whole_and_gets_the_parser_when_it_is_used(tmp_path: Path) -> None:
    said = say(
        tmp_path,
        {
            "libcst": "class CSTTransformer: pass\n",
            "airflow.sdk.definitions._internal.decorators": DECORATORS,
        },
        "import json, sys\n"
        "from airflow.sdk.definitions._internal.decorators import fixup, remove_task_decorator\n"
        "early = 'libcst' in sys.modules\n"
        "print(json.dumps([fixup(), early, remove_task_decorator('x')]))",
        ITEST_IMPORTS="late",
    )
    assert said == ["at once", False, ["x", "libcst"]]


def test_what_somebody_has_imported_is_not_taken_away(tmp_path: Path) -> None:
    said = say(
        tmp_path,
        {
            "libcst": "class CSTTransformer: pass\n",
            "airflow.sdk.definitions._internal.decorators": DECORATORS,
        },
        "import json, libcst, sys\n"
        "from airflow.sdk.definitions._internal.decorators import Remover\n"
        "print(json.dumps([Remover.__mro__[1].__module__, sys.modules['libcst'] is libcst]))",
        ITEST_IMPORTS="late",
    )
    assert said == ["libcst", True]


def test_a_dialect_tells_alembic_of_itself_once_alembic_is_imported(tmp_path: Path) -> None:
    files = {
        "alembic.ddl": "known = []\n",
        "sqlalchemy_cockroachdb.base": "try:\n    import alembic.ddl\nexcept ImportError:\n    pass\n"
        "else:\n    alembic.ddl.known.append('cockroachdb')\n",
    }
    said = say(
        tmp_path,
        files,
        "import json, sys\n"
        "import sqlalchemy_cockroachdb.base\n"
        "early = 'alembic' in sys.modules\n"
        "import alembic.ddl\n"
        "print(json.dumps([early, alembic.ddl.known]))",
        ITEST_IMPORTS="late",
    )
    assert said == [False, ["cockroachdb"]]


MASKER = """
masked = []
class Masker:
    def add_mask(self, secret, name):
        masked.append([secret, name])

def _secrets_masker():
    return Masker()
"""
LOG = """
from airflow.sdk._shared.secrets_masker import _secrets_masker, masked
told = []

def mask_secret(secret, name=None):
    _secrets_masker().add_mask(secret, name)
    import airflow.sdk.execution_time.task_runner
    told.append(secret)
"""


def test_a_secret_is_masked_and_told_to_a_supervisor_only_where_a_task_can_run(tmp_path: Path) -> None:
    said = say(
        tmp_path,
        {
            "airflow.sdk.log": LOG,
            "airflow.sdk._shared.secrets_masker": MASKER,
            "airflow.sdk.execution_time.task_runner": "",
        },
        "import json, sys\n"
        "from airflow.sdk import log\n"
        "log.mask_secret('a', 'n')\n"
        "early = 'airflow.sdk.execution_time.task_runner' in sys.modules\n"
        "import airflow.sdk.execution_time.task_runner\n"
        "log.mask_secret('b')\n"
        "print(json.dumps([log.masked, log.told, early]))",
        ITEST_TASK_MODULES="late",
    )
    assert said == [[["a", "n"], ["b", None]], ["b"], False]


def test_modules_of_another_shape_stay_as_they_are(tmp_path: Path) -> None:
    said = say(
        tmp_path,
        {"yaml": "def safe_load(text):\n    return 'own'\n", "billiard.util": "kept = True\n"},
        "import json, yaml, billiard.util\n"
        "print(json.dumps([yaml.safe_load(''), hasattr(billiard.util, 'set_pdeathsig')]))",
        ITEST_START="cheap",
    )
    assert said == ["own", False]


SIGNALS = """
class Signal:
    def __init__(self):
        self.receivers = []

    def connect(self, receiver, weak=True):
        self.receivers.append((receiver, weak))

import_modules = Signal()
"""


def test_a_worker_imports_what_it_is_told_to_before_it_forks_and_only_then(tmp_path: Path) -> None:
    said = say(
        tmp_path,
        {
            "celery.signals": SIGNALS,
            "airflow.providers.celery.executors.celery_executor_utils": "",
            "heavy.one": "",
            "heavy.two": "",
        },
        "import json, sys\n"
        "import airflow.providers.celery.executors.celery_executor_utils\n"
        "from celery.signals import import_modules\n"
        "early = 'heavy.one' in sys.modules\n"
        "[(receiver, weak)] = import_modules.receivers\n"
        "receiver(sender=None)\n"
        "print(json.dumps([early, weak, 'heavy.one' in sys.modules, 'heavy.two' in sys.modules]))",
        ITEST_PREIMPORT="heavy.one, heavy.missing,heavy.two",
    )
    assert said == [False, False, True, True]


def test_a_request_to_aws_names_no_operator(tmp_path: Path) -> None:
    hook = "class AwsGenericHook:\n    def _get_caller(self, target='execute'):\n        return 'Operator'\n"
    said = say(
        tmp_path,
        {"airflow.providers.amazon.aws.hooks.base_aws": hook},
        "import json\n"
        "from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook\n"
        "print(json.dumps(AwsGenericHook()._get_caller('poke')))",
        ITEST_START="cheap",
    )
    assert said == "Unknown"


SUPERVISOR = """
import time

class ActivitySubprocess:
    _last_heartbeat_attempt = 0.0

    def _on_child_started(self, ti):
        return ti
"""


def test_a_tasks_first_heartbeat_is_due_an_interval_after_its_start(tmp_path: Path) -> None:
    files = {"airflow.sdk.execution_time.supervisor": SUPERVISOR}
    script = (
        "import json, time\n"
        "from airflow.sdk.execution_time.supervisor import ActivitySubprocess\n"
        "task, before = ActivitySubprocess(), time.monotonic()\n"
        "print(json.dumps([task._on_child_started(7), task._last_heartbeat_attempt >= before]))"
    )
    assert say(tmp_path, files, script, ITEST_START="cheap") == [7, True]
    assert say(tmp_path, files, script) == [7, False]


def test_googles_clients_are_not_documented(tmp_path: Path) -> None:
    schemas = "class Schemas:\n    def prettyPrintByName(self, name):\n        return name * 3\n"
    files = {"googleapiclient.schema": schemas}
    script = (
        "import json\n"
        "from googleapiclient.schema import Schemas\n"
        "print(json.dumps(Schemas().prettyPrintByName('a')))"
    )
    assert say(tmp_path, files, script, ITEST_START="cheap") == ""
    assert say(tmp_path, files, script) == "aaa"


COMMS_OF_A_TASK = """
built = []

class ToTask:
    pass

class TypeAdapter:
    def __init__(self, kind, **options):
        built.append(kind)

def decoder():
    return TypeAdapter(ToTask)
"""
WORKER_STARTS = """
import json
import airflow.providers.celery.executors.celery_executor_utils
from celery.signals import import_modules
[(receiver, _)] = import_modules.receivers
receiver(sender=None)
from airflow.sdk.execution_time import comms
"""
WORKERS = {"celery.signals": SIGNALS, "airflow.providers.celery.executors.celery_executor_utils": ""}
COMMS = "airflow.sdk.execution_time.comms"


def test_tasks_share_what_reads_their_supervisors_messages(tmp_path: Path) -> None:
    said = say(
        tmp_path,
        {**WORKERS, COMMS: COMMS_OF_A_TASK},
        f"{WORKER_STARTS}"
        "at_start, same = len(comms.built), comms.decoder() is comms.decoder()\n"
        "comms.TypeAdapter(int), comms.TypeAdapter(comms.ToTask, config=1)\n"
        "print(json.dumps([at_start, same, len(comms.built)]))",
        ITEST_PREIMPORT=COMMS,
    )
    assert said == [1, True, 3]


def test_another_airflows_messages_are_read_as_before(tmp_path: Path) -> None:
    files = {**WORKERS, COMMS: "class TypeAdapter:\n    pass\n"}
    script = f"{WORKER_STARTS}print(json.dumps(isinstance(comms.TypeAdapter, type)))"
    assert say(tmp_path, files, script, ITEST_PREIMPORT=COMMS) is True
