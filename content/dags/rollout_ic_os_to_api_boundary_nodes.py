"""Rolls a GuestOS version out to mainnet's API boundary nodes, wave after wave."""

from airflow.providers.common.compat.sdk import DAG

from workflows.params import COMMON, calendar, optional_text, revision
from workflows.steps import RETRIES, wave_tasks

PARAMS = {
    "version": revision("Version", "The GuestOS version to roll out: 40 hexadecimal digits."),
    "nodes": optional_text(
        "Nodes", "Only these, separated by commas. Leave empty for all.", format="multiline"
    ),
    **calendar(hours="7:00-16:00", interval_hours=1, sizes="1, 25%", tolerance="0"),
    **COMMON,
}

with DAG(
    dag_id="rollout_ic_os_to_api_boundary_nodes",
    description=__doc__,
    schedule=None,
    catchup=False,
    tags=["rollout", "mainnet"],
    default_args=RETRIES,
) as dag:
    wave_tasks(kind="api_boundary_nodes")

# Only now: Airflow copies the params that a DAG has into each task that is added to it.
dag.params.update(PARAMS)

if __name__ == "__main__":
    dag.test()
