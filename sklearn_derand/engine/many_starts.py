"""Many starts at once, as the rows of one tensor: where an operation costs more than its arithmetic, nearly for one.

Gradient steps of Barzilai and Borwein's length (1988), each row with its own and each accepted only where that row
falls (Armijo). First order only: it sorts starts, and what is to be certified goes to ``minimize``.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from sklearn_derand.engine.arguments import check_params
from sklearn_derand.engine.objective import Objective, as_objective

SUFFICIENT_DECREASE = 1e-4
CHANGE = 10.0
"""A step length changes by at most this factor from one step to the next."""


class Descents(NamedTuple):
    """Where each start was led, one row a start: ``params`` (m, n), ``values`` (m,) and ``gradient_norms`` (m,)."""

    params: Tensor
    values: Tensor
    gradient_norms: Tensor


@runtime_checkable
class HasValues(Protocol):
    """An objective with a formula of its own for many points."""

    def values(self, params: Tensor) -> Tensor:
        """Return ``f`` of each row of ``params``, shape (m,)."""
        ...


def descend_many(
    objective: Objective | Callable[[Tensor], Tensor], starts: Tensor, *, tol: float = 1e-3, max_iter: int = 200
) -> Descents:
    """Descend from many starts together, each row on its own terms.

    Parameters
    ----------
    objective : Objective or callable
        ``f``. A method ``values(params)`` is used where there is one, else ``torch.func.vmap`` of ``value``: then
        ``value`` must not branch on its result nor leave torch.
    starts : Tensor of shape (m, n)
        In float64, on any device.
    tol : float, default=1e-3
        A row rests when its gradient norm is at most this.
    max_iter : int, default=200
        Most evaluations of any row after the first.

    Returns
    -------
    Descents
        No row is higher than its start; a row whose start is not finite stays. Nothing is certified: continue with
        ``minimize(objective, params[values.argmin()])``.

    Raises
    ------
    ValueError
        If ``starts`` is not a float64 matrix, or ``tol`` or ``max_iter`` is not usable.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.engine import descend_many
    >>> starts = torch.tensor([[-2.0], [0.5], [3.0]], dtype=torch.float64)
    >>> wells = descend_many(lambda p: (p[0] ** 2 - 1) ** 2 + 0.1 * p[0], starts)
    >>> wells.params[:, 0].round(decimals=2).tolist()
    [-1.01, 0.99, 0.99]
    """
    if not isinstance(starts, Tensor) or starts.dim() != 2 or not starts.numel():
        raise ValueError("starts must be a non-empty tensor of shape (m, n), one start a row.")
    check_params(starts[0])
    if not tol > 0 or max_iter < 0:
        raise ValueError(f"tol must be positive and max_iter not negative; got {tol!r} and {max_iter!r}.")
    objective = as_objective(objective)
    many = objective.values if isinstance(objective, HasValues) else torch.func.vmap(objective.value)
    params = starts.detach().clone()
    values, gradients = _evaluate(many, params)
    lengths = 1 / gradients.norm(dim=1).clamp_min(1.0)
    for _ in range(max_iter):
        norms = gradients.norm(dim=1)
        moves = values.isfinite() & norms.isfinite() & (norms > tol) & (lengths * norms > 1e-16 * params.norm(dim=1))
        rows = moves.nonzero()[:, 0]
        if not len(rows):
            break
        steps = -lengths[rows, None] * gradients[rows]
        trials, trial_gradients = _evaluate(many, params[rows] + steps)
        asked = SUFFICIENT_DECREASE * lengths[rows] * norms[rows].square()
        falls = (trials <= values[rows] - asked) & trial_gradients.isfinite().all(dim=1)
        changes = trial_gradients - gradients[rows]
        curvatures = (steps * changes).sum(dim=1)
        longest = CHANGE * lengths[rows]
        guesses = torch.where(curvatures > 0, (steps * steps).sum(dim=1) / curvatures, longest)
        lengths[rows] = torch.where(falls, guesses.clamp(lengths[rows] / CHANGE, longest), lengths[rows] / 4)
        taken = rows[falls]
        params[taken] += steps[falls]
        values[taken], gradients[taken] = trials[falls], trial_gradients[falls]
    return Descents(params, values, gradients.norm(dim=1))


def _evaluate(many: Callable[[Tensor], Tensor], params: Tensor) -> tuple[Tensor, Tensor]:
    """Return the value and the gradient of each row: one backward pass, for no value depends on another row."""
    leaf = params.detach().requires_grad_(True)
    with torch.enable_grad():
        values = many(leaf)
        (gradients,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach().clone(), gradients
