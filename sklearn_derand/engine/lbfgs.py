"""Limited-memory BFGS, the default descent; what is slow it deflates, what stalls is handed to the trust region.

The inverse Hessian is kept in the compact form of Byrd, Nocedal and Schnabel (1994), equation 2.6: a direction is two
products with one array of all pairs instead of 4 m vector operations.
"""

import torch

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.inverse_hessian import InverseHessian, deflation
from sklearn_derand.engine.line_search import wolfe_step
from sklearn_derand.engine.solver import CurvatureEscape, Point, Record
from sklearn_derand.engine.trust_region import TrustRegion


class LBFGS(CurvatureEscape):
    """Limited-memory BFGS with a weak Wolfe line search, deflated where the descent is long.

    A condition number ``kappa`` costs L-BFGS some ``sqrt(kappa)`` steps. After ``patience`` steps, and after as many
    again, ``products`` Hessian-vector products are therefore spent on a Lanczos process from the gradient. The
    eigenpairs of largest ``|theta|`` that have converged make the initial inverse Hessian exact in their span, so that
    only the rest of the spectrum counts. Where that would save less than it costs, it waits twice as long.

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
        steps, wait = 0, self.patience
        while point.status is None and point.gradient_norm > tol:
            if self.products and steps >= wait:
                found = deflation(derivatives.hessian_product(point.params), point.gradient, self.products)
                inverse.deflate(found)
                steps, wait = 0, self.patience if found is not None else 2 * wait
            trial = self._step(derivatives, point, inverse)
            # A gradient above tol and a step that rounding nearly swallows: a kink, or the end of this precision.
            if trial is None or _distance(trial, point) < 1e-15 * max(1.0, point.params.norm().item()):
                if inverse.is_identity:
                    return TrustRegion().descend(derivatives, point, tol=tol, progress=progress)
                inverse.clear()
                continue
            inverse.append(trial.params - point.params, trial.gradient - point.gradient)
            point, steps = trial, steps + 1
            point.status = progress.accept(point)
        return point

    @staticmethod
    def _step(derivatives: Derivatives, point: Point, inverse: InverseHessian) -> Point | None:
        direction = inverse.direction(point.gradient)
        length = min(1.0, 1.0 / point.gradient_norm) if inverse.is_identity else 1.0
        slope = torch.dot(point.gradient, direction).item()
        if not slope < -1e-12 * point.gradient_norm * direction.norm().item():
            return None
        return wolfe_step(derivatives, point, direction, length)


def _distance(trial: Point, point: Point) -> float:
    return (trial.params - point.params).norm().item()
