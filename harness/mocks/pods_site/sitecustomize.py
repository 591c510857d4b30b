"""Python imports this at every start in the pods. It tells the mocks which task instance opens a connection, looks up
a name, or connects to an address outside of the stack.

ITEST_IDENTITY: `HOST:UDPPORT` where the mocks listen for announcements (`harness/mocks/identity.py`), optionally
followed by `/PORT,...`, the TCP ports that count, else 80 and 443. Without it nothing is announced.
ITEST_GC_THRESHOLD: arguments of `gc.set_threshold`, separated by commas.
ITEST_TRIGGERER_PAUSE: seconds between two rounds of Airflow's triggerer (`itest_pace`).
ITEST_SCHEDULER_REST: seconds between two rounds of a scheduler that has nothing to do (`itest_pace`).
ITEST_ROUTES: `lazy` for routes of an API that are examined when they are first asked for (`itest_routes`).
ITEST_IMPORTS: `late` for modules that are imported when they are first used (`itest_late`).
ITEST_TASK_MODULES: `late` where no task runs: what only tasks use comes later (`itest_late`, `itest_logging`).
ITEST_PREIMPORT: modules that a Celery worker imports for all its tasks, separated by commas (`itest_early`).
ITEST_START: `cheap` for a start with the same results and less work (`itest_cheap`).
ITEST_EXECUTION_API: `newest` for an execution API of its newest version only (`itest_versions`).
VIRTUAL_CLOCK: folder of the stack's virtual clock (`itest_clock`) and of its bells (`itest_bell`).

Standard library only, Python 3.9 and newer, and nothing in here raises into its host. What costs time to import is
imported when the first connection of a task needs it. uvloop makes its connections without telling Python, so those
stay anonymous; Airflow's triggerer and task processes do not use it.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

    Fields = dict[str, Any]
    """A task instance as it is announced: dag_id, run_id, task_id, map_index, try_number."""

PORTS = (80, 443)
PORT_SECONDS, PORT_TRIES = 0.5, 2
"""A connection waits for its acknowledgement: without it, the mocks would take the request for nobody's."""
NAME_SECONDS, NAME_TRIES = 0.2, 1
NETWORK = 3
"""How many bytes of their addresses all containers of a stack have in common: it has a /24 of its own."""
QUIET_SECONDS = 60.0
"""How long nothing is announced after the mocks did not acknowledge."""
STRUCTLOG = "structlog_"
CONTEXTS = ("airflow.sdk.definitions._internal.contextmanager", "airflow.models.taskinstance")
"""Where Airflow 3 and 2 keep the contexts of the task that a process runs."""
MAP_INDEX = "ITEST_MAP_INDEX"
"""Variable in which a task tells its child processes its map index, since Airflow exports none."""
TRIGGER_LOG = "airflow.utils.log.trigger_handler"
"""Where Airflow 2 keeps whose trigger the current asyncio task runs, for its log."""
CHANGES = {
    ("ITEST_ROUTES", "lazy"): ("itest_routes", "examine_late"),
    ("ITEST_EXECUTION_API", "newest"): ("itest_versions", "serve_newest_only"),
    ("ITEST_IMPORTS", "late"): ("itest_late", "import_late"),
    ("ITEST_TASK_MODULES", "late"): ("itest_late", "mask_without_task_runner"),
    ("ITEST_START", "cheap"): ("itest_cheap", "start_cheaply"),
    ("ITEST_DEPENDENCIES", "reachable"): ("itest_ready", "evaluate_reachable"),
}
"""Variables and their values, and which function of which module beside this file is called then."""
PACES = {"ITEST_TRIGGERER_PAUSE": "quicken_triggerer", "ITEST_SCHEDULER_REST": "rest_scheduler"}
"""Variables, and which function of `itest_pace` gets their seconds."""


def tune_collector(text: str) -> None:
    """Set the cyclic collector's thresholds as ITEST_GC_THRESHOLD has them; anything malformed changes nothing."""
    try:
        gc.set_threshold(*(int(number) for number in text.split(",")))
    except (TypeError, ValueError, OverflowError):
        return


