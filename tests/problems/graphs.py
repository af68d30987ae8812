"""Graphs for the tests of this room, and brute force on them."""

import itertools

import numpy as np
from scipy import sparse


def random_graph(n, density=0.5, signed=False, seed=0, integer=False):
    rng = np.random.default_rng(seed)
    W = rng.integers(1, 6, (n, n)).astype(float) if integer else rng.exponential(size=(n, n))
    if signed:
        W *= rng.choice([-1, 1], (n, n))
    W = np.triu(W * (rng.random((n, n)) < density), 1)
    return sparse.csr_array(W + W.T)


def all_signs(n):
    return np.array([(1.0, *rest) for rest in itertools.product((1.0, -1.0), repeat=n - 1)]).T


def maximum_cut(weights):
    from sklearn_derand.problems.weighted_graph import cut_values

    return cut_values(weights, all_signs(weights.shape[0])).max()
