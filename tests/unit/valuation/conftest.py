"""The shipped model and policy, and machines to value."""

import pytest

from services.valuation.appraisal import Valuer
from tests.unit.valuation.machines import read_valuer


@pytest.fixture(scope="session")
def valuer() -> Valuer:
    """Return the shipped champion with the present policy."""
    return read_valuer()
