"""``crdb-upgrade``: a metadata database on CockroachDB from one Airflow version to the image's.

Airflow's migration files do what CockroachDB refuses (see the README). So the rows go by way of a scratch
PostgreSQL: copied into the old version's schema there, migrated there by stock Airflow, and copied into a schema
that the new version has made fresh on CockroachDB. Counts and checksums of every table are compared on the way.
"""
