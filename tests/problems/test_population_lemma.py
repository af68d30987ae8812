"""Lemma 3.1 of arXiv 2510.19382 at certified points of Gaussian population risks, computed by quadrature.

A second-order stationary point has no more weight across the teacher's direction than its gradient and the curvature in
the biases allow. Biases that stay at 0, or no penalty, and it has.
"""

import math

import numpy as np
import pytest
import torch

from sklearn_derand.engine import minimize
from sklearn_derand.engine.derivatives import Derivatives

F64 = torch.float64
WIDTH, LAM, TOL, CURVATURE_TOL = 4, 0.02, 1e-6, 1e-3
BOUND = TOL / (2 * LAM - CURVATURE_TOL)
QUADRATURE_ERROR = 1e-12
SQUARE, TANH = torch.square, torch.tanh
TEACHERS = {SQUARE: lambda t: t**2 + 1.0, TANH: lambda t: torch.tanh(t + 0.5)}


def gaussian_plane(n_nodes):
    """Nodes and weights of the standard normal law of the plane."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    return torch.as_tensor(grid), torch.as_tensor(np.outer(weights, weights).ravel() / weights.sum() ** 2)


class PopulationRisk:
    """``0.5 E (mean_j s(w_j . x + b_j) - h(u . x))**2 + lam ||W||_F^2`` of ``[W, b]``; u is the diagonal."""

    def __init__(self, activation, *, lam=LAM, train_bias=True):
        # Squares are integrated exactly by five nodes; for tanh thirty leave only rounding at these points.
        self.x, self.p = gaussian_plane(5 if activation is SQUARE else 30)
        self.target = TEACHERS[activation](self.x.sum(dim=1) / math.sqrt(2.0))
        self.activation, self.lam, self.train_bias = activation, lam, train_bias
        # With squares the constant of the target is out of reach but through biases, or through weight across u.
        signs = [1.0, 1.0, 1.0, 1.0] if activation is SQUARE else [2.0, 2.0, -2.0, 2.0]
        self.readout = torch.tensor(signs, dtype=F64) / WIDTH

    def value(self, params):
        rows, biases = params[: 2 * WIDTH].view(WIDTH, 2), params[2 * WIDTH :] * self.train_bias
        prediction = self.activation(self.x @ rows.T + biases) @ self.readout
        return 0.5 * self.p @ (prediction - self.target) ** 2 + self.lam * rows.square().sum()

    def across(self, matrix):
        """The part of a matrix's rows across u."""
        return matrix.reshape(WIDTH, 2) @ torch.tensor([1.0, -1.0], dtype=F64) / math.sqrt(2.0)

    def noise(self, params):
        return self.across(params[: 2 * WIDTH])


def certified(risk, seed):
    """Return a certified point of a risk, reached from a random start."""
    start = torch.randn(3 * WIDTH, generator=torch.Generator().manual_seed(seed), dtype=F64)
    assert risk.noise(start).norm() > 0.5
    solution = minimize(risk, start, tol=TOL, curvature_tol=CURVATURE_TOL, max_iter=3000, random_state=seed)
    assert solution.certificate.holds
    return solution.params


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", [SQUARE, TANH])
def test_no_weight_across_the_teacher(activation, seed):
    risk = PopulationRisk(activation)
    params = certified(risk, seed)
    across = risk.noise(params).norm().item()
    assert params[: 2 * WIDTH].norm() > 0.5  # along the teacher there is weight

    derivatives = Derivatives(risk)
    _, gradient = derivatives.value_and_gradient(params)
    slope = risk.across(gradient[: 2 * WIDTH]).norm().item()
    in_bias = derivatives.dense_hessian(params)[2 * WIDTH :, 2 * WIDTH :]
    assert across <= (slope + QUADRATURE_ERROR) / (2 * LAM + torch.linalg.eigvalsh(in_bias)[0].item())
    assert across <= BOUND


@pytest.mark.parametrize(
    "contrast",
    [PopulationRisk(SQUARE, train_bias=False), PopulationRisk(SQUARE, lam=0.0), PopulationRisk(TANH, lam=0.0)],
    ids=["frozen biases, squares", "no penalty, squares", "no penalty, tanh"],
)
def test_weight_across_the_teacher_stays_without_biases_or_penalty(contrast):
    assert contrast.noise(certified(contrast, 0)).norm() > 10 * BOUND
