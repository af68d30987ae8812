"""What comes back from a descent, and why it stopped."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from torch import Tensor

from sklearn_derand.engine.certificate import Certificate


class Status(Enum):
    """Why a descent stopped; the value is the sentence that a user reads."""

    RUNNING = "The descent is still running."
    CERTIFIED = "The point is a second-order stationary point: its certificate holds."
    MAX_ITER = (
        "max_iter was reached before the gradient norm fell to tol and the curvature was certified; "
        "raise max_iter, or tol if this gradient norm is good enough."
    )
    MAX_ESCAPES = (
        "Negative curvature was left as often as allowed and is still there; "
        "raise max_escapes, or look for a direction in which the objective falls forever."
    )
    STALLED = (
        "No step lowers the objective further although its gradient norm is above tol: rounding, or an objective "
        "that is not smooth here; raise tol, rescale the objective, or smooth it."
    )
    UNRESOLVED = (
        "The gradient norm is below tol, but the smallest curvature could not be bounded from below by "
        "-curvature_tol within the products allowed and the rounding of this precision; raise curvature_tol."
    )
    NOT_SMOOTH = (
        "The values around the point do not follow its gradient: the objective is not smooth there, or not "
        "accurate to its precision; smooth the objective, or compute it in float64."
    )
    NOT_FINITE = (
        "The objective or its gradient is not finite at the start, or at every step tried; "
        "check the data and the start for NaN, inf or overflow."
    )
    DIVERGED = (
        "The parameters or the value left every reasonable bound: the objective seems unbounded below; "
        "add a penalty such as lam * ||params||^2."
    )
    STOPPED = "The callback asked to stop."

    @property
    def message(self) -> str:
        """The reason in words, with the remedy."""
        return self.value


@dataclass
class Solution:
    """The end of a descent, or its state so far when handed to a callback.

    Attributes
    ----------
    params : Tensor of shape (n,)
        The best point: no accepted point had a lower value.
    value : float
        The objective there.
    status : Status
        Why the descent stopped; ``status.message`` is a sentence.
    certificate : Certificate or None
        Evidence of second-order stationarity; ``None`` while running, or where the descent never came to rest.
    history : dict of str to ndarray of shape (n_iter + 1,)
        ``value``, ``gradient_norm`` and, where the objective names its noise, ``noise`` of the accepted points.
    n_iter, n_fev, n_hvp, n_escapes : int
        Accepted steps, evaluations of the whole objective, Hessian-vector products, and saddles left.
    n_batch_fev : int
        Evaluations of batches, whatever their size.
    """

    params: Tensor
    value: float
    status: Status
    certificate: Certificate | None = None
    history: dict[str, np.ndarray] = field(default_factory=dict)
    n_iter: int = 0
    n_fev: int = 0
    n_hvp: int = 0
    n_escapes: int = 0
    n_batch_fev: int = 0
