"""The relaxation: closed-form optima, descent, and the expectation of a random hyperplane."""

import math

import numpy as np
import pytest
from scipy import sparse

from sklearn_derand.problems.vector_relaxation import (
    default_rank,
    expected_cut,
    normalise_rows,
    random_unit_vectors,
    solve_relaxation,
)
from sklearn_derand.problems.weighted_graph import cut_values

from .graphs import random_graph


def relaxed_value(weights, vectors):
    return 0.25 * (weights.sum() - np.sum(vectors * (weights @ vectors)))


def cycle(n):
    step = sparse.csr_array((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
    return sparse.csr_array(step + step.T)


def solve(weights, seed=0, rank=None, tol=1e-7):
    start = random_unit_vectors(weights.shape[0], rank or default_rank(weights.shape[0]), np.random.RandomState(seed))
    return solve_relaxation(weights, start, tol=tol, max_iter=5000)


@pytest.mark.parametrize("n", [5, 7, 31])
def test_odd_cycle(n):
    # Goemans and Williamson 1995: neighbours at the angle pi (n - 1) / n.
    vectors = solve(cycle(n))
    assert relaxed_value(cycle(n), vectors) == pytest.approx(n * (1 + math.cos(math.pi / n)) / 2, rel=1e-9)
    assert expected_cut(cycle(n), vectors) == pytest.approx(n - 1, rel=1e-4)


def test_complete_graph():
    complete = sparse.csr_array(np.ones((8, 8)) - np.eye(8))
    assert relaxed_value(complete, solve(complete)) == pytest.approx(64 / 4, rel=1e-9)


@pytest.mark.parametrize("signed", [False, True])
def test_value_only_falls_and_does_not_depend_on_the_start(signed):
    weights = random_graph(40, 0.3, signed, seed=3)
    start = random_unit_vectors(40, 9, np.random.RandomState(0))
    values = [relaxed_value(weights, solve_relaxation(weights, start, tol=0, max_iter=k)) for k in (0, 1, 5, 20, 400)]
    assert all(b >= a - 1e-9 for a, b in zip(values, values[1:], strict=False))
    assert relaxed_value(weights, solve(weights, seed=1)) == pytest.approx(values[-1], rel=1e-8)


def test_single_precision_and_unit_rows():
    weights = random_graph(60, 0.2, seed=5)
    start = random_unit_vectors(60, 11, np.random.RandomState(0)).astype(np.float32)
    before = start.copy()
    vectors = solve_relaxation(weights, start)
    assert vectors.dtype == np.float32
    assert np.array_equal(start, before)
    vectors = normalise_rows(vectors)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-15)
    assert relaxed_value(weights, vectors) == pytest.approx(relaxed_value(weights, solve(weights)), rel=1e-4)


def test_isolated_vertices_and_no_edges():
    empty = sparse.csr_array((6, 6))
    assert expected_cut(empty, solve(empty)) == 0.0
    lonely = sparse.block_diag([cycle(5), empty]).tocsr()
    assert relaxed_value(lonely, solve(lonely)) == pytest.approx(5 * (1 + math.cos(math.pi / 5)) / 2, rel=1e-8)


def test_zero_rows_become_unit_vectors():
    np.testing.assert_array_equal(normalise_rows(np.zeros((2, 3))), [[1, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize("signed", [False, True])
def test_expected_cut_against_random_hyperplanes(signed):
    weights = random_graph(12, 0.6, signed, seed=2)
    vectors = solve(weights, rank=4, tol=1e-2)
    signs = np.sign(vectors @ np.random.RandomState(1).standard_normal((4, 100_000)))
    cuts = cut_values(weights, signs)
    assert abs(cuts.mean() - expected_cut(weights, vectors)) < 4 * cuts.std() / math.sqrt(cuts.size)


def test_expected_cut_is_never_above_a_certain_cut():
    # All vectors on one line: the law has one cut, and rounding must not lift its expectation above.
    weights = random_graph(50, 0.5, seed=7)
    signs = np.random.RandomState(0).choice([-1.0, 1.0], 50)
    direction = normalise_rows(np.random.RandomState(1).standard_normal((1, 5)))
    sure = cut_values(weights, signs[:, None])[0]
    assert sure * (1 - 1e-12) <= expected_cut(weights, signs[:, None] * direction) <= sure
