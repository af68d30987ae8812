"""The gradient of the continuation is that of the closed form, and the path ends in good labels."""

import numpy as np
import pytest
import torch

from sklearn_derand.problems import continuation
from sklearn_derand.problems.max_cut import ExpectedCut
from sklearn_derand.problems.rounding import independent_sets, round_means
from sklearn_derand.problems.vector_relaxation import default_rank, expected_cut, random_unit_vectors, solve_relaxation
from sklearn_derand.problems.weighted_graph import cut_values, upper_edges

from .graphs import random_graph


def rows_of(weights):
    return (
        torch.tensor(weights.indptr.astype(np.int64)),
        torch.tensor(weights.indices.astype(np.int64)),
        torch.tensor(weights.data),
    )


def test_gradient_is_that_of_the_expected_cut():
    weights = random_graph(20, 0.4, signed=True, seed=0)
    vectors = torch.tensor(random_unit_vectors(20, 4, np.random.RandomState(0)))
    means = torch.tensor(np.random.RandomState(1).normal(0, 0.5, 20))
    sigma, eps = 0.7, 0.1
    tau = (sigma**2 + eps**2) ** 0.5
    edges = [torch.tensor(part) for part in upper_edges(weights)]
    law = ExpectedCut(*edges, n_nodes=20, rank=4, smoothing=eps)
    exact = torch.autograd.functional.jacobian(law.value, torch.cat([means, (sigma * vectors).reshape(-1)]))[:20]
    indptr, cols, data = rows_of(weights)
    rows = torch.repeat_interleave(torch.arange(20), indptr.diff())
    correlation = (vectors[rows] * vectors[cols]).sum(1) * (sigma / tau) ** 2
    found = continuation._mean_gradient(rows, cols, data[:, None], correlation, means[:, None] / tau) / tau
    torch.testing.assert_close(found[:, 0], exact, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("signed", [False, True])
def test_path_beats_the_law_it_starts_from(signed):
    weights = random_graph(100, 0.1, signed, seed=1)
    vectors = random_unit_vectors(100, default_rank(100), np.random.RandomState(0))
    vectors = solve_relaxation(weights, vectors)
    path = continuation.descend_noise(
        *rows_of(weights), torch.tensor(vectors), n_replicas=8, n_steps=100, generator=torch.Generator().manual_seed(0)
    )
    assert path.noise[0] == 1.0 and path.noise[-1] == 0.0 and np.all(np.diff(path.noise) < 0)
    assert len(path.noise) == len(path.gradient_norms) == len(path.snapshots) == 10
    signs = round_means(independent_sets(weights), np.sign(path.means.numpy()))
    assert cut_values(weights, signs).min() > expected_cut(weights, vectors)


def test_time_used_shortens_the_path():
    weights = random_graph(10, 0.5)
    calls = []

    def time_used():
        calls.append(None)
        return 0.25 * len(calls)

    path = continuation.descend_noise(
        *rows_of(weights),
        torch.tensor(random_unit_vectors(10, 2, np.random.RandomState(0))),
        n_replicas=2,
        n_steps=1000,
        generator=torch.Generator().manual_seed(0),
        n_records=1000,
        time_used=time_used,
    )
    assert len(calls) <= 6 and path.noise[-1] == 0.0
