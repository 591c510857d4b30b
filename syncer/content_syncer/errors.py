"""The errors that callers tell apart. Their messages are one line and hold no secret."""


class SettingsError(Exception):
    """A setting is missing or unusable; the message names its environment variable."""


class SyncError(Exception):
    """A sync could not be completed; what was published before is still served.

    `reason` is one word for metrics and the status: one of `REASONS`.
    """

    reason = "internal"


class ContentError(SyncError):
    """The revision cannot be published as it is; only another revision (or setting) helps."""

    reason = "content"


class MissingError(ContentError):
    """The origin has no such branch, tag or revision."""

    reason = "missing"


class SignatureError(ContentError):
    """The commit is not signed by one of the allowed signers."""

    reason = "signature"


class GateError(ContentError):
    """The revision breaks the import of DAG files; `errors` maps each such file to what was raised."""

    reason = "gate"

    def __init__(self, message: str, revision: str, errors: dict[str, str]) -> None:
        super().__init__(message)
        self.revision = revision
        self.errors = errors


class GitError(SyncError):
    """A git command failed, mostly because the origin did."""

    reason = "git"


class SlowError(GitError):
    """A git command took longer than it may."""

    reason = "timeout"


class CredentialsError(GitError):
    """The credentials cannot be had: the file is not readable, or the service that hands them out is away."""

    reason = "credentials"


VOLUME = "volume"
REASONS = ("content", "missing", "signature", "gate", "git", "timeout", "credentials", VOLUME, "internal")
"""What a sync fails for; `volume` is a full, read-only or missing disk, `internal` a fault of the syncer."""


def reason_of(failure: Exception) -> str:
    """Return the one of `REASONS` for whatever ended a sync."""
    if isinstance(failure, SyncError):
        return failure.reason
    return VOLUME if isinstance(failure, OSError) else SyncError.reason
