"""The errors that callers tell apart. Their messages are one line and hold no secret."""


class SettingsError(Exception):
    """A setting is missing or unusable; the message names its environment variable."""


class SyncError(Exception):
    """A sync could not be completed; what was published before is still served."""


class ContentError(SyncError):
    """The revision cannot be published as it is; only another revision (or setting) helps."""


class GitError(SyncError):
    """A git command failed."""
