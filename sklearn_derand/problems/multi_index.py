"""Student risk ``R_n(theta) = sum_i w_i l(f_theta(x_i), y_i) + alpha ||W_1||_F^2 + decay``.

Section 4 of arXiv 2510.19382: for Gaussian ``x`` and infinitely many rows a second-order stationary
point with ``curvature_tol < 2 alpha`` has no first-layer weight outside the teacher's subspace
(Theorem 4.1). Here the sum is over the rows given, so what is descended and certified is the risk of
this sample; `stein_decomposition` measures how far the sample is from the theorem's assumption.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from sklearn_derand.problems.gauss_newton import MAX_ORDER, GaussNewtonFactor, gauss_newton_factor, matrix_order
from sklearn_derand.problems.losses import Loss
from sklearn_derand.problems.ranks import Ranks, replicated, total
from sklearn_derand.problems.student_network import StudentNetwork

LARGE_SHIFT = 1.0
"""Shift from which the identity is metric enough: targets are standardised."""

DIRECTIONS = 8
"""Leading directions of a free first layer that the metric keeps with all other parameters."""


@dataclass(frozen=True)
class StudentRisk:
    """Penalised empirical risk of a student, an objective on a flat vector.

    ``value = sum_i w_i loss(shift + scale f(x_i), y_i) + alpha ||W_1||_F^2 + weight_decay sum_{l>1} ||W_l||_F^2``

    Biases carry no penalty: the lemma needs them free. `noise` is the part of ``W_1`` outside the
    teacher's subspace, unknown while fitting, so this objective names no noise block.

    Parameters
    ----------
    network : StudentNetwork
        The shape of the student.
    inputs : Tensor of shape (n_samples, n_inputs)
        Rows, centred and isotropic for the lemma to speak; not checked.
    targets : Tensor of shape (n_samples, n_outputs)
        What the loss compares with.
    weights : Tensor of shape (n_samples,)
        Sample weights that sum to 1.
    loss : callable
        ``(prediction, target) -> loss of each row``, twice differentiable.
    alpha : float
        Penalty of the first layer, the lemma's lambda.
    weight_decay : float
        Penalty of the other weights.
    shift, scale : Tensor of shape (n_outputs,) or None
        Units in which the loss sees the prediction.
    ranks : Ranks or None
        Processes over which the rows are spread: those here are then this rank's, and the weights of all sum to 1.

    Examples
    --------
    >>> from sklearn_derand.problems.losses import squared_error
    >>> network = StudentNetwork(n_inputs=1, n_outputs=1, hidden_layer_sizes=(2,))
    >>> x = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]
    >>> risk = StudentRisk(network, x, x, torch.full((4,), 0.25, dtype=torch.float64), squared_error, 0.1)
    >>> float(risk.value(torch.zeros(network.n_params, dtype=torch.float64)))  # half the mean square of x
    0.277...
    """

    network: StudentNetwork
    inputs: Tensor
    targets: Tensor
    weights: Tensor
    loss: Loss
    alpha: float
    weight_decay: float = 0.0
    shift: Tensor | None = None
    scale: Tensor | None = None
    ranks: Ranks | None = None

    def value(self, params: Tensor) -> Tensor:
        """Evaluate the penalised risk.

        Parameters
        ----------
        params : Tensor of shape (network.n_params,)
            The flat vector.

        Returns
        -------
        Tensor
            0-d, twice differentiable.
        """
        shared = replicated(params, self.ranks)
        share = self.data_risk(shared, self.network.preactivations(shared, self.inputs))
        return total(share, self.ranks) + self.penalty(params)

    def penalty(self, params: Tensor) -> Tensor:
        """``alpha ||W_1||_F^2`` and the decay of the other weights.

        Parameters
        ----------
        params : Tensor of shape (network.n_params,)
            The flat vector.

        Returns
        -------
        Tensor
            0-d.
        """
        indices, layers, _ = self.network.unpack(params)
        if indices is None:
            first = layers[0].square().sum()
        else:
            # ||A B||_F^2 through two Gram matrices of size rank, never the product itself.
            first = ((layers[0].T @ layers[0]) * (indices @ indices.T)).sum()
        decay = sum(layer.square().sum() for layer in layers[1:])
        return self.alpha * first + self.weight_decay * decay

    def data_risk(self, params: Tensor, preactivations: Tensor) -> Tensor:
        """Mean loss as a function of the first preactivations, ``E[g(W_1 x + b_1)]``; this rank's share of it.

        Parameters
        ----------
        params : Tensor of shape (network.n_params,)
            The flat vector, of which only the layers after the first are used.
        preactivations : Tensor of shape (n_samples, hidden_layer_sizes[0])
            ``W_1 x + b_1`` for each row.

        Returns
        -------
        Tensor
            0-d.
        """
        return self.weights @ self.losses(self.network.readout(params, preactivations))

    def metric(self, params: Tensor, shift: float) -> GaussNewtonFactor | None:
        """Factor the Gauss-Newton matrix plus ``shift I``: the coordinates in which the certificate is cheap.

        Parameters
        ----------
        params : Tensor of shape (network.n_params,)
            The point.
        shift : float
            Positive.

        Returns
        -------
        GaussNewtonFactor or None
            None where the matrix is too large, not finite, or of no use beside ``shift``.
        """
        if shift >= LARGE_SHIFT or matrix_order(self.network, DIRECTIONS) > MAX_ORDER:
            return None
        try:
            return gauss_newton_factor(self, params, shift, n_directions=DIRECTIONS)
        except torch.linalg.LinAlgError:
            return None

    def losses(self, prediction: Tensor) -> Tensor:
        """Loss of each row at a raw prediction of the network.

        Parameters
        ----------
        prediction : Tensor of shape (n_samples, n_outputs)
            What the network returns.

        Returns
        -------
        Tensor of shape (n_samples,)
            Loss of each row.
        """
        if self.scale is not None:
            prediction = prediction * self.scale
        if self.shift is not None:
            prediction = prediction + self.shift
        return self.loss(prediction, self.targets)

    @property
    def n_terms(self) -> int:
        """Rows of this rank, of which a batch stands for all."""
        return len(self.inputs)

    def batch(self, indices: Tensor) -> StudentRisk:
        """Return the risk of some rows, weighted so that over uniformly drawn rows it is unbiased for all.

        Parameters
        ----------
        indices : Tensor of int
            Rows.

        Returns
        -------
        StudentRisk
            Of the same student and penalties.
        """
        weights = self.weights[indices] * (self.n_terms / len(indices))
        return replace(self, inputs=self.inputs[indices], targets=self.targets[indices], weights=weights)

    def initial(self, generator: Generator) -> Tensor:
        """Draw the random law of the network.

        Parameters
        ----------
        generator : torch.Generator
            Source of randomness.

        Returns
        -------
        Tensor of shape (network.n_params,)
            A draw, on the device of the inputs.
        """
        return self.network.initial(generator).to(self.inputs.device)

    def noise(self, params: Tensor) -> None:
        """Name no noise block: the teacher's subspace is not known while fitting.

        Parameters
        ----------
        params : Tensor of shape (network.n_params,)
            Not used.
        """


@dataclass(frozen=True)
class SteinDecomposition:
    """The sample form of Lemma 3.1 at one point and for one subspace.

    ``noise <= bound = (gradient_norm + stein_gap) / (2 alpha + bias_curvature)`` holds exactly, for any
    parameters and any projector, whenever the denominator is positive; otherwise ``bound`` is inf.

    Parameters
    ----------
    noise : float
        ``||W_1 P||_F``, P the projector on the complement of the subspace.
    gradient_norm : float
        ``||dR_n/dW_1 P||_F``.
    stein_gap : float
        ``||D_n||_F``: how far Stein's identity is from holding on the sample.
    bias_curvature : float
        Least eigenvalue of the Hessian of the risk in the first-layer biases.
    bound : float
        Right-hand side of the inequality.
    """

    noise: float
    gradient_norm: float
    stein_gap: float
    bias_curvature: float
    bound: float


def stein_decomposition(risk: StudentRisk, params: Tensor, subspace: Tensor) -> SteinDecomposition:
    """Evaluate the sample form of the lemma.

    With ``g_i`` the loss of row i as a function of ``z_i = W_1 x_i + b_1`` and ``P`` the projector on the
    complement of ``subspace``, ``D_n = sum w_i grad g_i (P x_i)' - (sum w_i Hess g_i) W_1 P`` has mean 0 for
    Gaussian ``x`` (Stein), and ``(Hess_b R_n + 2 alpha I) W_1 P = dR_n/dW_1 P - D_n`` identically.

    Parameters
    ----------
    risk : StudentRisk
        The objective, of a network without a rank.
    params : Tensor of shape (network.n_params,)
        Where to evaluate; need not be stationary.
    subspace : Tensor of shape (n_directions, n_inputs)
        Rows that span the subspace; they need not be orthonormal. Where they are as many as the inputs nothing is
        left out, and noise, gap and gradient are exactly 0.

    Returns
    -------
    SteinDecomposition
        The terms and the bound.
    """
    network = risk.network
    first = network.first_layer(params)
    basis = torch.linalg.qr(subspace.T).Q

    def away(rows: Tensor) -> Tensor:
        # Where nothing is left out a difference would be rounding, and so would the bound.
        return rows - (rows @ basis) @ basis.T if basis.shape[1] < basis.shape[0] else torch.zeros_like(rows)

    outside = away(first)
    zero = torch.zeros(first.shape[0], dtype=params.dtype, device=params.device, requires_grad=True)
    preactivations = network.preactivations(params, risk.inputs)
    rows = preactivations + zero
    (per_row,) = torch.autograd.grad(risk.data_risk(params, rows), rows, create_graph=True)
    in_bias = per_row.sum(dim=0)
    curvature = torch.stack([torch.autograd.grad(entry, zero, retain_graph=True)[0] for entry in in_bias.unbind()])
    curvature = total(0.5 * (curvature + curvature.T), risk.ranks)
    data_gradient = away(total(per_row.detach().T @ risk.inputs, risk.ranks))
    gap = torch.linalg.matrix_norm(data_gradient - curvature @ outside).item()
    gradient = torch.linalg.matrix_norm(data_gradient + 2.0 * risk.alpha * outside).item()
    least = torch.linalg.eigvalsh(curvature)[0].item()
    denominator = 2.0 * risk.alpha + least
    return SteinDecomposition(
        noise=torch.linalg.matrix_norm(outside).item(),
        gradient_norm=gradient,
        stein_gap=gap,
        bias_curvature=least,
        bound=(gradient + gap) / denominator if denominator > 0.0 else float("inf"),
    )
