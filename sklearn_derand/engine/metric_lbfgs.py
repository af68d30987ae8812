"""Limited-memory BFGS in coordinates of one's own, in which a known approximation of the Hessian is the identity.

Objective, value and gradient norm stay those of the parameters: only the metric in which steps are sought changes, as
in quasi-Newton methods started from a good matrix (Nocedal and Wright, Numerical Optimization, 2006, section 7.2).
"""

from collections.abc import Callable

from torch import Tensor

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.inverse_hessian import InverseHessian
from sklearn_derand.engine.line_search import wolfe_step
from sklearn_derand.engine.metric import Metric
from sklearn_derand.engine.solver import CurvatureEscape, Point, Record
from sklearn_derand.engine.trust_region import TrustRegion


class MetricLBFGS(CurvatureEscape):
    """L-BFGS whose initial Hessian is a metric that the problem knows, such as a Gauss-Newton matrix.

    Parameters
    ----------
    metric : callable
        ``params -> Metric``. It shapes the descent; no result rests on it.
    refresh : int, default=25
        Steps after which the metric is computed anew and the memory forgotten.
    memory : int, default=20
        Pairs of steps and gradient differences kept.
    finish : bool, default=True
        Whether the trust region goes on where rounding leaves no step; else the descent ends there.
    """

    def __init__(self, metric: Callable[[Tensor], Metric], refresh: int = 25, memory: int = 20, finish: bool = True):
        self.metric, self.refresh, self.memory, self.finish = metric, refresh, memory, finish

    def descend(self, derivatives: Derivatives, point: Point, *, tol: float, progress: Record) -> Point:
        """Go down until ``||gradient|| <= tol``; a stall is the trust region's."""
        metric, inverse, since = self.metric(point.params), InverseHessian(self.memory, point.params), 0
        while point.status is None and point.gradient_norm > tol:
            if since >= self.refresh:
                metric = self.metric(point.params)
                inverse, since = InverseHessian(self.memory, point.params), 0
            direction = metric.unscale_step(inverse.direction(metric.scale_gradient(point.gradient)))
            trial = wolfe_step(derivatives, point, direction, 1.0)
            if trial is None:
                if since == 0:
                    if not self.finish:
                        return point
                    return TrustRegion().descend(derivatives, point, tol=tol, progress=progress)
                since = self.refresh
                continue
            change = metric.scale_gradient(trial.gradient - point.gradient)
            inverse.append(metric.scale_step(trial.params - point.params), change)
            point, since = trial, since + 1
            point.status = progress.accept(point)
        return point
