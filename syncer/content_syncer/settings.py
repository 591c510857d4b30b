"""The settings: one table that environment variables, flags, help and the contract's table share."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from content_syncer.access import Access
from content_syncer.errors import SettingsError
from content_syncer.source import Source, parse_source


@dataclass(frozen=True)
class Setting:
    """One setting: its environment variable, its default (None: required) and one line of help."""

    variable: str
    default: str | None
    help: str

    @property
    def flag(self) -> str:
        """The flag of the same meaning: CONTENT_SYNCER_GIT_TIMEOUT is --git-timeout."""
        return "--" + self.variable.removeprefix("CONTENT_SYNCER_").lower().replace("_", "-")


SOURCE = Setting("CONTENT_SYNCER_GIT_REPO_SOURCE", None, "the repository; give a token here, never as a flag")
BRANCH = Setting("CONTENT_SYNCER_GIT_REPO_BRANCH", "main", "branch, tag or full commit id to publish")
SUBPATH = Setting("CONTENT_SYNCER_GIT_REPO_SUBPATH", "content", "folder with the content; . is the root")
INTERVAL = Setting("CONTENT_SYNCER_INTERVAL", "300", "seconds between two syncs")
TARGET = Setting("CONTENT_SYNCER_TARGET", "/opt/airflow/content", "directory to publish in")
CACHE = Setting("CONTENT_SYNCER_CACHE", "/var/cache/content-syncer", "private directory for git's objects")
GIT_TIMEOUT = Setting("CONTENT_SYNCER_GIT_TIMEOUT", "60", "seconds that one git command may take")
ONCE_TIMEOUT = Setting("CONTENT_SYNCER_ONCE_TIMEOUT", "120", "seconds until `once` gives up")
RETENTION = Setting("CONTENT_SYNCER_RETENTION", "", "seconds that a replaced tree stays; empty: the interval")
MAX_BACK_OFF = Setting("CONTENT_SYNCER_MAX_BACK_OFF", "", "longest wait after failures; empty: the interval")
VERIFY_INTERVAL = Setting(
    "CONTENT_SYNCER_VERIFY_INTERVAL", "3600", "seconds between two comparisons of every served byte with git"
)
READY_LIMIT = Setting(
    "CONTENT_SYNCER_READY_LIMIT",
    "",
    "age of the last success at which a pod is not ready; empty: 3 intervals",
)
TOKEN_FILE = Setting(
    "CONTENT_SYNCER_GIT_TOKEN_FILE", "", "file with the token or password, reread at each request"
)
USER = Setting("CONTENT_SYNCER_GIT_USER", "git", "user name that goes with the token file")
ASKPASS_URL = Setting(
    "CONTENT_SYNCER_ASKPASS_URL", "", "service that answers username=… and password=… lines"
)
SSH_KEY = Setting("CONTENT_SYNCER_SSH_KEY_FILE", "", "private key for ssh, reread at each request")
KNOWN_HOSTS = Setting("CONTENT_SYNCER_SSH_KNOWN_HOSTS_FILE", "", "host keys that ssh trusts, and no others")
SIGNERS = Setting(
    "CONTENT_SYNCER_ALLOWED_SIGNERS_FILE", "", "publish only commits that one of these has signed"
)
ALLOW = Setting("CONTENT_SYNCER_ALLOW", "", "comma-separated: filters, links, submodules")
LISTEN = Setting("CONTENT_SYNCER_HTTP_LISTEN", "", "address:port for probes, metrics and control; empty: off")
HTTP_TOKEN = Setting("CONTENT_SYNCER_HTTP_TOKEN_FILE", "", "file with the token that POST requests need")
GATE_PYTHON = Setting(
    "CONTENT_SYNCER_GATE_PYTHON", "", "Python to import DAGs with before publishing; empty: off"
)
GATE_TIMEOUT = Setting("CONTENT_SYNCER_GATE_TIMEOUT", "300", "seconds that the import of all DAGs may take")
ALL = (
    SOURCE, BRANCH, SUBPATH, INTERVAL, TARGET, CACHE, GIT_TIMEOUT, ONCE_TIMEOUT, RETENTION, MAX_BACK_OFF,
    VERIFY_INTERVAL, READY_LIMIT, TOKEN_FILE, USER, ASKPASS_URL, SSH_KEY, KNOWN_HOSTS, SIGNERS, ALLOW, LISTEN,
    HTTP_TOKEN, GATE_PYTHON, GATE_TIMEOUT,
)  # fmt: skip

LOOPBACK = "127.0.0.1"
ALLOWABLE = frozenset({"filters", "links", "submodules"})
"""What may be allowed. Allowed is never executed or followed: it is published as git has it, or left out."""

# What git itself refuses in a branch name, and a leading dash, which could be taken for an option.
_BAD_BRANCH = re.compile(r"^[-/.]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|\.$|\.lock$")


@dataclass(frozen=True)
class Settings:
    """Checked settings; times are in seconds."""

    access: Access
    branch: str
    subpath: str
    interval: float
    target: Path
    cache: Path
    git_timeout: float
    once_timeout: float
    retention: float
    max_back_off: float
    verify_interval: float
    ready_limit: float
    allowed_signers: Path | None
    allow: frozenset[str]
    listen: tuple[str, int] | None
    http_token_file: Path | None
    gate_python: str
    gate_timeout: float

    @property
    def source(self) -> Source:
        """The repository, as its address has it."""
        return self.access.source


def read_settings(values: Mapping[str, str]) -> Settings:
    """Check `values` (variable name to text; empty counts as unset). Raises SettingsError on the first fault."""
    if not values.get(SOURCE.variable):
        raise SettingsError(f"{SOURCE.variable} is not set: name the git repository to sync from")
    interval = _seconds(values, INTERVAL)
    return Settings(
        access=_access(values),
        branch=_branch(values),
        subpath=_subpath(values),
        interval=interval,
        target=read_target(values),
        cache=_directory(values, CACHE),
        git_timeout=_seconds(values, GIT_TIMEOUT),
        once_timeout=_seconds(values, ONCE_TIMEOUT),
        retention=_seconds(values, RETENTION, interval),
        max_back_off=_seconds(values, MAX_BACK_OFF, interval),
        verify_interval=_seconds(values, VERIFY_INTERVAL),
        ready_limit=read_ready_limit(values),
        allowed_signers=_file(values, SIGNERS),
        allow=_allowed(values),
        listen=_address(values),
        http_token_file=_file(values, HTTP_TOKEN),
        gate_python=_text(values, GATE_PYTHON),
        gate_timeout=_seconds(values, GATE_TIMEOUT),
    )


def read_target(values: Mapping[str, str]) -> Path:
    """Return the directory to publish in; raises SettingsError where it is not absolute."""
    return _directory(values, TARGET)


def read_ready_limit(values: Mapping[str, str]) -> float:
    """Return the age in seconds at which the last success no longer counts; raises SettingsError."""
    return _seconds(values, READY_LIMIT, 3 * _seconds(values, INTERVAL))


def check_branch(branch: str) -> bool:
    """Tell whether git takes the text for a branch, tag or commit id."""
    return bool(branch) and not _BAD_BRANCH.search(branch)


def _access(values: Mapping[str, str]) -> Access:
    source = parse_source(values[SOURCE.variable])
    token_file, askpass = _file(values, TOKEN_FILE), _text(values, ASKPASS_URL)
    if sum(map(bool, (token_file, askpass, source.password is not None))) > 1:
        raise SettingsError(
            f"more than one login: use one of {TOKEN_FILE.variable}, {ASKPASS_URL.variable} and a login in the address"
        )
    if (token_file or askpass) and not source.url.startswith(("http://", "https://")):
        setting = TOKEN_FILE if token_file else ASKPASS_URL
        raise SettingsError(f"{setting.variable} is for https:// and http:// only, which the source is not")
    if askpass and not askpass.startswith(("http://", "https://")):
        raise SettingsError(f"{ASKPASS_URL.variable} must start with https:// or http://")
    user = _text(values, USER)
    return Access(source, user, token_file, askpass, _file(values, SSH_KEY), _file(values, KNOWN_HOSTS))


def _allowed(values: Mapping[str, str]) -> frozenset[str]:
    words = frozenset(word.strip() for word in _text(values, ALLOW).split(",") if word.strip())
    if words - ALLOWABLE:
        raise SettingsError(
            f"{ALLOW.variable} takes {', '.join(sorted(ALLOWABLE))}, not {min(words - ALLOWABLE)!r}"
        )
    return words


def _address(values: Mapping[str, str]) -> tuple[str, int] | None:
    text = _text(values, LISTEN)
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise SettingsError(f"{LISTEN.variable} must look like 127.0.0.1:9100 or :9100, not {text!r}")
    return host.strip("[]") or LOOPBACK, int(port)


def _file(values: Mapping[str, str], setting: Setting) -> Path | None:
    return _directory(values, setting) if values.get(setting.variable) else None


def _text(values: Mapping[str, str], setting: Setting) -> str:
    return values.get(setting.variable) or setting.default or ""


def _seconds(values: Mapping[str, str], setting: Setting, default: float | None = None) -> float:
    text = _text(values, setting)
    if not text and default is not None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise SettingsError(f"{setting.variable} must be a number of seconds above 0, not {text!r}")
    return seconds


def _directory(values: Mapping[str, str], setting: Setting) -> Path:
    path = Path(_text(values, setting))
    if not path.is_absolute():
        raise SettingsError(f"{setting.variable} must be an absolute path, not {str(path)!r}")
    return path


def _branch(values: Mapping[str, str]) -> str:
    branch = _text(values, BRANCH)
    if not check_branch(branch):
        raise SettingsError(f"{BRANCH.variable} cannot be a branch: {branch!r}")
    return branch


def _subpath(values: Mapping[str, str]) -> str:
    text = _text(values, SUBPATH)
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise SettingsError(f"{SUBPATH.variable} must be a path inside the repository, not {text!r}")
    return str(path)
