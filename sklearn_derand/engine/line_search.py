"""A step that satisfies the weak Wolfe conditions, by bracketing and cubic interpolation.

Nocedal and Wright, Numerical Optimization (2006), section 3.5, for the conditions and the interpolation; the
bracketing is that of Lewis and Overton (2013). Near a minimum, where differences of values drown in rounding,
the decrease is read off the slope instead (approximate Wolfe, Hager and Zhang 2005).
"""

import numpy as np
import torch
from torch import Tensor

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.solver import Point

SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9
MAX_TRIALS = 40


def wolfe_step(derivatives: Derivatives, point: Point, direction: Tensor, length: float = 1.0) -> Point | None:
    """Return a lower point along a descent direction, or ``None`` where rounding leaves none.

    Parameters
    ----------
    derivatives : Derivatives
        The objective.
    point : Point
        The start.
    direction : Tensor
        With a negative slope at ``point``.
    length : float, default=1.0
        First multiple of ``direction`` tried.

    Returns
    -------
    Point or None
    """
    slope = torch.dot(point.gradient, direction).item()
    low, low_value, low_slope = 0.0, point.value, slope
    high, high_value, high_slope = np.inf, np.nan, np.nan
    best = None
    for _ in range(MAX_TRIALS):
        trial = Point.at(derivatives, point.params + length * direction)
        trial_slope = torch.dot(trial.gradient, direction).item()
        if not trial.finite or not _decreases(point, trial, length, slope, trial_slope):
            high, high_value, high_slope = length, trial.value, trial_slope
        else:
            if best is None or trial.value <= best.value:
                best = trial
            if trial_slope >= CURVATURE * slope:
                return trial
            low, low_value, low_slope = length, trial.value, trial_slope
        if np.isinf(high):
            length = 4.0 * length
            continue
        if high - low <= 1e-14 * high:
            break
        length = _interpolate(low, low_value, low_slope, high, high_value, high_slope)
    return best


def _decreases(point: Point, trial: Point, length: float, slope: float, trial_slope: float) -> bool:
    if trial.value <= point.value + SUFFICIENT_DECREASE * length * slope:
        return True
    flat = abs(length * slope) <= 1e3 * point.rounding
    return flat and trial.value <= point.value + point.rounding and trial_slope <= -0.8 * slope


def _interpolate(
    low: float, low_value: float, low_slope: float, high: float, high_value: float, high_slope: float
) -> float:
    """Return the minimiser of the cubic through both ends, kept a tenth of the bracket away from them."""
    width = high - low
    length = low + 0.5 * width
    if np.isfinite(high_value) and np.isfinite(high_slope):
        d1 = low_slope + high_slope - 3 * (high_value - low_value) / width
        # A power of Python floats raises where it overflows; a product does not.
        radicand = d1 * d1 - low_slope * high_slope
        if 0 <= radicand < np.inf:
            d2 = np.sqrt(radicand)
            denominator = high_slope - low_slope + 2 * d2
            if denominator != 0:
                length = high - width * (high_slope + d2 - d1) / denominator
    return float(np.clip(length, low + 0.1 * width, high - 0.1 * width))