def call(module: str, function: str, *arguments: Any) -> None:
    """Call a function of a module that lies beside this file; without the module nothing happens."""
    from importlib import import_module

    try:
        found = import_module(module)
    except ImportError:
        return
    getattr(found, function)(*arguments)


def set_pace(change: str, text: str) -> None:
    """Do the `change` of `itest_pace` with the seconds that `text` has; anything malformed changes nothing."""
    try:
        seconds = float(text)
    except ValueError:
        return
    if seconds > 0:
        call("itest_pace", change, seconds)


def of_environment() -> Fields | None:
    """The task instance of this process or of the one that started it, as Airflow exports it."""
    read = os.environ.get
    dag_id, run_id = read("AIRFLOW_CTX_DAG_ID"), read("AIRFLOW_CTX_DAG_RUN_ID")
    if not dag_id or not run_id:
        return None
    task_id = read("AIRFLOW_CTX_TASK_ID")
    map_index = running_map_index(task_id)
    if map_index is None:
        map_index = read(MAP_INDEX)
    return _fields(dag_id, run_id, task_id, map_index, read("AIRFLOW_CTX_TRY_NUMBER"))


def running_map_index(task_id: str | None) -> Any:
    """The map index of the task that this process runs, as Airflow's own context has it; None where there is none.

    A process that the task has started has no such context.
    """
    kept = (getattr(sys.modules.get(name), "_CURRENT_CONTEXT", None) for name in CONTEXTS)
    contexts = next(filter(None, kept), None)
    try:
        running = contexts[-1]["ti"] if contexts else None
        return running.map_index if running is not None and running.task_id == task_id else None
    except Exception:
        # It is Airflow's own affair and may change: then the index is not known, and the rest still is.
        return None


def of_trigger_name(name: str) -> Fields | None:
    """The task instance in the name that Airflow gives to a trigger's asyncio task; run ids may hold slashes."""
    start, mark, end = name.rpartition(" (ID ")
    dag_id, _, rest = start.partition("/")
    parts = rest.rsplit("/", 3)
    if not mark or not end.endswith(")") or len(parts) != 4:
        return None
    return _fields(dag_id, *parts)


