"""A combination is a labelling no worse than its parents, and the tied graph knows all of theirs."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_derand.problems.recombination import combine, tie
from sklearn_derand.problems.weighted_graph import cut_values

from .graphs import all_signs, random_graph


def parents_of(weights, k, seed):
    signs = np.random.RandomState(seed).choice([-1.0, 1.0], (weights.shape[0], 1))
    flips = np.random.RandomState(seed + 1).random((weights.shape[0], k)) < 0.2
    return np.where(flips, -signs, signs)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_tied_cuts_differ_by_a_constant(signed, k):
    weights = random_graph(16, 0.3, signed, seed=k)
    parents = parents_of(weights, k, seed=0)
    tied, lift, groups = tie(weights, parents)
    assert (groups[:, 0] == 1).all() and set(np.unique(groups)) <= {-1.0, 1.0}
    lifted = lift @ groups
    np.testing.assert_array_equal(np.abs(np.sum(lifted * parents, axis=0)), 16)
    signs = np.random.RandomState(3).choice([-1.0, 1.0], (tied.shape[0], 30))
    difference = cut_values(weights, lift @ signs) - cut_values(tied, signs)
    np.testing.assert_allclose(difference, difference[0])


@pytest.mark.parametrize("seed", range(5))
def test_the_tied_graph_is_symmetric_where_sums_cancel_but_for_rounding(seed):
    """Of .1 + .2 - .3, whose sum is 0 in one order and 3e-17 in another, an edge must not exist one way only."""
    rng = np.random.RandomState(seed)
    weights = np.triu(rng.choice([0.1, 0.2, 0.3, -0.3], (30, 30)), 1)
    weights = sparse.csr_array(weights + weights.T)
    parents = parents_of(weights, 3, seed)
    tied, _, _ = tie(weights, parents)
    assert (tied != tied.T).nnz == 0
    child = combine(weights, parents, lambda small, starts: starts)
    assert cut_values(weights, child[:, None])[0] >= cut_values(weights, parents).max() - 1e-9


def test_child_is_the_best_combination_where_the_search_is_exhaustive():
    for seed in range(8):
        weights = random_graph(14, 0.4, seed % 2 == 1, seed)
        parents = parents_of(weights, 3, seed)

        def enumerate_all(small, starts):
            return all_signs(small.shape[0])

        child = combine(weights, parents, enumerate_all)
        tied, lift, _ = tie(weights, parents)
        best = cut_values(weights, lift @ all_signs(tied.shape[0])).max()
        assert cut_values(weights, child[:, None])[0] == pytest.approx(best)


def test_child_is_never_worse_even_without_a_search():
    for seed in range(8):
        weights = random_graph(60, 0.15, seed % 2 == 1, seed)
        parents = np.random.RandomState(seed).choice([-1.0, 1.0], (60, 4))
        child = combine(weights, parents, lambda small, starts: starts)
        assert cut_values(weights, child[:, None])[0] >= cut_values(weights, parents).max() - 1e-9
