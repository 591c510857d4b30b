"""Rolls a HostOS version out to mainnet's hosts, wave after wave; none takes more of a subnet than it can spare."""

from airflow.providers.common.compat.sdk import DAG

from workflows.params import COMMON, calendar, optional_text, revision
from workflows.steps import RETRIES, wave_tasks

PARAMS = {
    "version": revision("Version", "The HostOS version to roll out: 40 hexadecimal digits."),
    "nodes": optional_text(
        "Nodes", "Only these, separated by commas. Leave empty for all.", format="multiline"
    ),
    **calendar(hours="7:00-16:00", interval_hours=24, sizes="1, 5%, 20%", tolerance="5%"),
    **COMMON,
}

with DAG(
    dag_id="rollout_ic_os_to_hosts",
    description=__doc__,
    schedule=None,
    catchup=False,
    tags=["rollout", "mainnet"],
    default_args=RETRIES,
) as dag:
    wave_tasks(kind="hosts")

# Only now: Airflow copies the params that a DAG has into each task that is added to it.
dag.params.update(PARAMS)

if __name__ == "__main__":
    dag.test()
