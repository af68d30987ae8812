"""Limited-memory BFGS, the default descent; what is slow it deflates, what stalls is handed to the trust region.

The inverse Hessian is kept in the compact form of Byrd, Nocedal and Schnabel (1994), equation 2.6: a direction is two
products with one array of all pairs instead of 4 m vector operations.
"""

import math

import torch

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.inverse_hessian import InverseHessian, deflation
from sklearn_derand.engine.line_search import wolfe_step
from sklearn_derand.engine.solver import CurvatureEscape, Point, Record
from sklearn_derand.engine.tensors import norm
from sklearn_derand.engine.trust_region import TrustRegion


class LBFGS(CurvatureEscape):
    """Limited-memory BFGS with a weak Wolfe line search, deflated where the descent is long.

    A condition number ``kappa`` costs L-BFGS some ``sqrt(kappa)`` steps. After ``patience`` steps, and after as many
    again, ``products`` Hessian-vector products are therefore spent on a Lanczos process from the gradient, if the rest
    of the way at the pace so far is longer than they are. The eigenpairs of largest ``|theta|`` that have converged
    make the initial inverse Hessian exact in their span, so that only the rest of the spectrum counts. Where that would
    save less than it costs, it waits twice as long.

    Parameters
    ----------
    memory : int, default=20
        Pairs of steps and gradient differences kept.
    patience : int, default=100
        Steps between two looks at the spectrum.
    products : int, default=100
        Hessian-vector products of one look; 0 for L-BFGS as it is known.
    """

    def __init__(self, memory: int = 20, patience: int = 100, products: int = 100):
        self.memory = memory
        self.patience = patience
        self.products = products

    def descend(self, derivatives: Derivatives, point: Point, *, tol: float, progress: Record) -> Point:
        """Go down until ``||gradient|| <= tol``; a stall is the trust region's."""
        inverse = InverseHessian(self.memory, point.params)
        steps, wait, pace = 0, self.patience, _Pace()
        while point.status is None and point.gradient_norm > tol:
            if self.products and steps >= wait and pace.steps_left(point.gradient_norm, tol) > self.products:
                found = deflation(derivatives.hessian_product(point.params), point.gradient, self.products)
                inverse.deflate(found)
                steps, wait = 0, self.patience if found is not None else 2 * wait
            trial = self._step(derivatives, point, inverse)
            # A gradient above tol and a step that rounding nearly swallows: a kink, or the end of this precision.
            if trial is None or norm(trial.params - point.params) < 1e-15 * max(1.0, norm(point.params)):
                if inverse.is_identity:
                    return TrustRegion().descend(derivatives, point, tol=tol, progress=progress)
                inverse.clear()
                continue
            inverse.append(trial.params - point.params, trial.gradient - point.gradient)
            point, steps = trial, steps + 1
            pace.note(point.gradient_norm)
            point.status = progress.accept(point)
        return point

    @staticmethod
    def _step(derivatives: Derivatives, point: Point, inverse: InverseHessian) -> Point | None:
        direction = inverse.direction(point.gradient)
        length = min(1.0, 1.0 / point.gradient_norm) if inverse.is_identity else 1.0
        slope = torch.dot(point.gradient, direction).item()
        if not slope < -1e-12 * point.gradient_norm * norm(direction):
            return None
        return wolfe_step(derivatives, point, direction, length)


class _Pace:
    """How fast the gradient has fallen since it was steepest."""

    def __init__(self) -> None:
        self._steepest, self._since = 0.0, 0

    def note(self, gradient_norm: float) -> None:
        """Take in the gradient norm after a step."""
        self._since += 1
        if gradient_norm > self._steepest:
            self._steepest, self._since = gradient_norm, 0

    def steps_left(self, gradient_norm: float, tol: float) -> float:
        """Return how many steps more ``tol`` will take at the pace so far."""
        fallen = math.log(max(self._steepest / gradient_norm, 1.0))
        return math.log(gradient_norm / tol) * self._since / fallen if fallen > 0 else math.inf
