"""Rolls a GuestOS version out to the nodes that are in no subnet of mainnet: all at once, as the NNS does it."""

from airflow.providers.common.compat.sdk import DAG

from workflows.params import COMMON, revision, tolerance_of, window
from workflows.steps import RETRIES, wave_tasks

PARAMS = {
    "version": revision("Version", "The GuestOS version to roll out: 40 hexadecimal digits."),
    **window(hours="7:00-16:00"),
    "tolerance": tolerance_of("10%"),
    **COMMON,
}

with DAG(
    dag_id="rollout_ic_os_to_unassigned_nodes",
    description=__doc__,
    schedule=None,
    catchup=False,
    params=PARAMS,
    tags=["rollout", "mainnet"],
    default_args=RETRIES,
) as dag:
    wave_tasks(kind="unassigned_nodes", waves=1)

if __name__ == "__main__":
    dag.test()
