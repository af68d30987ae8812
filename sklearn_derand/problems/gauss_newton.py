"""Gauss-Newton matrix ``sum_i w_i J_i' l''_i J_i + penalty`` of a student: a metric for its descent.

For whitened rows the block of the first layer is close to ``S (x) I``, ``S = sum_i w_i l''_i s_i s_i'`` with
``s_i`` the slope in the first preactivations, since ``E[s s' (x) z z'] = E[s s'] (x) I`` up to the same Stein terms as
in the lemma; a free first layer is therefore kept as one small factor (as Martens and Grosse, 2015, do).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_derand.problems.multi_index import StudentRisk
from sklearn_derand.problems.ranks import Ranks
from sklearn_derand.problems.row_jacobian import loss_derivatives, row_jacobian

MAX_ROWS = 2000
"""Rows that enter the matrix, evenly spaced: it only shapes the descent, and no result rests on it."""


@dataclass(frozen=True)
class GaussNewtonFactor:
    """Cholesky factors ``L L'`` of the first-layer factor (or None) and of the rest.

    Maps between parameters x and scaled coordinates u, in which the matrix is the identity: ``u = L' x``.
    """

    first: Tensor | None
    rest: Tensor
    n_inputs: int

    @classmethod
    def of(cls, first: Tensor | None, rest: Tensor, damping: float, n_inputs: int) -> GaussNewtonFactor:
        """Factor the matrices plus ``damping`` times the identity."""
        for matrix in (rest,) if first is None else (first, rest):
            matrix.diagonal().add_(damping)
        return cls(None if first is None else torch.linalg.cholesky(first), torch.linalg.cholesky(rest), n_inputs)

    def _apply(self, vector: Tensor, solve) -> Tensor:
        if self.first is None:
            return solve(self.rest, vector[:, None])[:, 0]
        size = len(self.first) * self.n_inputs
        head = solve(self.first, vector[:size].reshape(len(self.first), self.n_inputs)).reshape(-1)
        return torch.cat([head, solve(self.rest, vector[size:, None])[:, 0]])

    def scale_gradient(self, gradient: Tensor) -> Tensor:
        """Gradient in u: ``L^{-1} g``."""
        return self._apply(gradient, lambda lower, v: torch.linalg.solve_triangular(lower, v, upper=False))

    def scale_step(self, step: Tensor) -> Tensor:
        """Step in u: ``L' s``."""
        return self._apply(step, lambda lower, v: lower.T @ v)

    def unscale_step(self, step: Tensor) -> Tensor:
        """Step in x: ``L^{-T} s``."""
        return self._apply(step, lambda lower, v: torch.linalg.solve_triangular(lower.T, v, upper=True))


def gauss_newton_factor(
    risk: StudentRisk, params: Tensor, damping: float, *, factored: bool = True
) -> GaussNewtonFactor:
    """Factor the damped Gauss-Newton matrix at a point.

    Parameters
    ----------
    risk : StudentRisk
        The objective.
    params : Tensor of shape (n_params,)
        The point.
    damping : float
        Multiple of the identity that is added.
    factored : bool
        As in ``gauss_newton_matrix``.

    Returns
    -------
    GaussNewtonFactor
        Its Cholesky factors.
    """
    return GaussNewtonFactor.of(*gauss_newton_matrix(risk, params, factored=factored), damping, risk.network.n_inputs)


def some_rows(risk: StudentRisk) -> slice:
    """Choose at most ``MAX_ROWS`` rows, evenly spaced through those of all ranks.

    Parameters
    ----------
    risk : StudentRisk
        Holds the rows of this rank.

    Returns
    -------
    slice
        Of these.
    """
    ranks = risk.ranks or Ranks()
    counts = ranks.table(len(risk.inputs))[:, 0].astype(int)
    spacing = -(-counts.sum() // MAX_ROWS)
    return slice(-counts[: ranks.rank].sum() % spacing, None, spacing)


def gauss_newton_matrix(risk: StudentRisk, params: Tensor, *, factored: bool = True) -> tuple[Tensor | None, Tensor]:
    """Evaluate the Gauss-Newton matrix, penalties included, from at most ``MAX_ROWS`` rows.

    Parameters
    ----------
    risk : StudentRisk
        The objective.
    params : Tensor of shape (n_params,)
        The point.
    factored : bool
        False keeps a free first layer in the block of all parameters.

    Returns
    -------
    first : Tensor of shape (width, width) or None
        The factor of a free first layer; None where it has a rank, or is kept.
    rest : Tensor
        The block of all other parameters.
    """
    network, ranks = risk.network, risk.ranks or Ranks()
    chosen = some_rows(risk)
    weights = risk.weights[chosen] / ranks.sum(risk.weights[chosen].sum())
    prediction, jacobian, slopes = row_jacobian(network, params, risk.inputs[chosen], free_layer=not factored)
    _, curvature = loss_derivatives(risk, prediction, risk.targets[chosen])
    largest = curvature.abs().max().item() if curvature.numel() else 0.0
    curvature = curvature.clamp(min=1e-3 * ranks.max(largest))
    roots = (curvature * weights[:, None]).sqrt().T[:, :, None]
    rows = (jacobian * roots).flatten(0, 1)
    rest = ranks.sum(rows.T @ rows)
    indices, layers, _ = network.unpack(params.detach())
    rest.diagonal().add_(_penalty_diagonal(risk, indices, layers, free_layer=not factored))
    if indices is not None or not factored:
        return None, rest
    steep = (slopes * roots).flatten(0, 1)
    first = ranks.sum(steep.T @ steep)
    first.diagonal().add_(2.0 * risk.alpha)
    return first, rest


def _penalty_diagonal(risk: StudentRisk, indices: Tensor | None, layers: list[Tensor], free_layer: bool) -> Tensor:
    """Diagonal of the Hessian of the penalties, with or without that of a free first layer."""
    network, pieces = risk.network, []
    if indices is None and free_layer:
        pieces.append(layers[0].new_full((layers[0].numel(),), 2.0 * risk.alpha))
    elif indices is not None:
        width = layers[0].square().sum(dim=0)
        pieces.append((2.0 * risk.alpha * width)[:, None].expand(indices.shape).reshape(-1))
        length = indices.square().sum(dim=1)
        pieces.append((2.0 * risk.alpha * length)[None, :].expand(layers[0].shape).reshape(-1))
    if network.train_bias:
        pieces.append(layers[0].new_zeros(layers[0].shape[0]))
    for layer in layers[1:]:
        pieces += [layer.new_full((layer.numel(),), 2.0 * risk.weight_decay), layer.new_zeros(layer.shape[0])]
    return torch.cat(pieces)
