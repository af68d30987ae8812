"""Descent of a problem part of whose variables has a minimiser in closed form.

Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
separate, SIAM J. Numer. Anal. 10 (1973). Only the descent is on fewer variables: the certificate is of all of them.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.solution import Status
from sklearn_derand.engine.solver import CurvatureEscape, Point, Record, Solver


class Reduction(Protocol):
    """``g(y) = min_z f(y, z)`` for parameters ``x = (y, z)`` in this order."""

    def restrict(self, params: Tensor) -> Tensor:
        """Return ``y``."""
        ...

    def complete(self, kept: Tensor) -> Tensor:
        """Return ``(y, argmin_z f(y, z))``."""
        ...

    def value(self, kept: Tensor) -> Tensor:
        """Return ``g(y)``, differentiable once."""
        ...


class VariableProjection(CurvatureEscape):
    """Descend the reduced function, and finish on all variables where rounding leaves a gradient in the others.

    Parameters
    ----------
    reduction : Reduction
        Of the objective that is descended.
    on_reduced, on_all : Solver
        What descends the reduced function and the objective.
    """

    def __init__(self, reduction: Reduction, on_reduced: Solver, on_all: Solver):
        self.reduction, self.on_reduced, self.on_all = reduction, on_reduced, on_all

    def descend(self, derivatives: Derivatives, point: Point, *, tol: float, progress: Record) -> Point:
        """Go down until ``||gradient|| <= tol``, of the objective in all variables."""
        if point.gradient_norm <= tol:
            return point
        reduced = Derivatives(self.reduction)
        start = Point.at(reduced, self.reduction.restrict(point.params))
        # Half of tol: the gradient in the variables projected out is rounding, not 0
        end = self.on_reduced.descend(reduced, start, tol=0.5 * tol, progress=_Lifted(progress, self.reduction))
        derivatives.n_fev += reduced.n_fev
        lifted = Point.at(derivatives, self.reduction.complete(end.params))
        lifted.status = end.status
        if lifted.status is None and lifted.gradient_norm > tol:
            return self.on_all.descend(derivatives, lifted, tol=tol, progress=progress)
        return lifted


class _Lifted:
    """Progress of a reduced descent, told in all variables."""

    def __init__(self, progress: Record, reduction: Reduction):
        self._progress, self._reduction = progress, reduction

    def accept(self, point: Point) -> Status | None:
        params = self._reduction.complete(point.params)
        gradient = torch.cat([point.gradient, point.gradient.new_zeros(len(params) - len(point.gradient))])
        return self._progress.accept(Point(params, point.value, gradient))
