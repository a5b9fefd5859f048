"""A hub's database with everything the twin computes, for the tests of updating it."""

from __future__ import annotations

import pytest
from twin_lab import Lab, whole_hub


@pytest.fixture
def laboratory(database, tmp_path):
    """Makes the lab of a test, of the whole test hub or another one."""
    made = []

    def make(hub=None, **options) -> Lab:
        made.append(Lab(database, tmp_path, hub or whole_hub(), **options))
        return made[-1]

    yield make
    for lab in made:
        lab.connection.close()


@pytest.fixture
def lab(laboratory):
    """The whole test hub, empty."""
    return laboratory()
