"""Algorithm 2 of arXiv 2510.19382: gradient steps while the gradient is large, else a step of least curvature."""

from sklearn_derand.engine.gradient_descent import GradientDescent
from sklearn_derand.engine.solver import escape_along


class HessianDescent(GradientDescent):
    """Hessian descent: ``GradientDescent`` for the first order, the least eigenvector for the second.

    Parameters
    ----------
    step : float, default=1.0
        First step size of the gradient steps.
    """

    def escape(self, derivatives, point, *, least, tol, generator, progress):
        """Step along the least eigenvector, downhill."""
        del tol, generator
        return escape_along(derivatives, point, least.vector, least.value, progress)
