"""Kills a running task as the kernel does when memory runs out: its worker process and the task in it, at once."""

from harness.airflow import DagRun
from harness.environment import Environment

KILL = """
import os, re, signal, sys
from pathlib import Path

def cmdline(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\\0", b" ").decode().strip()

(task,) = [p for p in os.listdir("/proc") if p.isdigit() and re.fullmatch(sys.argv[1], cmdline(p))]
supervisor = Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1]
for pid in (supervisor, task):
    os.kill(int(pid), signal.SIGKILL)
"""


def kill(env: Environment, run: DagRun, task_id: str, map_index: int = -1) -> None:
    """Kill the task instance, which must be running on worker-1."""
    process = env.line.task_process
    ((found,),) = env.database.rows(process.query, [run.run_id, task_id, map_index])
    killed = env.runtime.exec("worker-1", ["python", "-c", KILL, process.title.format(found)])
    assert killed.exit_code == 0, killed.output
