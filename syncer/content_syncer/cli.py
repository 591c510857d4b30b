"""The command line: `content-syncer run | once | status | healthcheck`."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NoReturn

from content_syncer import control, log
from content_syncer.errors import SettingsError, SyncError
from content_syncer.files import Volume, read_json
from content_syncer.publish import Publisher
from content_syncer.service import Service
from content_syncer.settings import (
    ALL,
    INTERVAL,
    LISTEN,
    READY_LIMIT,
    TARGET,
    Setting,
    read_ready_limit,
    read_settings,
    read_target,
)
from content_syncer.status import is_ready

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 64  # EX_USAGE of sysexits.h

_READY = (TARGET, INTERVAL, READY_LIMIT)
_COMMANDS = {
    "run": ("sync now and then every interval, until SIGTERM (the sidecar)", ALL),
    "once": ("sync, and exit 0 when there is something to serve (the init container)", ALL),
    "status": ("print the status file", (TARGET,)),
    "healthcheck": ("exit 0 when a revision is served", (TARGET,)),
    "readycheck": ("exit 0 when a revision is served and the last success is recent", _READY),
    "sync": ("make the sidecar of this container sync now", (TARGET,)),
    "hold": ("pin the volume to what it serves, or to REVISION (a commit id, tag or branch)", (TARGET,)),
    "release": ("let the volume follow its branch again", (TARGET,)),
}
_EXAMPLES = """\
examples:
  CONTENT_SYNCER_GIT_REPO_SOURCE=https://git.example.org/airflow.git content-syncer run
  content-syncer once --git-repo-branch release --once-timeout 30
  content-syncer status --target /opt/airflow/content
  kill -USR1 <pid>      sync now instead of at the next interval

Each flag has an environment variable (shown by `content-syncer run --help`); a flag wins.
Exit codes: 0 well, 1 failed, 64 a setting is missing or wrong, 128+n `once` was ended by signal n.
"""


class _Ended(BaseException):
    """SIGTERM or SIGINT arrived. No Exception, so that no handler of errors keeps the process alive."""

    def __init__(self, number: int) -> None:
        self.number = number


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments` (default: the process's) and return its exit code."""
    # Blocked, not handled: it stays pending during a sync, and never kills a command that has no use for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    os.umask(0o002)
    command = ""
    try:
        options = _parser().parse_args(arguments)
        command = options.command
        flags = {setting.variable: getattr(options, setting.variable, None) for setting in ALL}
        given = {variable: value for variable, value in flags.items() if value is not None}
        return _dispatch(command, {**os.environ, **given}, getattr(options, "revision", control.HERE))
    except SettingsError as error:
        log.error("cannot start", error=error)
        return EXIT_USAGE
    except _Ended as ended:
        log.info("stopped", signal=signal.Signals(ended.number).name)
        return 128 + ended.number if command == "once" else EXIT_OK


def _dispatch(command: str, values: Mapping[str, str], revision: str) -> int:
    if command == "status":
        return _show_status(Volume(read_target(values)))
    if command == "healthcheck":
        return _check_health(Volume(read_target(values)))
    if command == "readycheck":
        return _check_readiness(Volume(read_target(values)), read_ready_limit(values))
    if command in ("sync", "hold", "release"):
        return _control(command, Volume(read_target(values)), revision)
    with contextlib.closing(Service(read_settings(values), os.environ)) as service:
        if command == "once":
            return service.once()
        try:
            service.run()
        except OSError as error:
            log.error("cannot listen", address=values.get(LISTEN.variable), error=error)
            return EXIT_FAILED
    return EXIT_OK


def _show_status(volume: Volume) -> int:
    try:
        sys.stdout.write(volume.status.read_text(encoding="utf-8"))
    except OSError as error:
        log.error("no status", error=error)
        return EXIT_FAILED
    return EXIT_OK


def _check_health(volume: Volume) -> int:
    if Publisher(volume).serves():
        return EXIT_OK
    log.error("no revision is served", target=volume.target)
    return EXIT_FAILED


def _check_readiness(volume: Volume, limit: float) -> int:
    fields = read_json(volume.status) or {}
    if Publisher(volume).serves() and is_ready(fields, limit):
        return EXIT_OK
    log.error(
        "not ready", revision=fields.get("revision"), last_success=fields.get("last_success"), limit=limit
    )
    return EXIT_FAILED


def _control(command: str, volume: Volume, revision: str) -> int:
    try:
        if command == "hold":
            control.hold(volume, revision)
        elif command == "release":
            control.release(volume)
    except (SyncError, OSError) as error:
        log.error(f"cannot {command}", error=error)
        return EXIT_USAGE if isinstance(error, SyncError) else EXIT_FAILED
    if control.wake(volume):
        return EXIT_OK
    if command == "sync":
        log.error("no sidecar runs in this container", target=volume.target)
        return EXIT_FAILED
    log.warning("no sidecar runs in this container: it takes effect with the next sync")
    return EXIT_OK


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise _Ended(number)


def _parser() -> _Parser:
    parser = _Parser(
        prog="content-syncer",
        description="Keep an Airflow pod's content directory equal to a branch of a git repository.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (text, settings) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        for setting in settings:
            command.add_argument(setting.flag, dest=setting.variable, metavar="…", help=_help(setting))
        if name == "hold":
            command.add_argument("revision", metavar="REVISION", nargs="?", default=control.HERE)
    return parser


def _help(setting: Setting) -> str:
    default = f" (default {setting.default})" if setting.default else ""
    return f"{setting.help} [{setting.variable}]{default}".replace("%", "%%")
