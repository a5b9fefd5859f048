"""The one error of the core: what was given can't describe a plant.

The core imports nothing of the product, so the boundary that calls it re-raises this as its domain error.
"""

from __future__ import annotations


class ModelError(ValueError):
    """Raised when the given values contradict each other or physics; says what, where, why and what to do."""
