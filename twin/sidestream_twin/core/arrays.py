"""The array types that the core computes with: double precision, because a year of seconds loses kilograms in less."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from sidestream_twin.core.errors import ModelError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
FloatLike = float | Sequence[float] | FloatArray


def finite(value: float) -> float | None:
    """Return the number, or None for what arrays tell by NaN or infinity: not known, or without bound."""
    return float(value) if isfinite(value) else None


def as_floats(values: FloatLike, like: FloatArray | None = None) -> FloatArray:
    """Return a float64 array of one dimension, spread over the shape of ``like`` where that is given.

    Raises ModelError when the sizes can't be brought together.
    """
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if like is None:
        return array
    if array.shape not in {(1,), like.shape}:
        msg = f"{array.size} values were given for {like.size} samples; give one for all or one for each"
        raise ModelError(msg)
    return np.broadcast_to(array, like.shape)


def checked_bounds(bounds_s: FloatLike) -> FloatArray:
    """Return the step bounds as an array that is finite and strictly increasing, or raise ModelError.

    n + 1 bounds make n half-open steps [from, to); they need not be of one length (a day may have 23 or 25 hours).
    """
    bounds = as_floats(bounds_s)
    if bounds.size < 2 or not np.isfinite(bounds).all() or not (np.diff(bounds) > 0).all():
        raise ModelError("step bounds must be at least two finite instants in rising order; sort them, drop repeats")
    return bounds
