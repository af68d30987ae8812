"""Maps to maximum cut and back: values equal on every point."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from sklearn_derand.datasets import ising_to_graph, qubo_to_graph
from sklearn_derand.metrics import cut_value


def labellings(n):
    return itertools.product((0, 1), repeat=n)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.coo_matrix])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_qubo(n, kind):
    Q = np.random.default_rng(n).normal(size=(n, n))
    W, back = qubo_to_graph(kind(Q))
    seen = set()
    for labels in labellings(W.shape[0]):
        x = back.solution(labels)
        assert set(x) <= {0, 1}
        assert back.value(cut_value(W, labels)) == pytest.approx(x @ Q @ x)
        seen.add(tuple(x))
    assert len(seen) == 2**n


@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize("triangular", [False, True])
def test_ising(fields, triangular):
    rng = np.random.default_rng(0)
    upper = np.triu(rng.normal(size=(5, 5)), 1)
    constant = rng.normal(size=5)
    h = rng.normal(size=5) * [1, 0, 1, 1, 0] if fields else None
    W, back = ising_to_graph(np.diag(constant) + (upper if triangular else upper + upper.T), h)
    assert W.shape[0] == 5 + fields
    for labels in labellings(W.shape[0]):
        s = back.solution(labels)
        assert set(s) <= {-1, 1}
        energy = s @ upper @ s + constant.sum() + (h @ s if fields else 0)
        assert back.value(cut_value(W, labels)) == pytest.approx(energy)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: qubo_to_graph(np.ones((2, 3))), "Q must be square"),
        (lambda: ising_to_graph(np.ones((2, 3))), "J must be square"),
        (lambda: ising_to_graph([[0, 1.0], [2.0, 0]]), "symmetric or strictly upper triangular"),
        (lambda: ising_to_graph(np.eye(2), [1.0]), "h has 1 entries for the 2 rows"),
        (lambda: qubo_to_graph([[np.nan]]), "NaN"),
        (lambda: qubo_to_graph(np.eye(3))[1].solution([0, 1]), "2 entries for a graph of 4 nodes"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
