"""The landscapes of ``sosp.py``: functions, each with a strict saddle to start from."""

from functools import partial

import numpy as np
import torch

from sklearn_derand.engine import MetricLBFGS
from sklearn_derand.problems.gauss_newton import gauss_newton_factor
from sklearn_derand.problems.losses import squared_error
from sklearn_derand.problems.multi_index import StudentRisk
from sklearn_derand.problems.student_network import StudentNetwork


def normal(*shape, seed):
    """Draw in float64, apart from the global generator."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def phase_retrieval(n=100, m=600):
    """``mean((a'x)^2 - y)^2 / 4`` from the origin."""
    design, signal = normal(m, n, seed=0), normal(n, seed=1)
    target = (design @ (signal / signal.norm())) ** 2
    return lambda p: ((design @ p) ** 2 - target).square().mean() / 4, torch.zeros(n, dtype=torch.float64)


def matrix_factorisation(rows=60, columns=50, rank=5):
    """``||X Y' - M||^2 / 2``, M of rank 5, from the origin."""
    target = normal(rows, rank, seed=2) @ normal(rank, columns, seed=3) * 3 / np.sqrt(rows * columns)

    def f(p):
        return (
            0.5 * (p[: rows * rank].view(rows, rank) @ p[rows * rank :].view(columns, rank).T - target).square().sum()
        )

    return f, torch.zeros((rows + columns) * rank, dtype=torch.float64)


def burer_monteiro(n=200, rank=21, penalty=0.0):
    """The rank-21 relaxation of MAXCUT on G(200, 0.1), from all vectors equal.

    The lengths of the vectors do not matter to it, so that going far out makes every derivative small. With a
    ``penalty``, which is zero at unit lengths, that way is closed; the minimum is the same.
    """
    draws = torch.rand(n, n, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    weights = (draws < 0.1).double().triu(1)
    weights = weights + weights.T

    def f(p):
        vectors = p.view(n, rank)
        lengths = vectors.norm(dim=1, keepdim=True)
        vectors = vectors / lengths
        value = (vectors * (weights @ vectors)).sum() / 4
        return value + penalty * (lengths.square() - 1).square().sum() if penalty else value

    start = torch.zeros(n, rank, dtype=torch.float64)
    start[:, 0] = 1.0
    return f, start.reshape(-1)


def student(weight_decay=1e-3, n=1000, d=50, hidden=50):
    """A tanh student of width 50 of a centred product of two tanh indices, from all weights 0."""
    inputs, directions = normal(n, d, seed=5), normal(d, 2, seed=6) / np.sqrt(d)
    target = torch.tanh(inputs @ directions).prod(1)
    target = target - target.mean()
    cut = d * hidden

    def f(p):
        first, bias, last = p[:cut].view(hidden, d), p[cut : cut + hidden], p[cut + hidden : cut + 2 * hidden]
        residual = torch.tanh(inputs @ first.T + bias) @ last + p[-1] - target
        return 0.5 * residual.square().mean() + 0.5 * weight_decay * p.square().sum()

    network = StudentNetwork(n_inputs=d, n_outputs=1, hidden_layer_sizes=(hidden,))
    weights = torch.full((n,), 1 / n, dtype=torch.float64)
    risk = StudentRisk(network, inputs, target[:, None], weights, squared_error, weight_decay / 2, weight_decay / 2)
    metric = MetricLBFGS(partial(gauss_newton_factor, risk, damping=1e-2))
    return f, torch.zeros(cut + 2 * hidden + 1, dtype=torch.float64), metric


LANDSCAPES = {
    "phase": phase_retrieval,
    "factorisation": matrix_factorisation,
    "maxcut": burer_monteiro,
    "maxcut-penalty": partial(burer_monteiro, penalty=0.25),
    "student": student,
    "student-1e-4": lambda: student(1e-4),
}
"""Name -> (f, strict saddle), and for a student a solver that knows its Gauss-Newton matrix."""
