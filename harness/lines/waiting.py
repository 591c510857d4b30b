"""The statement that tells what a stack is at work on or waits for, for `harness.due`, in each line's schema.

Both tell the same things by the same names; what a line does not have is NULL. In Airflow 2, runs are made when they
are due, people are asked nothing, the metadata database knows no deadlines, and a task's retry delay is always its
DAG's. So it is in Airflow 3.2, whose task instances have no column for it, and where people are asked by a trigger.
"""

from __future__ import annotations

from typing import LiteralString

AIRFLOW_3: LiteralString = """
SELECT json_build_object(
 'at', now(),
 'examined', (SELECT min(r.last_scheduling_decision) FROM dag_run r JOIN dag d USING (dag_id)
   WHERE NOT d.is_paused AND r.state = 'running'),
 'changed', (SELECT max(t.updated_at) FROM task_instance t JOIN dag_run r USING (dag_id, run_id)
   WHERE r.state = 'running' AND t.state IS DISTINCT FROM 'running'),
 'active', (SELECT json_agg(json_build_array(dag_id, run_id, task_id, map_index, state)) FROM task_instance
   WHERE state IN ('queued', 'scheduled', 'running', 'restarting')),
 'unexamined', (SELECT json_agg(json_build_array(r.dag_id, r.run_id)) FROM dag_run r JOIN dag d USING (dag_id)
   WHERE NOT d.is_paused AND (
     r.state = 'running' AND (r.last_scheduling_decision IS NULL OR r.last_scheduling_decision <= (
       SELECT max(t.updated_at) FROM task_instance t
       WHERE t.dag_id = r.dag_id AND t.run_id = r.run_id
         AND COALESCE(t.state, '') NOT IN ('queued', 'running', 'deferred', 'awaiting_input')))
     OR r.state = 'queued' AND r.run_after <= now()
       AND d.max_active_runs > (
         SELECT count(*) FROM dag_run o WHERE o.dag_id = r.dag_id AND o.state = 'running')
       AND NOT EXISTS (
         SELECT 1 FROM backfill b WHERE b.id = r.backfill_id AND b.max_active_runs <= (
           SELECT count(*) FROM dag_run o WHERE o.backfill_id = b.id AND o.state = 'running')))),
 'later', (SELECT json_agg(json_build_array(r.dag_id, r.run_id, r.run_after)) FROM dag_run r
   WHERE r.state = 'queued' AND r.run_after > now()),
 'deferred', (SELECT json_agg(json_build_array(
     t.dag_id, t.run_id, t.task_id, t.map_index, t.trigger_timeout, g.id, g.classpath, g.kwargs))
   FROM task_instance t JOIN trigger g ON g.id = t.trigger_id WHERE t.state = 'deferred'),
 'asked', (SELECT json_agg(json_build_array(dag_id, run_id, task_id, map_index, trigger_timeout)) FROM task_instance
   WHERE state = 'awaiting_input' AND trigger_timeout IS NOT NULL),
 'rescheduled', (SELECT json_agg(json_build_array(t.dag_id, t.run_id, t.task_id, t.map_index,
     (SELECT max(s.reschedule_date) FROM task_reschedule s WHERE s.ti_id = t.id)))
   FROM task_instance t WHERE t.state = 'up_for_reschedule'),
 'retrying', (SELECT json_agg(json_build_object(
     'key', json_build_array(t.dag_id, t.run_id, t.task_id, t.map_index), 'end', t.end_date,
     'try_number', t.try_number, 'logical_date', r.logical_date,
     'override', (row_to_json(t) ->> 'retry_delay_override')::float8,
     'dag', (SELECT s.data FROM serialized_dag s WHERE s.dag_version_id = t.dag_version_id)))
   FROM task_instance t JOIN dag_run r USING (dag_id, run_id) WHERE t.state = 'up_for_retry'),
 'schedules', (SELECT json_agg(json_build_array(dag_id, next_dagrun_create_after)) FROM dag
   WHERE NOT is_paused AND NOT is_stale AND NOT exceeds_max_non_backfill AND next_dagrun_create_after IS NOT NULL),
 'deadlines', (SELECT json_agg(json_build_array(deadline_time)) FROM deadline WHERE NOT missed)
)
"""

AIRFLOW_2: LiteralString = """
SELECT json_build_object(
 'at', now(),
 'examined', (SELECT min(r.last_scheduling_decision) FROM dag_run r JOIN dag d USING (dag_id)
   WHERE NOT d.is_paused AND r.state = 'running'),
 'changed', (SELECT max(t.updated_at) FROM task_instance t JOIN dag_run r USING (dag_id, run_id)
   WHERE r.state = 'running' AND t.state IS DISTINCT FROM 'running'),
 'active', (SELECT json_agg(json_build_array(dag_id, run_id, task_id, map_index, state)) FROM task_instance
   WHERE state IN ('queued', 'scheduled', 'running', 'restarting')),
 'unexamined', (SELECT json_agg(json_build_array(r.dag_id, r.run_id)) FROM dag_run r JOIN dag d USING (dag_id)
   WHERE NOT d.is_paused AND (
     r.state = 'running' AND (r.last_scheduling_decision IS NULL OR r.last_scheduling_decision <= (
       SELECT max(t.updated_at) FROM task_instance t
       WHERE t.dag_id = r.dag_id AND t.run_id = r.run_id
         AND COALESCE(t.state, '') NOT IN ('queued', 'running', 'deferred')))
     OR r.state = 'queued'
       AND d.max_active_runs > (
         SELECT count(*) FROM dag_run o WHERE o.dag_id = r.dag_id AND o.state = 'running'))),
 'later', NULL,
 'deferred', (SELECT json_agg(json_build_array(
     t.dag_id, t.run_id, t.task_id, t.map_index, t.trigger_timeout, g.id, g.classpath, g.kwargs))
   FROM task_instance t JOIN trigger g ON g.id = t.trigger_id WHERE t.state = 'deferred'),
 'asked', NULL,
 'rescheduled', (SELECT json_agg(json_build_array(t.dag_id, t.run_id, t.task_id, t.map_index,
     (SELECT max(s.reschedule_date) FROM task_reschedule s
       WHERE (s.dag_id, s.run_id, s.task_id, s.map_index) = (t.dag_id, t.run_id, t.task_id, t.map_index))))
   FROM task_instance t WHERE t.state = 'up_for_reschedule'),
 'retrying', (SELECT json_agg(json_build_object(
     'key', json_build_array(t.dag_id, t.run_id, t.task_id, t.map_index), 'end', t.end_date,
     'try_number', t.try_number, 'override', NULL, 'logical_date', r.execution_date,
     'dag', (SELECT s.data FROM serialized_dag s WHERE s.dag_id = t.dag_id)))
   FROM task_instance t JOIN dag_run r USING (dag_id, run_id) WHERE t.state = 'up_for_retry'),
 'schedules', (SELECT json_agg(json_build_array(dag_id, next_dagrun_create_after)) FROM dag
   WHERE NOT is_paused AND is_active AND next_dagrun_create_after IS NOT NULL),
 'deadlines', NULL
)
"""
