"""Approximate leave-one-out loss of a student at a stationary point, without a second fit.

One Newton step from the fit without row i, its Hessian the Gauss-Newton matrix H: with ``M_i = J_i H^-1 J_i'`` the
prediction of row i moves by ``(I - M_i D_i)^-1 M_i g_i``, ``g_i`` and ``D_i`` the derivatives of its weighted loss.
Exact for ridge regression (Cook and Weisberg 1982); for smooth penalised losses see Rad and Maleki, J. R. Stat. Soc.
B 82 (2020).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sklearn_derand.problems.gauss_newton import gauss_newton_matrix, some_rows
from sklearn_derand.problems.multi_index import StudentRisk
from sklearn_derand.problems.ranks import Ranks
from sklearn_derand.problems.row_jacobian import loss_derivatives, row_jacobian

MOST_LEVERAGE = 0.99
"""Leverage above which a row alone decides its own prediction and the step means nothing; it is bounded there."""


def leave_one_out_losses(risk: StudentRisk, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of each row as predicted by the student of all other rows, penalties left out.

    Not checked: that the point is stationary. Where the loss couples outputs, row sums stand for its curvature.

    Parameters
    ----------
    risk : StudentRisk
        The objective.
    params : Tensor of shape (n_params,)
        The student.

    Returns
    -------
    left_out : Tensor of shape (n_rows,)
        Of at most 2,000 rows, evenly spaced.
    fitted : Tensor of shape (n_rows,)
        Losses of the same rows as the student itself predicts them.
    weights : Tensor of shape (n_rows,)
        Their weights, summing to 1 over all ranks.
    """
    chosen = some_rows(risk)
    targets, ranks = risk.targets[chosen], risk.ranks or Ranks()
    weights = risk.weights[chosen]
    _, matrix, _ = gauss_newton_matrix(risk, params, n_directions=risk.network.n_inputs)
    matrix.diagonal().add_(1e-9)  # rounding: the smallest eigenvalues are the decay's
    prediction, jacobian, _ = row_jacobian(risk.network, params, risk.inputs[chosen])
    slope, curvature = loss_derivatives(risk, prediction, targets)
    curvature = curvature.clamp(min=0.0)
    n_outputs = len(jacobian)
    factor = torch.linalg.cholesky(matrix)
    solved = torch.linalg.solve_triangular(factor, jacobian.flatten(0, 1).T, upper=False)
    solved = solved.reshape(len(matrix), n_outputs, -1)
    influence = torch.einsum("poi,pqi->ioq", solved, solved) * weights[:, None, None]
    roots = curvature.sqrt()
    # The symmetric root D^(1/2) M D^(1/2) has its eigenvalues in [0, 1)
    leverage = roots[:, :, None] * influence * roots[:, None, :]
    largest = torch.linalg.matrix_norm(leverage, ord=2)
    leverage = leverage * (MOST_LEVERAGE / largest.clamp(min=MOST_LEVERAGE))[:, None, None]
    eye = torch.eye(n_outputs, dtype=params.dtype, device=params.device)
    # (I - M D)^-1 M g = M g + M D^(1/2) (I - D^(1/2) M D^(1/2))^-1 D^(1/2) M g
    moved = torch.einsum("ioq,iq->io", influence, slope)
    inner = torch.linalg.solve(eye - leverage, roots * moved)
    moved = moved + torch.einsum("ioq,iq->io", influence, roots * inner)
    here = replace(risk, targets=targets)
    return here.losses(prediction + moved), here.losses(prediction), weights / ranks.sum(weights.sum())
