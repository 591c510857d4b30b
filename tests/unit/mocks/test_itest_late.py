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
