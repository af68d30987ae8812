"""Tests of an objective's derivatives by their Taylor remainders, for those who write their own."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_derand.engine.arguments import as_generator, check_params
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.objective import Objective


@dataclass(frozen=True)
class TaylorTest:
    """Remainders of a Taylor polynomial along a random direction.

    Attributes
    ----------
    steps, remainders : ndarray of shape (n_steps,)
        ``|f(x + t v) - polynomial(t)|`` at each step ``t``.
    order : float
        Slope of the remainders on a double logarithmic scale, over those above rounding; ``inf`` where
        none is.
    expected_order : int
        Order of a correct derivative: 2 for the gradient, 3 for the Hessian.
    """

    steps: np.ndarray
    remainders: np.ndarray
    order: float
    expected_order: int

    @property
    def passed(self) -> bool:
        """Whether the order is the expected one, or better, to 0.1."""
        return self.order >= self.expected_order - 0.1


def check_gradient(
    objective: Objective | Callable[[Tensor], Tensor],
    params: Tensor,
    *,
    random_state: int | Generator | None = None,
) -> TaylorTest:
    """Compare ``f(x + t v)`` with ``f(x) + t g.v``: a correct gradient leaves a remainder of order ``t^2``.

    Parameters
    ----------
    objective : Objective or callable
        ``f``.
    params : Tensor of shape (n,)
        Where; avoid stationary points, where every gradient looks right.
    random_state : int, torch.Generator or None, default=None
        Source of the direction.

    Returns
    -------
    TaylorTest

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.engine import check_gradient
    >>> check_gradient(lambda p: p.sin().sum(), torch.ones(3, dtype=torch.float64), random_state=0).passed
    True
    """
    return _taylor(objective, params, 2, random_state)


def check_hessian(
    objective: Objective | Callable[[Tensor], Tensor],
    params: Tensor,
    *,
    random_state: int | Generator | None = None,
) -> TaylorTest:
    """Compare ``f(x + t v)`` with ``f + t g.v + t^2 v'Hv / 2``: a correct Hessian leaves order ``t^3``.

    Parameters
    ----------
    objective : Objective or callable
        ``f``.
    params : Tensor of shape (n,)
        Where.
    random_state : int, torch.Generator or None, default=None
        Source of the direction.

    Returns
    -------
    TaylorTest

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.engine import check_hessian
    >>> check_hessian(lambda p: p.exp().sum(), torch.ones(3, dtype=torch.float64), random_state=0).passed
    True
    """
    return _taylor(objective, params, 3, random_state)


def _taylor(
    objective: Objective | Callable[[Tensor], Tensor],
    params: Tensor,
    expected_order: int,
    random_state: int | Generator | None,
) -> TaylorTest:
    check_params(params)
    derivatives = Derivatives(objective)
    direction = torch.randn(params.numel(), generator=as_generator(random_state), dtype=params.dtype).to(params.device)
    direction *= max(1.0, params.norm().item()) / direction.norm()
    value, gradient = derivatives.value_and_gradient(params)
    slope = torch.dot(gradient, direction).item()
    curvature = torch.dot(direction, derivatives.hessian_product(params)(direction)).item()
    steps = np.geomspace(1e-1, 1e-6, 21)
    polynomial = value + steps * slope + (0.5 * steps**2 * curvature if expected_order == 3 else 0.0)
    values = np.array([derivatives.value(params + step * direction) for step in steps])
    remainders = np.abs(values - polynomial)
    rounding = 1e3 * np.finfo(float).eps * max(abs(value), np.abs(values).max(), np.finfo(float).tiny)
    clear = remainders > rounding
    order = float(np.inf)
    if clear.sum() >= 3:
        order = float(np.median(np.diff(np.log(remainders[clear])) / np.diff(np.log(steps[clear]))))
    return TaylorTest(steps, remainders, order, expected_order)
