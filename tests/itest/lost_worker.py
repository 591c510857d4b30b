"""Kills a running task as the kernel does when memory runs out: its worker process and the task in it, at once."""

from harness.airflow import DagRun
from harness.environment import Environment

KILL = """
import os, signal, sys
from pathlib import Path

def cmdline(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\\0", b" ").decode().strip()

(task,) = [p for p in os.listdir("/proc") if p.isdigit() and cmdline(p) == f"airflow worker -- {sys.argv[1]}"]
supervisor = Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1]
for pid in (supervisor, task):
    os.kill(int(pid), signal.SIGKILL)
"""


def kill(env: Environment, run: DagRun, task_id: str, map_index: int = -1) -> None:
    """Kill the task instance, which must be running on worker-1."""
    query = "SELECT id FROM task_instance WHERE run_id = %s AND task_id = %s AND map_index = %s"
    ((task_instance,),) = env.database.rows(query, [run.run_id, task_id, map_index])
    killed = env.runtime.exec("worker-1", ["python", "-c", KILL, str(task_instance)])
    assert killed.exit_code == 0, killed.output
