"""Made graphs have the shape they promise."""

import networkx as nx
import numpy as np
import pytest

from sklearn_derand.datasets import make_graph


def check(W, n):
    assert W.shape == (n, n) and W.format == "csr" and W.dtype == np.float64
    assert (W != W.T).nnz == 0 and not W.diagonal().any()
    W.sort_indices()
    return W.nnz // 2


@pytest.mark.parametrize("n", [2, 3, 57])
def test_gnm_has_as_many_edges_as_asked(n):
    pairs = n * (n - 1) // 2
    for m in {0, 1, pairs // 2, pairs}:
        assert check(make_graph("gnm", n_nodes=n, n_edges=m, random_state=0), n) == m
    full = make_graph("gnm", n_nodes=n, n_edges=pairs, random_state=0).toarray()
    np.testing.assert_array_equal(full, 1 - np.eye(n))


def test_gnp_density_within_four_standard_errors():
    n, p = 400, 0.07
    pairs = n * (n - 1) / 2
    m = check(make_graph("gnp", n_nodes=n, density=p, random_state=1), n)
    assert abs(m - p * pairs) < 4 * np.sqrt(pairs * p * (1 - p))
    degrees = np.diff(make_graph("gnp", n_nodes=n, density=p, random_state=1).indptr)
    halves = degrees[: n // 2].sum() / degrees.sum()
    assert abs(halves - 0.5) < 0.05


def test_pair_numbers_of_large_graphs_are_exact():
    W = make_graph("gnm", n_nodes=300_000, n_edges=50_000, random_state=0)
    assert check(W, 300_000) == 50_000


def test_torus_and_planar():
    W = make_graph("toroidal", n_nodes=35)
    assert check(W, 35) == 70
    assert nx.is_isomorphic(nx.from_scipy_sparse_array(W), nx.grid_2d_graph(5, 7, periodic=True))
    W = make_graph("planar", n_nodes=90, random_state=3)
    check(W, 90)
    graph = nx.from_scipy_sparse_array(W)
    assert nx.check_planarity(graph)[0] and nx.is_connected(graph)


def test_signs_and_seeds():
    W = make_graph("gnm", n_nodes=200, n_edges=2000, weights="signed", random_state=0)
    assert set(np.unique(W.data)) == {-1.0, 1.0} and abs(W.data.mean()) < 0.1
    again = make_graph("gnm", n_nodes=200, n_edges=2000, weights="signed", random_state=0)
    assert (W != again).nnz == 0
    other = make_graph("gnm", n_nodes=200, n_edges=2000, weights="signed", random_state=1)
    assert (W != other).nnz > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "clique"}, "kind"),
        ({"n_nodes": 1}, "n_nodes"),
        ({"density": 1.5}, "density"),
        ({"kind": "gnm", "density": 0.5}, "density=0.5 belongs to kind='gnp'"),
        ({"kind": "gnp", "n_edges": 5}, "n_edges=5 belongs to kind='gnm'"),
        ({"kind": "gnm", "n_nodes": 4, "n_edges": 7}, "more than the 6 pairs"),
        ({"kind": "toroidal", "n_nodes": 14}, "two factors"),
        ({"kind": "planar", "n_nodes": 3}, "at least 4 nodes"),
    ],
)
def test_bad_input(settings, message):
    with pytest.raises(ValueError, match=message):
        make_graph(**settings)
