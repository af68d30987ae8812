"""Reductions are exact: every cut extends by the same constant, and the optimum is kept."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_derand.problems.reduction import reduce_graph
from sklearn_derand.problems.vector_relaxation import expected_cut, random_unit_vectors
from sklearn_derand.problems.weighted_graph import cut_values

from .graphs import all_signs, random_graph


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("density", [0.1, 0.2, 0.3, 0.45])
@pytest.mark.parametrize("seed", range(6))
def test_every_cut_extends_by_a_constant_and_the_best_is_kept(signed, density, seed):
    weights = random_graph(13, density, signed, seed, integer=seed % 2 == 0)
    small = reduce_graph(weights)
    if small.kept.size:
        signs = all_signs(small.kept.size)
        cuts = cut_values(small.weights, signs) + small.offset
    else:
        signs, cuts = np.zeros((0, 1)), np.array([small.offset])
    full = small.extend(signs)
    np.testing.assert_array_equal(full[small.kept], signs)
    np.testing.assert_allclose(cut_values(weights, full), cuts, atol=1e-9)
    assert cuts.max() == pytest.approx(cut_values(weights, all_signs(13)).max())


def test_nothing_left_applies():
    weights = random_graph(60, 0.08, signed=True, seed=1)
    small = reduce_graph(weights)
    assert 0 < small.kept.size < 60 and len(small.removed) + small.kept.size == 60
    assert np.diff(small.weights.indptr).min() >= 4
    heaviest = abs(small.weights).max(axis=1).toarray().ravel()
    assert (2 * heaviest < abs(small.weights).sum(axis=1)).all()
    assert (small.weights != small.weights.T).nnz == 0 and not small.weights.diagonal().any()


def test_trees_and_cycles_vanish():
    for n in (2, 9):
        path = sparse.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[-1, 1]).tocsr()
        small = reduce_graph(path)
        assert small.kept.size == 0 and small.offset == n - 1
    ring = path.tolil()
    ring[0, 8] = ring[8, 0] = 1.0
    assert reduce_graph(sparse.csr_array(ring)).offset == 8
    assert reduce_graph(sparse.csr_array((4, 4))).kept.size == 0


def test_dense_graphs_are_returned_as_they_are():
    weights = random_graph(30, 1.0, seed=0)
    assert reduce_graph(weights).weights is weights


def test_hyperplane_law_loses_nothing_by_the_reduction():
    for seed in range(10):
        weights = random_graph(40, 0.1, seed % 2 == 1, seed)
        small = reduce_graph(weights)
        vectors = random_unit_vectors(small.kept.size, 4, np.random.RandomState(seed))
        full = small.extend_vectors(vectors)
        np.testing.assert_allclose(np.linalg.norm(full, axis=1), 1)
        assert expected_cut(weights, full) <= expected_cut(small.weights, vectors) + small.offset + 1e-9
