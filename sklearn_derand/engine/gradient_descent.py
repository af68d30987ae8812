"""Plain gradient steps, each no longer than the objective allows: what the paper's two algorithms descend by."""

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.solution import Status
from sklearn_derand.engine.solver import Point, Record


class GradientDescent:
    """Gradient steps ``x - eta grad f(x)`` with ``f`` falling by at least ``eta ||grad f||^2 / 2``.

    That decrease is what ``eta <= 1/L`` guarantees. ``eta`` is halved until it holds and doubled after each step, so
    that no Lipschitz constant has to be known.

    Parameters
    ----------
    step : float, default=1.0
        First ``eta``.
    """

    def __init__(self, step: float = 1.0):
        self.step = step

    def descend(self, derivatives: Derivatives, point: Point, *, tol: float, progress: Record) -> Point:
        """Go down until ``||gradient|| <= tol``."""
        eta = self.step
        while point.status is None and point.gradient_norm > tol:
            point, eta = gradient_step(derivatives, point, eta)
            if point.status is None:
                point.status = progress.accept(point)
        return point


def gradient_step(derivatives: Derivatives, point: Point, eta: float) -> tuple[Point, float]:
    """Return the next point and the step size to try after it; the status is STALLED where none is lower."""
    while True:
        trial = Point.at(derivatives, point.params - eta * point.gradient)
        asked = 0.5 * eta * point.gradient_norm**2
        if trial.finite and trial.value <= point.value - asked:
            return trial, 2 * eta
        if asked <= 10 * point.rounding:
            if (
                trial.finite
                and trial.value <= point.value + point.rounding
                and trial.gradient_norm < point.gradient_norm
            ):
                return trial, eta
            if eta * point.gradient_norm <= 1e-16 * max(1.0, point.params.norm().item()):
                return point.ended(Status.STALLED), eta
        eta /= 2
