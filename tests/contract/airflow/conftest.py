"""Airflow's own hooks against the mocks, inside the Airflow image: `airflow-image/tests/test_mocks.py` runs these."""

from collections.abc import Iterator

import pytest

from harness.mocks.readers import MocksControl

CHANNEL = "ic-os-rollout"
CONTROL = "http://mocks:8099"


@pytest.fixture
def mocks() -> Iterator[MocksControl]:
    with MocksControl(CONTROL) as control:
        control.reset()
        yield control
