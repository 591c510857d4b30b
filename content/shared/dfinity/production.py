"""The one place that names the systems, credentials and conventions that rollouts use."""

from typing import Final

REGISTRY_SUBNETS_URL: Final = "https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
REGISTRY_NODES_URL: Final = "https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/nodes"
PROPOSALS_URL: Final = "https://ic-api.internetcomputer.org/api/v3/proposals"
PROMETHEUS_QUERY_URL: Final = "https://victoria.mainnet.dfinity.network/select/0/prometheus/api/v1/query"
NNS_URL: Final = "https://ic0.app"
PROPOSAL_PAGE_URL: Final = "https://dashboard.internetcomputer.org/proposal"
RELEASE_PAGE_URL: Final = "https://dashboard.internetcomputer.org/release"

PROPOSER_NEURON_ID: Final = "80"
PROPOSER_KEY_VARIABLE: Final = "dfinity.ic_admin.mainnet.proposer_key_file"

SLACK_CONNECTION_ID: Final = "slack.ic_os_rollout"
SLACK_CHANNEL: Final = "#ic-os-rollout"
GOOGLE_CONNECTION_ID: Final = "google_cloud_default"

MAX_BATCHES: Final = 30
MAX_WAVES: Final = 12
