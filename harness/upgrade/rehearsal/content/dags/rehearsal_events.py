"""A DAG that waits for two assets, and the two that make them."""

from airflow.providers.common.compat.sdk import Asset, dag, task

from rehearsal_kit import START, say

FIRST, SECOND = Asset("s3://rehearsal/first"), Asset("s3://rehearsal/second")


@dag(dag_id="rehearsal_first", schedule=None, start_date=START)
def first():
    @task(outlets=[FIRST])
    def make(**context):
        say(context)

    make()


@dag(dag_id="rehearsal_second", schedule=None, start_date=START)
def second():
    @task(outlets=[SECOND])
    def make(**context):
        say(context)

    make()


@dag(dag_id="rehearsal_consumer", schedule=[FIRST, SECOND], start_date=START)
def consumer():
    @task
    def consume(**context):
        say(context)
        events = context.get("triggering_asset_events") or context.get("triggering_dataset_events") or {}
        return sorted(f"{getattr(asset, 'uri', asset)}: {len(made)}" for asset, made in events.items())

    consume()


first()
second()
consumer()
