"""Cut values against the definition."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_derand.metrics import cut_value


@pytest.fixture
def graph():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(9, 9))
    return W + W.T, rng.integers(0, 2, 9)


def test_definition(graph):
    W, labels = graph
    expected = sum(W[i, j] for i in range(9) for j in range(i) if labels[i] != labels[j])
    assert cut_value(W, labels) == pytest.approx(expected)
    for kind in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
        assert cut_value(kind(W), labels) == pytest.approx(expected)


def test_sides_and_diagonal_do_not_matter(graph):
    W, labels = graph
    assert cut_value(W, 1 - labels) == pytest.approx(cut_value(W, labels))
    assert cut_value(W + np.diag(np.arange(9.0)), labels) == pytest.approx(cut_value(W, labels))
    assert cut_value(W, np.array(["a", "b"])[labels]) == pytest.approx(cut_value(W, labels))
    assert cut_value(W, np.zeros(9)) == 0.0


@pytest.mark.parametrize(
    ("W", "labels", "message"),
    [
        (np.ones((3, 2)), [0, 1, 0], "must be square"),
        (np.ones((3, 3)), [0, 1], "2 entries for the 3 nodes"),
        (np.ones((3, 3)), [0, 1, 2], "at most two values"),
        ([[0, np.nan], [np.nan, 0]], [0, 1], "NaN"),
    ],
)
def test_bad_input(W, labels, message):
    with pytest.raises(ValueError, match=message):
        cut_value(W, labels)
