"""The dual bound: above every cut, tight at the optimum, whatever factorisation shows it."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_derand.problems import dual_bound as module
from sklearn_derand.problems.dual_bound import dual_bound, round_down_if_integer
from sklearn_derand.problems.vector_relaxation import default_rank, random_unit_vectors, solve_relaxation

from .graphs import maximum_cut, random_graph


def no_lanczos(matrix, accuracy):
    raise AssertionError("a factorisation is affordable here")


def eigenvalue(matrix, accuracy):
    return np.linalg.eigvalsh(matrix.toarray())[0] - 1e-9, 1e-6


def solve(weights, tol=1e-6):
    n = weights.shape[0]
    return solve_relaxation(weights, random_unit_vectors(n, default_rank(n), np.random.RandomState(0)), tol=tol)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_valid_for_any_vectors(signed, seed):
    weights = random_graph(11, 0.6, signed, seed=seed)
    best = maximum_cut(weights)
    for vectors in (random_unit_vectors(11, 3, np.random.RandomState(seed)), solve(weights, 0.3), solve(weights)):
        assert dual_bound(weights, vectors, no_lanczos).value >= best


def test_negative_weights_only():
    weights = random_graph(10, 0.7, seed=1) * -1.0
    bound = dual_bound(weights, solve(weights), no_lanczos).value
    assert 0 <= bound <= 1e-3 * abs(weights).sum()


def test_tight_at_the_optimum():
    weights = random_graph(60, 0.2, seed=0)
    vectors = solve(weights)
    primal = 0.25 * (weights.sum() - np.sum(vectors * (weights @ vectors)))
    assert primal <= dual_bound(weights, vectors, no_lanczos).value <= primal * 1.0001


@pytest.mark.parametrize("method", ["dense", "superlu", "eliminated", "lanczos"])
def test_methods_agree(method, monkeypatch):
    weights = random_graph(250, 0.015, signed=True, seed=4)
    monkeypatch.setattr(module, "DENSE_SHARE", 0.0 if method == "dense" else 0.1)
    monkeypatch.setattr(module, "DENSE_LIMIT", 10 if method == "lanczos" else 1000)
    monkeypatch.setattr(module, "ENVELOPE_SHARE", 1.0 if method == "superlu" else 0.0)
    found = dual_bound(weights, solve(weights), eigenvalue)
    assert found.method == {"superlu": "sparse", "eliminated": "sparse"}.get(method, method)
    assert found.failure_probability == (1e-6 if method == "lanczos" else 0.0)
    exact = np.linalg.eigvalsh
    along = np.einsum("ij,ij->i", weights @ solve(weights), solve(weights))
    slack = (weights - sparse.diags_array(along)).toarray() / 4
    reference = (weights.sum() - along.sum()) / 4 - 250 * min(0.0, exact(slack)[0])
    assert reference - 1e-6 <= found.value <= reference + 1e-4 * abs(weights).sum()


@pytest.mark.parametrize("positive", [module._eliminated_positive, module._sparse_positive])
def test_positive_pivots_tell_definite_from_indefinite(positive):
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(30, 30)))
    for least in (1e-9, -1e-9, -1.0):
        matrix = basis @ np.diag([least, *np.linspace(0.1, 1, 29)]) @ basis.T
        assert positive(sparse.csc_array(0.5 * (matrix + matrix.T))) == (least > 0)


@pytest.mark.parametrize("density", [0.0, 0.004, 0.012, 0.03])
def test_elimination_tells_definite_from_indefinite(density):
    weights = random_graph(400, density, signed=True, seed=2)
    least = np.linalg.eigvalsh(weights.toarray())[0]
    for excess in (1e-6, -1e-6, -0.5):
        matrix = weights + sparse.diags_array(np.full(400, excess - least))
        assert module._eliminated_positive(sparse.csc_array(matrix)) == (excess > 0)


def test_elimination_stops_where_it_fills(monkeypatch):
    monkeypatch.setattr(module, "FILL_LIMIT", 5000)
    matrix = random_graph(1000, 0.004, seed=2) + sparse.diags_array(np.full(1000, 100.0))
    assert module._eliminated_positive(sparse.csc_array(matrix)) is None


def test_integer_weights_give_an_integer():
    weights = random_graph(12, 0.7, signed=True, seed=3, integer=True)
    found = dual_bound(weights, solve(weights), no_lanczos).value
    rounded = round_down_if_integer(found, weights)
    assert rounded == int(rounded) >= maximum_cut(weights) and found - 1 < rounded <= found
    assert round_down_if_integer(found, 0.5 * weights) == found


def test_a_poor_first_guess_still_gives_a_bound(monkeypatch):
    weights = random_graph(60, 0.2, seed=0)
    reference = dual_bound(weights, solve(weights, 0.1), no_lanczos).value
    monkeypatch.setattr(module, "_ritz_value", lambda matrix: 0.0)
    assert reference * (1 - 1e-6) <= dual_bound(weights, solve(weights, 0.1), no_lanczos).value <= 1.05 * reference


def test_no_edges():
    assert dual_bound(sparse.csr_array((3, 3)), np.eye(3), no_lanczos).value == 0.0
