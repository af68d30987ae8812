"""Algorithm 2 of arXiv 2510.19382: gradient steps while the gradient is large, else a step of least curvature."""

from torch import Generator

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.eigenvalue import EigenvalueBound
from sklearn_derand.engine.gradient_descent import GradientDescent
from sklearn_derand.engine.solver import Point, Progress, escape_along


class HessianDescent(GradientDescent):
    """Hessian descent: ``GradientDescent`` for the first order, the least eigenvector for the second.

    Parameters
    ----------
    step : float, default=1.0
        First step size of the gradient steps.
    """

    def escape(
        self,
        derivatives: Derivatives,
        point: Point,
        *,
        least: EigenvalueBound,
        tol: float,
        generator: Generator,
        progress: Progress,
    ) -> Point:
        """Step along the least eigenvector, downhill."""
        del tol, generator
        return escape_along(derivatives, point, least.vector, least.value, progress)
