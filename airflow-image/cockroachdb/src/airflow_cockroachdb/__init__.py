"""Lets Apache Airflow keep its metadata in CockroachDB.

Airflow asks its database's dialect for its name in some places and knows three answers. This package
patches those places when, and only when, the metadata database is reached through ``cockroachdb://``.
Each patch is a :class:`~airflow_cockroachdb.fix.Fix` of its own, in :mod:`airflow_cockroachdb.fixes`.
"""
