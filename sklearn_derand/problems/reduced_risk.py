"""Squared-error risk of a student with its last layer at its minimiser, a ridge regression on the last hidden layer.

Golub and Pereyra (1973): what is left is a function of the other parameters alone, whose gradient is the partial one
of the risk. Where a link needs large output weights (a polynomial, say) both layers move along a narrow valley, which
takes many hundred steps with all parameters free and a tenth of them on the reduced function (measured).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sklearn_derand.problems.gauss_newton import GaussNewtonFactor, gauss_newton_matrix
from sklearn_derand.problems.losses import squared_error
from sklearn_derand.problems.multi_index import StudentRisk
from sklearn_derand.problems.ranks import Ranks, replicated, total
from sklearn_derand.problems.student_network import ACTIVATIONS


def is_separable(risk: StudentRisk) -> bool:
    """Whether the last layer has a minimiser in closed form: squared error, and a decay that makes it unique.

    Parameters
    ----------
    risk : StudentRisk
        The objective.

    Returns
    -------
    bool
    """
    return risk.loss is squared_error and risk.scale is None and risk.shift is None and risk.weight_decay > 0


class ReducedRisk:
    """``min over (W_L, b_L) of R_n``, an objective on the parameters before the last layer.

    Parameters
    ----------
    risk : StudentRisk
        For which ``is_separable`` holds.

    Examples
    --------
    >>> from sklearn_derand.problems.student_network import StudentNetwork
    >>> network = StudentNetwork(n_inputs=1, n_outputs=1, hidden_layer_sizes=(2,))
    >>> x = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
    >>> weights = torch.full((4,), 0.25, dtype=torch.float64)
    >>> risk = StudentRisk(network, x, x, weights, squared_error, 0.1, weight_decay=0.01)
    >>> start = network.initial(torch.Generator().manual_seed(0))
    >>> reduced = ReducedRisk(risk)
    >>> bool(reduced.value(reduced.restrict(start)) <= risk.value(start))
    True
    """

    def __init__(self, risk: StudentRisk):
        self.risk = risk
        self._outputs, self._width = risk.network.n_outputs, risk.network.hidden_layer_sizes[-1]
        self._n_kept = risk.network.n_params - self._outputs * (self._width + 1)
        self._ranks = risk.ranks or Ranks()
        self._centre = self._ranks.sum(risk.weights @ risk.targets)
        self._centred = risk.targets - self._centre
        self._solved: tuple[Tensor, Tensor] | None = None

    def restrict(self, params: Tensor) -> Tensor:
        """Return the parameters before the last layer."""
        return params[: self._n_kept]

    def complete(self, kept: Tensor) -> Tensor:
        """Return all parameters, the last layer at its minimiser."""
        if self._solved is not None and torch.equal(self._solved[0], kept):
            return torch.cat([kept, self._solved[1]])
        with torch.no_grad():
            last = self._solve(kept, self._last_hidden(kept))
        return torch.cat([kept, last])

    def value(self, kept: Tensor) -> Tensor:
        """Evaluate the reduced risk; its gradient needs no derivative of the minimiser."""
        hidden = self._last_hidden(replicated(kept, self.risk.ranks))
        with torch.no_grad():
            last = self._solve(kept.detach(), hidden.detach())
        weight, bias = last[: -self._outputs].reshape(self._outputs, -1), last[-self._outputs :]
        prediction = torch.addmm(bias, hidden, weight.T)
        share = self.risk.weights @ self.risk.losses(prediction)
        return total(share, self.risk.ranks) + self.risk.penalty(torch.cat([kept, last]))

    def metric(self, kept: Tensor, damping: float, *, n_directions: int = 0) -> GaussNewtonFactor:
        """Factor the Gauss-Newton matrix of the reduced risk: the Schur complement of the last layer's block."""
        first, matrix, directions = gauss_newton_matrix(self.risk, self.complete(kept), n_directions=n_directions)
        n_last = self._outputs * (self._width + 1)
        cut = len(matrix) - n_last
        matrix.diagonal().add_(1e-9)  # rounding: the smallest eigenvalues are the decay's
        across = matrix[cut:, :cut]
        matrix = matrix[:cut, :cut] - across.T @ torch.linalg.solve(matrix[cut:, cut:], across)
        return GaussNewtonFactor.of(first, matrix, directions, damping)

    def _last_hidden(self, kept: Tensor) -> Tensor:
        network = self.risk.network
        params = torch.cat([kept, kept.new_zeros(self._outputs * (self._width + 1))])
        _, weights, biases = network.unpack(params)
        hidden = ACTIVATIONS[network.activation](network.preactivations(params, self.risk.inputs))
        for weight, bias in zip(weights[1:-1], biases[1:-1], strict=True):
            hidden = ACTIVATIONS[network.activation](torch.addmm(bias, hidden, weight.T))
        return hidden

    def _solve(self, kept: Tensor, hidden: Tensor) -> Tensor:
        weighted = self.risk.weights[:, None] * hidden
        mean = self._ranks.sum(weighted.sum(dim=0))
        gram = self._ranks.sum(weighted.T @ hidden) - torch.outer(mean, mean)
        gram.diagonal().add_(2.0 * self.risk.weight_decay)
        weight = torch.linalg.solve(gram, self._ranks.sum(weighted.T @ self._centred))
        last = torch.cat([weight.T.reshape(-1), self._centre - mean @ weight])
        self._solved = (kept, last)
        return last
