"""The settings: one table that environment variables, flags, help and the contract's table share."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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
ALL = (SOURCE, BRANCH, SUBPATH, INTERVAL, TARGET, CACHE, GIT_TIMEOUT, ONCE_TIMEOUT, RETENTION)

# What git itself refuses in a branch name, and a leading dash, which could be taken for an option.
_BAD_BRANCH = re.compile(r"^[-/.]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|\.$|\.lock$")


@dataclass(frozen=True)
class Settings:
    """Checked settings; times are in seconds."""

    source: Source
    branch: str
    subpath: str
    interval: float
    target: Path
    cache: Path
    git_timeout: float
    once_timeout: float
    retention: float


def read_settings(values: Mapping[str, str]) -> Settings:
    """Check `values` (variable name to text; empty counts as unset). Raises SettingsError on the first fault."""
    if not values.get(SOURCE.variable):
        raise SettingsError(f"{SOURCE.variable} is not set: name the git repository to sync from")
    interval = _seconds(values, INTERVAL)
    return Settings(
        source=parse_source(values[SOURCE.variable]),
        branch=_branch(values),
        subpath=_subpath(values),
        interval=interval,
        target=read_target(values),
        cache=_directory(values, CACHE),
        git_timeout=_seconds(values, GIT_TIMEOUT),
        once_timeout=_seconds(values, ONCE_TIMEOUT),
        retention=_seconds(values, RETENTION) if values.get(RETENTION.variable) else interval,
    )


def read_target(values: Mapping[str, str]) -> Path:
    """Return the directory to publish in; raises SettingsError where it is not absolute."""
    return _directory(values, TARGET)


def _text(values: Mapping[str, str], setting: Setting) -> str:
    return values.get(setting.variable) or setting.default or ""


def _seconds(values: Mapping[str, str], setting: Setting) -> float:
    text = _text(values, setting)
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
    if _BAD_BRANCH.search(branch):
        raise SettingsError(f"{BRANCH.variable} cannot be a branch: {branch!r}")
    return branch


def _subpath(values: Mapping[str, str]) -> str:
    text = _text(values, SUBPATH)
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise SettingsError(f"{SUBPATH.variable} must be a path inside the repository, not {text!r}")
    return str(path)
