"""Production host names and the fake that answers for each: the one table.

The topology takes the mocks pod's network aliases from `aliases()`, the certificate its names from
`certificate_names()`, and the gateway dispatches by `service_of()`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Service(StrEnum):
    """A fake's name as it stands in the journal."""

    SLACK = "slack"
    SLACK_HOOKS = "slack_hooks"
    SLACK_FILES = "slack_files"
    GOOGLE_IAM = "google_iam"
    GOOGLE_OAUTH = "google_oauth"
    GOOGLE_SHEETS = "google_sheets"
    GOOGLE_DRIVE = "google_drive"
    IC_REGISTRY = "ic_registry"
    IC_PROPOSALS = "ic_proposals"
    IC_NNS = "ic_nns"
    PROMETHEUS = "prometheus"
    S3 = "s3"


S3_HOST = "rook-ceph-rgw-ceph-store.rook-ceph.svc.cluster.local"
LOG_BUCKET = "airflow-logs"
BUCKETS: tuple[str, ...] = (LOG_BUCKET,)

HOSTS: Mapping[str, Service] = MappingProxyType(
    {
        "slack.com": Service.SLACK,
        "www.slack.com": Service.SLACK,
        "hooks.slack.com": Service.SLACK_HOOKS,
        "files.slack.com": Service.SLACK_FILES,
        "iamcredentials.googleapis.com": Service.GOOGLE_IAM,
        "oauth2.googleapis.com": Service.GOOGLE_OAUTH,
        "sheets.googleapis.com": Service.GOOGLE_SHEETS,
        "www.googleapis.com": Service.GOOGLE_DRIVE,
        "dashboard.mainnet.dfinity.network": Service.IC_REGISTRY,
        "ic-api.internetcomputer.org": Service.IC_PROPOSALS,
        "ic0.app": Service.IC_NNS,
        "victoria.mainnet.dfinity.network": Service.PROMETHEUS,
        S3_HOST: Service.S3,
    }
)


def aliases() -> tuple[str, ...]:
    """Every name that must resolve to the mocks pod inside the stack: the hosts, and one name a bucket."""
    return (*HOSTS, *(f"{bucket}.{S3_HOST}" for bucket in BUCKETS))


def certificate_names() -> tuple[str, ...]:
    """Every name that the server certificate covers; buckets by wildcard."""
    return (*HOSTS, f"*.{S3_HOST}")


def service_of(host: str) -> Service | None:
    """The fake that answers for `host` (lower case, no port), or None when nobody mocks it."""
    if host.endswith(f".{S3_HOST}"):
        return Service.S3
    return HOSTS.get(host)
