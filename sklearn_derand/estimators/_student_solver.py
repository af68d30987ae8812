"""Limited-memory BFGS in the coordinates in which the student's Gauss-Newton matrix is the identity.

The objective, its value and its gradient norm stay those of the user's parameters: only the metric in which
steps are sought changes, as in quasi-Newton methods started from a good matrix (Nocedal and Wright, section 7.2).
"""

from __future__ import annotations

MAX_MATRIX = 1500
"""Above this order the matrix costs more than it saves, and the engine's own L-BFGS descends."""


def student_solver(name: str, network):
    """Return what descends a student: for "lbfgs" the Gauss-Newton metric, where its matrix is small.

    Parameters
    ----------
    name : str
        The estimator's parameter.
    network : StudentNetwork
        Its shape decides the order of the matrix.

    Returns
    -------
    str or Solver
        For ``engine.minimize``.
    """
    order = network.n_params
    if network.rank is None:
        order -= network.n_inputs * network.hidden_layer_sizes[0]
    if name != "lbfgs" or order > MAX_MATRIX:
        return name
    # A free first layer is far from quadratic at first: bolder steps end in worse minima (measured).
    return GaussNewtonLBFGS(damping=1e-2 if network.rank is None else 1e-3)


class GaussNewtonLBFGS:
    """Descend a `StudentRisk`; a stall is handed to the engine's trust region.

    Parameters
    ----------
    damping : float
        Multiple of the identity added to the matrix.
    refresh : int, default=25
        Steps after which the matrix is computed anew.
    memory : int, default=20
        Pairs of steps and gradient differences kept.
    """

    def __init__(self, damping: float, refresh: int = 25, memory: int = 20):
        self.damping, self.refresh, self.memory = damping, refresh, memory

    def descend(self, derivatives, point, *, tol, progress):
        """Go down until ``||gradient|| <= tol``."""
        from sklearn_derand.engine import Status, TrustRegion
        from sklearn_derand.engine.inverse_hessian import InverseHessian
        from sklearn_derand.engine.line_search import wolfe_step
        from sklearn_derand.problems.gauss_newton import gauss_newton_factor

        since = self.refresh
        inverse = factor = None
        while point.status is None and point.gradient_norm > tol:
            if since >= self.refresh:
                factor = gauss_newton_factor(derivatives.objective, point.params, self.damping)
                inverse, since = InverseHessian(self.memory, point.params), 0
            gradient = factor.scale_gradient(point.gradient)
            direction = factor.unscale_step(inverse.direction(gradient))
            trial = wolfe_step(derivatives, point, direction, 1.0)
            if trial is None:
                if since == 0:
                    return TrustRegion().descend(derivatives, point, tol=tol, progress=progress)
                since = self.refresh
                continue
            inverse.append(
                factor.scale_step(trial.params - point.params),
                factor.scale_gradient(trial.gradient - point.gradient),
            )
            point, since = trial, since + 1
            point.status = progress.accept(point)
        if point.gradient_norm <= tol and point.status is Status.MAX_ITER:
            point.status = None
        return point

    def escape(self, derivatives, point, **settings):
        """Leave a saddle along the direction of negative curvature, as the engine's own L-BFGS does."""
        from sklearn_derand.engine.solver import CurvatureEscape

        return CurvatureEscape().escape(derivatives, point, **settings)
