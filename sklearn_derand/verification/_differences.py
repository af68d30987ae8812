"""Gradients and Hessians by finite differences of values alone: slow, and without a derivative to get wrong."""

import numpy as np

STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Steps tried for a slope: steep objectives need the short ones, rounding the long ones."""

HESSIAN_STEPS = (1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
"""Tried in turn until two agree: an exponent of 1e8 wants the last."""


def gradient(value, params: np.ndarray) -> np.ndarray:
    """Differentiate by central differences of fourth order, at the steps where successive ones agree best."""
    out = np.empty_like(params)
    # At short steps two slopes may be the same, both rounded to 0.
    rounding = np.finfo(float).eps * abs(value(params)) / np.array(STEPS[1:])
    for i in range(params.size):
        unit = max(1.0, abs(params[i]))
        slopes = np.array([_slope(value, params, i, unit * step) for step in STEPS])
        changes = np.abs(np.diff(slopes)) + rounding / unit
        out[i] = slopes[1 + int(np.argmin(changes))]
    return out


def _slope(value, params, i, step):
    near, far = (value(_moved(params, i, length)) - value(_moved(params, i, -length)) for length in (step, 2 * step))
    return (8 * near - far) / (12 * step)


def hessian(slopes, params: np.ndarray) -> np.ndarray:
    """Differentiate a gradient by central differences of fourth order, at the steps where successive ones agree."""
    best, least, previous = np.empty((0, 0)), np.inf, None
    for step in HESSIAN_STEPS:
        matrix = np.array([_slope(slopes, params, i, step * max(1.0, abs(params[i]))) for i in range(params.size)])
        if previous is not None:
            change = np.abs(matrix - previous).max()
            if change < least:
                best, least = (matrix + matrix.T) / 2, change
            if change <= 1e-7 * np.abs(matrix).max():
                break
        previous = matrix
    return best


def _moved(params, i, length):
    moved = params.copy()
    moved[i] += length
    return moved
