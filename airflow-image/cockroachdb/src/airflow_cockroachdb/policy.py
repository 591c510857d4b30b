"""The module that the ``airflow.policy`` entry point names: importing it installs the fixes.

Airflow's ``settings.initialize()`` imports it in every process, after the connection string is known and
before the engine is made. It defines no policy. With any other database it does nothing at all. Nobody
else imports it: imported ahead of Airflow it would be half-made when Airflow asks for it.
"""

from __future__ import annotations

from airflow import settings
from airflow.version import version

from airflow_cockroachdb.install import install_if_needed

install_if_needed(settings.SQL_ALCHEMY_CONN, version)
