r"""Sum of the risks of several students: a second-order stationary point is one of each, and their mean predicts.

The Hessian is block diagonal, so a certificate of the sum bounds the gradient and the curvature of every member. For a
convex loss the mean's loss is at most the members' mean loss (Jensen).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sklearn_derand.problems.gauss_newton import GaussNewtonFactor, gauss_newton_factor
from sklearn_derand.problems.multi_index import StudentRisk


@dataclass(frozen=True)
class StudentEnsembleRisk:
    """``value(theta_1, ..., theta_m) = R(theta_1) + ... + R(theta_m)`` on one flat vector.

    Parameters
    ----------
    risk : StudentRisk
        The objective of each member.
    n_members : int
        How many there are.

    Examples
    --------
    >>> from sklearn_derand.problems.losses import squared_error
    >>> from sklearn_derand.problems.student_network import StudentNetwork
    >>> network = StudentNetwork(n_inputs=1, n_outputs=1, hidden_layer_sizes=(2,))
    >>> x = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
    >>> one = StudentRisk(network, x, x, torch.full((4,), 0.25, dtype=torch.float64), squared_error, 0.1)
    >>> StudentEnsembleRisk(one, 3).value(torch.zeros(21, dtype=torch.float64)) / one.value(torch.zeros(7).double())
    tensor(3., dtype=torch.float64)
    """

    risk: StudentRisk
    n_members: int

    def members(self, params: Tensor) -> tuple[Tensor, ...]:
        """Split the flat vector.

        Parameters
        ----------
        params : Tensor of shape (n_members * risk.network.n_params,)
            The flat vector.

        Returns
        -------
        tuple of Tensor of shape (risk.network.n_params,)
            One for each member.
        """
        return params.split(self.risk.network.n_params)

    def value(self, params: Tensor) -> Tensor:
        """Add up the members' risks.

        Parameters
        ----------
        params : Tensor of shape (n_members * risk.network.n_params,)
            The flat vector.

        Returns
        -------
        Tensor
            0-d, twice differentiable.
        """
        return torch.stack([self.risk.value(member) for member in self.members(params)]).sum()

    def metric(self, params: Tensor, shift: float) -> BlockFactor | None:
        """Factor the members' Gauss-Newton matrices, as `StudentRisk.metric`.

        Parameters
        ----------
        params : Tensor of shape (n_members * risk.network.n_params,)
            The point.
        shift : float
            Positive.

        Returns
        -------
        BlockFactor or None
            None where a member has none.
        """
        blocks = [self.risk.metric(member, shift) for member in self.members(params)]
        factors = [block for block in blocks if block is not None]
        return BlockFactor(factors) if len(factors) == self.n_members else None

    def factor(self, params: Tensor, damping: float, n_directions: int) -> BlockFactor:
        """Factor the members' Gauss-Newton matrices, for descents.

        Parameters
        ----------
        params : Tensor of shape (n_members * risk.network.n_params,)
            The point.
        damping : float
            Multiple of the identity that is added.
        n_directions : int
            As in ``gauss_newton_matrix``.

        Returns
        -------
        BlockFactor
        """
        members = self.members(params)
        return BlockFactor([gauss_newton_factor(self.risk, m, damping, n_directions=n_directions) for m in members])

    def merged(self, params: Tensor) -> tuple[StudentRisk, Tensor]:
        """Return the one wide student that predicts the mean: hidden layers side by side, last layers averaged.

        Parameters
        ----------
        params : Tensor of shape (n_members * risk.network.n_params,)
            The flat vector.

        Returns
        -------
        risk : StudentRisk
            Of a network without a rank; its penalties are not the members'.
        params : Tensor
            Its parameters.
        """
        network = self.risk.network
        weights, biases = [], []
        for member in self.members(params):
            _, layers, offsets = network.unpack(member)
            weights.append([network.first_layer(member), *layers[1:]])
            biases.append(offsets)
        first, *between, last = (list(layers) for layers in zip(*weights, strict=True))
        *hidden, outputs = (list(offsets) for offsets in zip(*biases, strict=True))
        joined = [torch.cat(first), *(torch.block_diag(*layers) for layers in between)]
        widths = tuple(self.n_members * width for width in network.hidden_layer_sizes)
        wide = replace(network, hidden_layer_sizes=widths, rank=None)
        mean = torch.stack(outputs).mean(dim=0)
        joined.append(torch.cat(last, dim=1) / self.n_members)
        return replace(self.risk, network=wide), wide.pack(None, joined, [*map(torch.cat, hidden), mean])


@dataclass(frozen=True)
class BlockFactor:
    """A factor of a block diagonal matrix, by those of its blocks, all of one order; see ``engine.metric``."""

    blocks: list[GaussNewtonFactor]

    def _apply(self, vector: Tensor, act: Callable[[GaussNewtonFactor, Tensor], Tensor]) -> Tensor:
        pieces = vector.chunk(len(self.blocks))
        return torch.cat([act(block, piece) for block, piece in zip(self.blocks, pieces, strict=True)])

    def scale_gradient(self, gradient: Tensor) -> Tensor:
        """Return ``L^-1 g``."""
        return self._apply(gradient, GaussNewtonFactor.scale_gradient)

    def scale_step(self, step: Tensor) -> Tensor:
        """Return ``L' s``."""
        return self._apply(step, GaussNewtonFactor.scale_step)

    def unscale_step(self, step: Tensor) -> Tensor:
        """Return ``L'^-1 u``."""
        return self._apply(step, GaussNewtonFactor.unscale_step)
