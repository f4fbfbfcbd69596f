"""Real and healthy synthetic sets of the small world."""

import pytest

from collapse_support import people


@pytest.fixture(scope="session")
def real():
    return people(500, 1)


@pytest.fixture(scope="session")
def healthy():
    return people(200, 2, "synthetic")
