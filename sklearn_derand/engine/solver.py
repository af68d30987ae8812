"""What a solver is, and what all of them share: points, progress, and the step out of a saddle."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_derand.engine.certificate import Certificate
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.eigenvalue import EigenvalueBound
from sklearn_derand.engine.objective import noise_norm
from sklearn_derand.engine.solution import Solution, Status
from sklearn_derand.engine.tensors import norm


@dataclass
class Point:
    """A point with its value and gradient; ``status`` is set where a descent ended there for a reason."""

    params: Tensor
    value: float
    gradient: Tensor
    status: Status | None = None

    def __post_init__(self) -> None:
        self.gradient_norm = norm(self.gradient)

    @property
    def finite(self) -> bool:
        """Whether value and gradient are finite."""
        return math.isfinite(self.value) and math.isfinite(self.gradient_norm)

    @classmethod
    def at(cls, derivatives: Derivatives, params: Tensor) -> "Point":
        """Evaluate value and gradient at ``params``."""
        return cls(params, *derivatives.value_and_gradient(params))

    def ended(self, status: Status) -> "Point":
        """Return the same point with the reason why the descent ends here."""
        return Point(self.params, self.value, self.gradient, status)

    @property
    def rounding(self) -> float:
        """Differences of values below this are rounding: four units in the last place."""
        return 4 * torch.finfo(self.params.dtype).eps * abs(self.value)


class Progress:
    """Counts accepted points, keeps their history, and says when to stop.

    Parameters
    ----------
    derivatives : Derivatives
        Its counters go into what the callback sees.
    max_iter : int
        Most accepted steps of the whole run.
    callback : callable or None
        ``callback(solution_so_far)``; a true result stops the run.
    """

    def __init__(self, derivatives: Derivatives, max_iter: int, callback: Callable[[Solution], object] | None):
        self._derivatives = derivatives
        self._max_iter = max_iter
        self._callback = callback
        self._noise = False
        self._rows: list[tuple[float, ...]] = []
        self._first_value, self._far = 0.0, math.inf
        self.n_escapes = 0

    @property
    def n_iter(self) -> int:
        """Accepted steps so far; the start is not one."""
        return max(0, len(self._rows) - 1)

    def start(self, point: Point) -> Status | None:
        """Record where the run begins."""
        self._first_value = point.value
        self._far = 1e8 * max(1.0, point.params.norm().item())
        self._noise = bool(np.isfinite(noise_norm(self._derivatives.objective, point.params)))
        return self.accept(point)

    def accept(self, point: Point) -> Status | None:
        """Record a point; return the reason to stop, if there is one."""
        row = [point.value, point.gradient_norm]
        if self._noise:
            row.append(noise_norm(self._derivatives.objective, point.params))
        self._rows.append(tuple(row))
        if not point.finite:
            return Status.NOT_FINITE
        if self._callback is not None and self._callback(self.solution(point, Status.RUNNING)):
            return Status.STOPPED
        if self._diverged(point):
            return Status.DIVERGED
        return Status.MAX_ITER if self.n_iter >= self._max_iter else None

    def _diverged(self, point: Point) -> bool:
        deep = -1e16 * max(1.0, abs(self._first_value))
        return norm(point.params) > self._far or point.value < deep

    def history(self) -> dict[str, np.ndarray]:
        """Return one array for each quantity recorded."""
        columns = np.array(self._rows, dtype=float).T
        return dict(zip(("value", "gradient_norm", "noise"), columns, strict=False))

    def solution(self, point: Point, status: Status, certificate: Certificate | None = None) -> Solution:
        """Return the state of the run at ``point``."""
        return Solution(
            params=point.params,
            value=point.value,
            status=status,
            certificate=certificate,
            history=self.history() if status is not Status.RUNNING else _LazyHistory(self),
            n_iter=self.n_iter,
            n_fev=self._derivatives.n_fev,
            n_hvp=self._derivatives.n_hvp,
            n_escapes=self.n_escapes,
            n_batch_fev=self._derivatives.n_batch_fev,
        )


class _LazyHistory(dict):
    """History that is only put together when a callback looks at it."""

    def __init__(self, progress: Progress):
        super().__init__()
        self._progress = progress

    def __missing__(self, key: str) -> np.ndarray:
        self.update(self._progress.history())
        if key not in self.keys():
            raise KeyError(key)
        return self[key]


class Record(Protocol):
    """What a descent tells of its steps."""

    def accept(self, point: Point) -> Status | None:
        """Record a point; return the reason to stop, if there is one."""
        ...


class Solver(Protocol):
    """Descend an objective towards a second-order stationary point; the certificate is not its business."""

    def descend(self, derivatives: Derivatives, point: Point, *, tol: float, progress: Record) -> Point:
        """Go down until the gradient norm is at most ``tol``, or set ``status`` to the reason why not."""
        ...

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
        """Leave a saddle for a strictly lower point, given directions of proven negative curvature."""
        ...


class CurvatureEscape:
    """The shared step out of a saddle: along a mixture of all directions of negative curvature found, downhill.

    A saddle has as a rule many such directions, and the least one alone often leads to the next saddle.
    """

    def escape(  # noqa: D102
        self,
        derivatives: Derivatives,
        point: Point,
        *,
        least: EigenvalueBound,
        tol: float,
        generator: Generator,
        progress: Progress,
    ) -> Point:
        return escape_along(derivatives, point, least.mixture, least.mixture_value, progress)


def escape_along(
    derivatives: Derivatives, point: Point, direction: Tensor, curvature: float, progress: Progress
) -> Point:
    """Step along a unit ``direction`` of negative curvature, as far as it pays, but no farther than sense.

    From ``t = 1``: double while each doubling lowers the fall by a tenth more and ``t <= max(10, 1.5 ||params||)`` (a
    scale-invariant objective would otherwise send the point to infinity, where every derivative is small); or halve
    until ``f(x + t v) < f(x) - 0.05 |theta| t^2``.

    Parameters
    ----------
    derivatives : Derivatives
        The objective.
    point : Point
        The saddle.
    direction : Tensor of shape (n,)
        Unit vector; its sign is chosen here.
    curvature : float
        ``theta = v'Hv < 0``.
    progress : Progress
        Told of the point that is accepted.

    Returns
    -------
    Point
        Strictly lower; or ``point`` with the status NOT_SMOOTH where no step keeps what the curvature promises.
    """
    if torch.dot(point.gradient, direction).item() > 0:
        direction = -direction
    farthest = max(10.0, 1.5 * norm(point.params))

    def value_at(length: float) -> float:
        return derivatives.value(point.params + length * direction)

    length, value = 1.0, value_at(1.0)
    if value < point.value - 0.05 * abs(curvature):
        while 2 * length <= farthest:
            further = value_at(2 * length)
            if not point.value - further >= 1.1 * (point.value - value):
                break
            length, value = 2 * length, further
    else:
        while not value < point.value - 0.05 * abs(curvature) * length**2:
            length /= 2
            if length < 1e-10 * max(1.0, norm(point.params)):
                return point.ended(Status.NOT_SMOOTH)
            value = value_at(length)
    left = Point.at(derivatives, point.params + length * direction)
    left.status = progress.accept(left)
    return left
