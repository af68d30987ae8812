"""Gauss-Newton matrix ``sum_i w_i J_i' l''_i J_i + penalty`` of a student: a metric for its descent.

For whitened rows the block of the first layer is close to ``S (x) I``, ``S = sum_i w_i l''_i s_i s_i'`` with
``s_i`` the slope in the first preactivations, since ``E[s s' (x) z z'] = E[s s'] (x) I`` up to the same Stein terms as
in the lemma; a free first layer is therefore kept as one small factor (as Martens and Grosse, 2015, do).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sklearn_derand.problems.ranks import Ranks
from sklearn_derand.problems.row_jacobian import loss_derivatives, row_jacobian

if TYPE_CHECKING:
    from sklearn_derand.problems.multi_index import StudentRisk
    from sklearn_derand.problems.student_network import StudentNetwork

MAX_ROWS = 2000
"""Rows that enter the matrix, evenly spaced: it only shapes the descent, and no result rests on it."""

MAX_ORDER = 1500
"""Above this order the matrix costs more than it saves."""


@dataclass(frozen=True)
class GaussNewtonFactor:
    """Cholesky factors ``L L'``: of the factor of a free first layer across some directions (or None), and of the rest.

    Maps between parameters x and scaled coordinates u, in which the matrix is the identity: ``u = L' x``.
    """

    first: Tensor | None
    rest: Tensor
    directions: Tensor | None

    @classmethod
    def of(cls, first: Tensor | None, rest: Tensor, directions: Tensor | None, damping: float) -> GaussNewtonFactor:
        """Factor the matrices plus ``damping`` times the identity, or more where rounding makes them indefinite."""
        for matrix in (rest,) if first is None else (first, rest):
            rounding = len(matrix) * torch.finfo(matrix.dtype).eps * matrix.trace().item()
            matrix.diagonal().add_(max(damping, rounding))
        return cls(None if first is None else torch.linalg.cholesky(first), torch.linalg.cholesky(rest), directions)

    def _apply(self, vector: Tensor, solve) -> Tensor:
        if self.first is None or self.directions is None:
            return solve(self.rest, vector[:, None])[:, 0]
        width, (n_directions, n_inputs) = len(self.first), self.directions.shape
        layer, others = vector[: width * n_inputs].reshape(width, n_inputs), vector[width * n_inputs :]
        along = layer @ self.directions.T
        block = solve(self.rest, torch.cat([along.reshape(-1), others])[:, None])[:, 0]
        cut = width * n_directions
        # What acts on the units from the left leaves rows across the directions across them
        layer = solve(self.first, layer - along @ self.directions)
        layer = torch.addmm(layer, block[:cut].reshape(width, n_directions), self.directions)
        return torch.cat([layer.reshape(-1), block[cut:]])

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
    risk: StudentRisk, params: Tensor, damping: float, *, n_directions: int = 0
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
    n_directions : int
        As in ``gauss_newton_matrix``.

    Returns
    -------
    GaussNewtonFactor
        Its Cholesky factors.
    """
    return GaussNewtonFactor.of(*gauss_newton_matrix(risk, params, n_directions=n_directions), damping)


def matrix_order(network: StudentNetwork, n_directions: int = 0) -> int:
    """Order of the block of all that is not a free first layer across its leading directions.

    Parameters
    ----------
    network : StudentNetwork
        The student.
    n_directions : int
        As in ``gauss_newton_matrix``.

    Returns
    -------
    int
    """
    across = 0 if network.rank is not None else max(0, network.n_inputs - n_directions)
    return network.n_params - across * network.hidden_layer_sizes[0]


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


def gauss_newton_matrix(
    risk: StudentRisk, params: Tensor, *, n_directions: int = 0
) -> tuple[Tensor | None, Tensor, Tensor | None]:
    """Evaluate the Gauss-Newton matrix, penalties included, from at most ``MAX_ROWS`` rows.

    Parameters
    ----------
    risk : StudentRisk
        The objective.
    params : Tensor of shape (n_params,)
        The point.
    n_directions : int
        Leading directions of a free first layer, right singular vectors, that are kept with all other parameters;
        ``n_inputs`` keeps it whole. Of no effect where there is a rank.

    Returns
    -------
    first : Tensor of shape (width, width) or None
        The factor of a free first layer across the directions; None where it has a rank, or is kept whole.
    rest : Tensor
        The block of all other parameters, the first layer as its product with the directions.
    directions : Tensor of shape (n_directions, n_inputs) or None
        Orthonormal rows.
    """
    network, ranks = risk.network, risk.ranks or Ranks()
    indices, layers, _ = network.unpack(params.detach())
    directions = None
    if indices is None and n_directions == 0:
        directions = layers[0][:0]
    elif indices is None and n_directions < network.n_inputs:
        directions = torch.linalg.svd(layers[0], full_matrices=False).Vh[:n_directions]
    chosen = some_rows(risk)
    weights = risk.weights[chosen] / ranks.sum(risk.weights[chosen].sum())
    prediction, jacobian, slopes = row_jacobian(network, params, risk.inputs[chosen], directions=directions)
    _, curvature = loss_derivatives(risk, prediction, risk.targets[chosen])
    largest = curvature.abs().max().item() if curvature.numel() else 0.0
    curvature = curvature.clamp(min=1e-3 * ranks.max(largest))
    roots = (curvature * weights[:, None]).sqrt().T[:, :, None]
    rows = (jacobian * roots).flatten(0, 1)
    rest = ranks.sum(rows.T @ rows)
    rest.diagonal().add_(_penalty_diagonal(risk, indices, layers, directions))
    if directions is None:
        return None, rest, None
    steep = (slopes * roots).flatten(0, 1)
    first = ranks.sum(steep.T @ steep)
    first.diagonal().add_(2.0 * risk.alpha)
    return first, rest, directions


def _penalty_diagonal(
    risk: StudentRisk, indices: Tensor | None, layers: list[Tensor], directions: Tensor | None
) -> Tensor:
    """Diagonal of the Hessian of the penalties, of a free first layer along the directions only."""
    network, pieces = risk.network, []
    if indices is None:
        n_columns = network.n_inputs if directions is None else len(directions)
        pieces.append(layers[0].new_full((len(layers[0]) * n_columns,), 2.0 * risk.alpha))
    else:
        width = layers[0].square().sum(dim=0)
        pieces.append((2.0 * risk.alpha * width)[:, None].expand(indices.shape).reshape(-1))
        length = indices.square().sum(dim=1)
        pieces.append((2.0 * risk.alpha * length)[None, :].expand(layers[0].shape).reshape(-1))
    if network.train_bias:
        pieces.append(layers[0].new_zeros(layers[0].shape[0]))
    for layer in layers[1:]:
        pieces += [layer.new_full((layer.numel(),), 2.0 * risk.weight_decay), layer.new_zeros(layer.shape[0])]
    return torch.cat(pieces)
