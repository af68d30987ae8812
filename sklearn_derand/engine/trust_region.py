"""Newton steps inside a trust region, by truncated conjugate gradients.

Steihaug (1983); Nocedal and Wright (2006), algorithms 4.1 and 7.2 with their constants. Negative curvature met on the
way is followed to the boundary.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.solution import Status
from sklearn_derand.engine.solver import CurvatureEscape, Point, Record
from sklearn_derand.engine.tensors import norm


class TrustRegion(CurvatureEscape):
    """Trust-region Newton-CG.

    Parameters
    ----------
    initial_radius : float, default=1.0
        First radius, times ``||params|| / 10`` where that is more than one.
    max_inner : int, default=250
        Most Hessian-vector products of one step.
    """

    def __init__(self, initial_radius: float = 1.0, max_inner: int = 250):
        self.initial_radius = initial_radius
        self.max_inner = max_inner

    def descend(self, derivatives: Derivatives, point: Point, *, tol: float, progress: Record) -> Point:
        """Go down until ``||gradient|| <= tol``."""
        radius = self.initial_radius * max(1.0, 0.1 * norm(point.params))
        product = None
        while point.status is None and point.gradient_norm > tol:
            product = product or derivatives.hessian_product(point.params)
            step, predicted = self._model_step(product, point, radius, tol)
            length = norm(step)
            params = point.params + step
            value, gradient, next_product = derivatives.all_orders(params)
            trial = Point(params, value, gradient)
            ratio = self._ratio(point, trial, predicted)
            if ratio < 0.25 or not trial.finite:
                radius = 0.25 * length
            elif ratio > 0.75 and length > 0.99 * radius:
                radius = 2 * radius
            if ratio > 1e-4:
                point, product = trial, next_product
                point.status = progress.accept(point)
            elif radius < 1e-14 * max(1.0, point.params.norm().item()):
                return point.ended(Status.STALLED)
        return point

    @staticmethod
    def _ratio(point: Point, trial: Point, predicted: float) -> float:
        """Return actual over predicted decrease; where both are rounding, a smaller gradient counts as agreement."""
        if not trial.finite:
            return -np.inf
        actual = point.value - trial.value
        if predicted <= 10 * point.rounding and actual >= -point.rounding:
            return 1.0 if trial.gradient_norm < point.gradient_norm else 0.0
        return actual / predicted if predicted > 0 else -np.inf

    def _model_step(
        self, product: Callable[[Tensor], Tensor], point: Point, radius: float, tol: float
    ) -> tuple[Tensor, float]:
        """Minimise ``g.s + s'Hs/2`` over ``||s|| <= radius``; return the step and the decrease it predicts."""
        gradient = point.gradient
        target = max(min(0.5, np.sqrt(point.gradient_norm)) * point.gradient_norm, 0.3 * tol)
        step, curved = torch.zeros_like(gradient), torch.zeros_like(gradient)
        residual, direction = gradient, -gradient
        squared = point.gradient_norm**2
        for _ in range(self.max_inner):
            image = product(direction)
            curvature = torch.dot(direction, image).item()
            if curvature > 0:
                length = squared / curvature
                following = step + length * direction
            if curvature <= 0 or norm(following) >= radius:
                length = _to_boundary(step, direction, radius)
                step, curved = step + length * direction, curved + length * image
                break
            step, curved = following, curved + length * image
            residual = residual + length * image
            before, squared = squared, torch.dot(residual, residual).item()
            if np.sqrt(squared) <= target:
                break
            direction = -residual + (squared / before) * direction
        predicted = -(torch.dot(gradient, step) + 0.5 * torch.dot(step, curved)).item()
        return step, predicted


def _to_boundary(step: Tensor, direction: Tensor, radius: float) -> float:
    """Return ``t >= 0`` with ``||step + t direction|| = radius``."""
    a = torch.dot(direction, direction).item()
    b = torch.dot(step, direction).item()
    c = torch.dot(step, step).item() - radius**2
    root = np.sqrt(max(b * b - a * c, 0.0))
    return (-c) / (b + root) if b > 0 else (root - b) / a
