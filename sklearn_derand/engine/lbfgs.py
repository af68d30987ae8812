"""Limited-memory BFGS, the default descent; what stalls is handed to the trust region.

The inverse Hessian is kept in the compact form of Byrd, Nocedal and Schnabel (1994), equation 2.6: a direction is two
products with one (2 m, n) array instead of 4 m vector operations.
"""

import numpy as np
import torch
from scipy.linalg import solve_triangular
from torch import Tensor

from sklearn_derand.engine.line_search import wolfe_step
from sklearn_derand.engine.solution import Status
from sklearn_derand.engine.solver import CurvatureEscape, Point
from sklearn_derand.engine.trust_region import TrustRegion


class LBFGS(CurvatureEscape):
    """Limited-memory BFGS with a weak Wolfe line search.

    Parameters
    ----------
    memory : int, default=20
        Pairs of steps and gradient differences kept.
    """

    def __init__(self, memory: int = 20):
        self.memory = memory

    def descend(self, derivatives, point, *, tol, progress) -> Point:
        """Go down until ``||gradient|| <= tol``; a stall is the trust region's."""
        inverse = _InverseHessian(self.memory, point.params)
        while point.status is None and point.gradient_norm > tol:
            direction = inverse.direction(point.gradient)
            length = 1.0 if inverse.n_pairs else min(1.0, 1.0 / point.gradient_norm)
            slope = torch.dot(point.gradient, direction).item()
            trial = None
            if slope < -1e-12 * point.gradient_norm * direction.norm().item():
                trial = wolfe_step(derivatives, point, direction, length)
            # A gradient above tol and a step that rounding nearly swallows: a kink, or the end of this precision.
            if trial is None or length_of(trial, point) < 1e-15 * max(1.0, point.params.norm().item()):
                if inverse.n_pairs == 0:
                    return TrustRegion().descend(derivatives, point, tol=tol, progress=progress)
                inverse.clear()
                continue
            inverse.append(trial.params - point.params, trial.gradient - point.gradient)
            point = trial
            point.status = progress.accept(point)
        if point.gradient_norm <= tol and point.status is Status.MAX_ITER:
            point.status = None
        return point


def length_of(trial: Point, point: Point) -> float:
    """Return the distance between two points."""
    return (trial.params - point.params).norm().item()


class _InverseHessian:
    """``H = gamma I + [S, gamma Y] M [S, gamma Y]'`` in a ring of ``memory`` pairs."""

    def __init__(self, memory: int, like: Tensor):
        self._memory = memory
        self._pairs = like.new_zeros((2, memory, like.numel()))
        self.clear()

    def clear(self) -> None:
        """Forget all pairs."""
        self._sy = np.zeros((self._memory, self._memory))
        self._yy = np.zeros((self._memory, self._memory))
        self._order: list[int] = []

    @property
    def n_pairs(self) -> int:
        """Pairs held."""
        return len(self._order)

    def append(self, step: Tensor, change: Tensor) -> None:
        """Take in a pair, unless its curvature is not safely positive."""
        curvature = torch.dot(step, change).item()
        if not curvature > 1e-14 * step.norm().item() * change.norm().item():
            return
        full = self.n_pairs == self._memory
        slot = self._order.pop(0) if full else self.n_pairs
        self._order.append(slot)
        self._pairs[0, slot], self._pairs[1, slot] = step, change
        with_change = (self._pairs.view(2 * self._memory, -1) @ change).cpu().numpy()
        self._sy[:, slot], self._yy[:, slot] = np.split(with_change, 2)
        self._sy[slot] = (self._pairs[1] @ step).cpu().numpy()
        self._yy[slot] = self._yy[:, slot]

    def direction(self, gradient: Tensor) -> Tensor:
        """Return ``-H gradient``."""
        if not self._order:
            return -gradient
        order = self._order
        sy, yy = self._sy[np.ix_(order, order)], self._yy[np.ix_(order, order)]
        last = -1
        gamma = sy[last, last] / yy[last, last]
        products = (self._pairs.view(2 * self._memory, -1) @ gradient).cpu().numpy().reshape(2, -1)
        with_steps, with_changes = products[0, order], products[1, order]
        upper = np.triu(sy)
        inner = solve_triangular(upper, with_steps, check_finite=False)
        middle = np.diag(sy) * inner + gamma * (yy @ inner) - gamma * with_changes
        weights = np.zeros((2, self._memory))
        weights[0, order] = solve_triangular(upper, middle, trans="T", check_finite=False)
        weights[1, order] = -gamma * inner
        flat = torch.as_tensor(weights.reshape(-1), dtype=gradient.dtype).to(gradient.device)
        return -(gamma * gradient + flat @ self._pairs.view(2 * self._memory, -1))