def of_context() -> Fields | None:
    """The task instance whose trigger the current asyncio task runs, or any task that was started by it.

    Airflow 3 binds its fields to context variables by structlog, and tasks inherit those. A trigger whose fields are
    not bound is found by its id or, before anything is bound, by the name of the current task. Airflow 2 keeps the task
    instance itself in a context variable.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    from contextvars import copy_context

    bound = {
        variable.name[len(STRUCTLOG) :]: value
        for variable, value in copy_context().items()
        if variable.name.startswith(STRUCTLOG)
    }
    dag_id, run_id, trigger_id = bound.get("dag_id"), bound.get("run_id"), bound.get("trigger_id")
    if isinstance(dag_id, str) and isinstance(run_id, str):
        return _fields(dag_id, run_id, bound.get("task_id"), bound.get("map_index"), bound.get("try_number"))
    kept = getattr(sys.modules.get(TRIGGER_LOG), "ctx_task_instance", None)
    waiting = kept.get(None) if kept is not None else None
    if waiting is not None:
        return _fields(waiting.dag_id, waiting.run_id, waiting.task_id, waiting.map_index, waiting.try_number)
    try:
        current = asyncio.current_task()
    except RuntimeError:
        return None
    if isinstance(trigger_id, int):
        names = (task.get_name() for task in asyncio.all_tasks())
        return next((of_trigger_name(name) for name in names if name.endswith(f" (ID {trigger_id})")), None)
    return of_trigger_name(current.get_name()) if current else None


def _fields(dag_id: str, run_id: str, task_id: Any, map_index: Any, try_number: Any) -> Fields:
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id if isinstance(task_id, str) else "",
        "map_index": _number(map_index, -1),
        "try_number": _number(try_number, 0),
    }


def _destination(port: Any) -> int:
    """The port that a name is looked up for, 0 where that is none: services may be named."""
    if isinstance(port, bytes):
        port = port.decode()
    if isinstance(port, str) and not port.isdigit():
        from _socket import getservbyname

        port = getservbyname(port)
    return _number(port, 0)


def _number(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default


class Announcer:
    """The audit hook. One a process; forked processes inherit it."""

    def __init__(self, host: str, udp_port: int, tcp_ports: tuple[int, ...] = PORTS) -> None:
        from _thread import _local

        self._host = host
        self._udp_port = udp_port
        self._tcp_ports = tcp_ports
        self._address = ""
        self._quiet_until = {"port": 0.0, "host": 0.0}
        self._thread = _local()
        self._carrying = False

    def hook(self) -> Callable[[str, tuple[Any, ...]], None]:
        """What `sys.addaudithook` takes. It holds all it needs: module globals are gone when Python ends."""
        find = {
            "socket.__new__": self._see_socket,
            "socket.connect": self._see_connect,
            "socket.getaddrinfo": self._see_lookup,
            "subprocess.Popen": self._see_child,
        }.get
        thread = self._thread

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            see = find(event)
            if see is None or getattr(thread, "busy", False):
                return
            thread.busy = True
            try:
                see(*arguments)
            except Exception:  # noqa: S110 - the host must not notice
                pass
            finally:
                thread.busy = False

        return hear

    def _see_socket(self, *_: Any) -> None:
        """An event loop opens sockets when it is made: the first moment to know that asyncio is in use."""
        if not self._carrying and "asyncio.base_events" in sys.modules:
            loop_class = getattr(sys.modules["asyncio.base_events"], "BaseEventLoop", None)
            if loop_class is not None:
                self._carrying = True
                self._carry_into_threads(loop_class)

    def _see_connect(self, connecting: _socket.socket, address: Any) -> None:
        import _socket

        if not isinstance(address, tuple) or connecting.type != _socket.SOCK_STREAM:
            return
        if self._leads_out(address):
            self._see_way_out(address)
            return
        if len(address) != 2 or address[1] not in self._tcp_ports:
            return
        if connecting.family != _socket.AF_INET:
            return
        identity = self._identity()
        if identity is None or self._is_quiet("port"):
            return
        # Some clients, httplib2 for one, connect to a name.
        if _socket.gethostbyname(address[0]) != self._mocks():
            return
        port = connecting.getsockname()[1]
        if port == 0:
            connecting.bind(("", 0))
            port = connecting.getsockname()[1]
        if not self._announce({"port": port, **identity}, PORT_SECONDS, PORT_TRIES):
            self._be_quiet("port", "host")

    def _see_child(self, _executable: Any, _arguments: Any, _folder: Any, env: Any) -> None:
        """A child that knows its task is to know the map index, too. `env`, where given, is what it gets to see."""
        environment = os.environ if env is None else env
        running = running_map_index(environment.get("AIRFLOW_CTX_TASK_ID"))
        if running is not None:
            environment[MAP_INDEX] = str(running)

    def _leads_out(self, address: tuple[Any, ...]) -> bool:
        """Whether an address (not a name) belongs to neither this host nor the stack."""
        host = address[0]
        if not isinstance(host, str):
            return False
        if ":" in host:
            return host not in ("::", "::1") and not host.startswith(("::ffff:", "fe80"))
        parts = host.split(".")
        if len(parts) != 4 or not all(part.isdigit() for part in parts) or parts[0] in ("0", "127"):
            return False
        return parts[:NETWORK] != self._mocks().split(".")[:NETWORK]

    def _see_way_out(self, address: tuple[Any, ...]) -> None:
        """Nobody answers there, and no name server is asked: this is the only trace of it."""
        if self._is_quiet("host"):
            return
        identity = self._identity() or _fields("", "", None, None, None)
        message = {"address": address[0], "to": address[1], **identity}
        if not self._announce(message, NAME_SECONDS, NAME_TRIES):
            self._be_quiet("host")

    def _see_lookup(self, host: Any, port: Any = None, *_: Any) -> None:
        # anyio, and httpx with it, looks up bytes.
        name = (host.decode() if isinstance(host, bytes) else host or "").rstrip(".")
        if "." not in name or ":" in name or name.replace(".", "").isdigit():
            return
        identity = self._identity()
        if identity is None or self._is_quiet("host"):
            return
        message = {"host": name, "to": _destination(port), **identity}
        if not self._announce(message, NAME_SECONDS, NAME_TRIES):
            self._be_quiet("host")

    def _identity(self) -> Fields | None:
        """Who we are, or None."""
        carried: Fields | None = getattr(self._thread, "identity", None)
        return carried or of_environment() or of_context()

    def _mocks(self) -> str:
        """The mocks' address. Raises OSError while their name does not resolve."""
        import _socket

        if not self._address:
            self._address = _socket.gethostbyname(self._host)
        return self._address

    def _announce(self, message: Fields, seconds: float, tries: int) -> bool:
        """Whether the mocks acknowledged `message`, each time within so many seconds. Raises OSError for no name."""
        import _socket
        import json

        datagram = json.dumps(message).encode()
        address = self._mocks()
        sending = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        try:
            sending.settimeout(seconds)
            # Connected, so that a port where nobody listens is told at once.
            sending.connect((address, self._udp_port))
            for _ in range(tries):
                sending.send(datagram)
                try:
                    return sending.recv(16) == b"ok"
                except _socket.timeout:
                    continue
        except OSError:
            return False
        finally:
            sending.close()
        return False

    def _is_quiet(self, kind: str) -> bool:
        from time import monotonic

        return monotonic() < self._quiet_until[kind]

    def _be_quiet(self, *kinds: str) -> None:
        from time import monotonic

        for kind in kinds:
            self._quiet_until[kind] = monotonic() + QUIET_SECONDS

    def _carry_into_threads(self, loop_class: Any) -> None:
        """Let a function that an event loop runs in a thread be its caller's: name look-ups are such functions.

        A thread has neither the context nor the current task of the one who asked.
        """
        run_in_executor = loop_class.run_in_executor

        def carrying(loop: Any, executor: Any, function: Any, *arguments: Any) -> Any:
            return run_in_executor(loop, executor, self._carried(executor, function), *arguments)

        loop_class.run_in_executor = carrying

    def _carried(self, executor: Any, function: Any) -> Any:
        """`function`, as the current identity where that comes from the context and a thread will run it."""
        try:
            from concurrent.futures import ThreadPoolExecutor

            identity = getattr(self._thread, "identity", None) or of_context()
            if identity is None or not (executor is None or isinstance(executor, ThreadPoolExecutor)):
                return function
        except Exception:
            return function
        thread = self._thread

        def carried(*arguments: Any) -> Any:
            before, thread.identity = getattr(thread, "identity", None), identity
            try:
                return function(*arguments)
            finally:
                thread.identity = before

        return carried


def announcer(text: str) -> Announcer | None:
    """The announcer that ITEST_IDENTITY describes; None when it is malformed."""
    address, _, ports = text.partition("/")
    host, _, udp_port = address.rpartition(":")
    try:
        tcp_ports = tuple(int(port) for port in ports.split(",")) if ports else PORTS
        return Announcer(host, int(udp_port), tcp_ports) if host else None
    except ValueError:
        return None


def start() -> None:
    """Do what the environment asks for."""
    thresholds, identity = os.environ.get("ITEST_GC_THRESHOLD"), os.environ.get("ITEST_IDENTITY")
    if thresholds:
        tune_collector(thresholds)
    if os.environ.get("VIRTUAL_CLOCK"):
        call("itest_clock", "start")
    for (variable, value), (module, change) in CHANGES.items():
        if os.environ.get(variable) == value:
            call(module, change)
    if os.environ.get("ITEST_PREIMPORT"):
        call("itest_early", "import_early", os.environ["ITEST_PREIMPORT"])
    for variable, change in PACES.items():
        if variable in os.environ:
            set_pace(change, os.environ[variable])
    made = announcer(identity) if identity else None
    if made is not None:
        sys.addaudithook(made.hook())


if __name__ == "sitecustomize":
    start()
