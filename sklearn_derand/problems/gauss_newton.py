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
from sklearn_derand.problems.student_network import ACTIVATIONS

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


def gauss_newton_factor(risk: StudentRisk, params: Tensor, damping: float) -> GaussNewtonFactor:
    """Factor the damped Gauss-Newton matrix at a point.

    Parameters
    ----------
    risk : StudentRisk
        The objective.
    params : Tensor of shape (n_params,)
        The point.
    damping : float
        Multiple of the identity that is added.

    Returns
    -------
    GaussNewtonFactor
        Its Cholesky factors.
    """
    network, ranks = risk.network, risk.ranks or Ranks()
    counts = ranks.table(len(risk.inputs))[:, 0].astype(int)
    spacing = -(-counts.sum() // MAX_ROWS)
    chosen = slice(-counts[: ranks.rank].sum() % spacing, None, spacing)
    inputs, weights = risk.inputs[chosen], risk.weights[chosen]
    indices, layers, _ = network.unpack(params.detach())
    activation = ACTIVATIONS[network.activation]
    with torch.enable_grad():
        preactivations = [network.preactivations(params.detach(), inputs).requires_grad_()]
        _, _, biases = network.unpack(params.detach())
        for weight, bias in zip(layers[1:], biases[1:], strict=True):
            preactivations.append(torch.addmm(bias, activation(preactivations[-1]), weight.T))
        prediction = preactivations[-1]
        curvature = _loss_curvature(risk, prediction.detach(), chosen) * (weights / ranks.sum(weights.sum()))[:, None]
        projected = inputs if indices is None else inputs @ indices.T
        arrived = [projected, *(activation(p.detach()) for p in preactivations[:-1])]
        rest, first = 0.0, 0.0
        for output in range(prediction.shape[1]):
            slopes = torch.autograd.grad(prediction[:, output].sum(), preactivations, retain_graph=True)
            root = curvature[:, output].sqrt()[:, None]
            slopes = [slope * root for slope in slopes]
            blocks = []
            if indices is not None:
                blocks.append(_outer(slopes[0] @ layers[0], inputs))
                blocks.append(_outer(slopes[0], arrived[0]))
            else:
                first = first + slopes[0].T @ slopes[0]
            if network.train_bias:
                blocks.append(slopes[0])
            for slope, values in zip(slopes[1:], arrived[1:], strict=True):
                blocks += [_outer(slope, values), slope]
            jacobian = torch.cat(blocks, dim=1)
            rest = rest + jacobian.T @ jacobian
    rest = ranks.sum(rest)
    rest.diagonal().add_(_penalty_diagonal(risk, indices, layers) + damping)
    if indices is not None:
        return GaussNewtonFactor(None, torch.linalg.cholesky(rest), network.n_inputs)
    first = ranks.sum(first)
    first.diagonal().add_(2.0 * risk.alpha + damping)
    return GaussNewtonFactor(torch.linalg.cholesky(first), torch.linalg.cholesky(rest), network.n_inputs)


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)


def _loss_curvature(risk: StudentRisk, prediction: Tensor, chosen: slice) -> Tensor:
    """Second derivative of the loss in each prediction, kept positive; row sums where outputs are coupled."""
    from dataclasses import replace

    prediction = prediction.requires_grad_()
    part = replace(risk, targets=risk.targets[chosen])
    (slope,) = torch.autograd.grad(part.losses(prediction).sum(), prediction, create_graph=True)
    if not slope.requires_grad:
        return torch.zeros_like(prediction)
    (curvature,) = torch.autograd.grad(slope.sum(), prediction)
    largest = curvature.abs().max().item() if curvature.numel() else 0.0
    return curvature.clamp(min=1e-3 * (risk.ranks or Ranks()).max(largest))


def _penalty_diagonal(risk: StudentRisk, indices: Tensor | None, layers: list[Tensor]) -> Tensor:
    """Diagonal of the Hessian of the penalties, without that of a free first layer."""
    network, pieces = risk.network, []
    if indices is not None:
        width = layers[0].square().sum(dim=0)
        pieces.append((2.0 * risk.alpha * width)[:, None].expand(indices.shape).reshape(-1))
        length = indices.square().sum(dim=1)
        pieces.append((2.0 * risk.alpha * length)[None, :].expand(layers[0].shape).reshape(-1))
    if network.train_bias:
        pieces.append(layers[0].new_zeros(layers[0].shape[0]))
    for layer in layers[1:]:
        pieces += [layer.new_full((layer.numel(),), 2.0 * risk.weight_decay), layer.new_zeros(layer.shape[0])]
    return torch.cat(pieces)
