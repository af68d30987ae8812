"""Rounding never loses, and what it promises is checked against enumeration."""

import numpy as np
import pytest
import torch
from scipy import sparse

from sklearn_derand.problems import rounding
from sklearn_derand.problems.vector_relaxation import expected_cut, random_unit_vectors
from sklearn_derand.problems.weighted_graph import cut_values, upper_edges

from .graphs import random_graph


def multilinear(weights, sides):
    return 0.25 * (weights.sum() - np.einsum("ir,ir->r", sides, weights @ sides))


@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
def test_independent_sets(density):
    weights = random_graph(80, density, seed=1)
    sets = rounding.independent_sets(weights)
    assert sorted(np.concatenate([vertices for vertices, _, _ in sets])) == list(range(80))
    for vertices, rows, _ in sets:
        assert weights[vertices][:, vertices].nnz == 0
        np.testing.assert_array_equal(rows.toarray(), weights[vertices].toarray())
    assert len(rounding.independent_sets(sparse.csr_array((4, 4)))) == 1


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("density", [0.1, 1.0])
def test_conditional_expectations_and_one_flip_never_lose(signed, density):
    weights = random_graph(60, density, signed, seed=2)
    sets = rounding.independent_sets(weights)
    sides = np.random.RandomState(0).uniform(-1, 1, (60, 40))
    signs = rounding.round_means(sets, sides)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert (cut_values(weights, signs) >= multilinear(weights, sides) - 1e-9).all()
    flipped = rounding.one_flip(sets, signs)
    assert (cut_values(weights, flipped) >= cut_values(weights, signs)).all()
    gains = flipped * (weights @ flipped)
    assert gains.max() <= 1e-9


def test_one_flip_stops_when_told():
    weights = random_graph(60, 0.2, seed=2)
    signs = np.ones((60, 1))
    stopped = rounding.one_flip(rounding.independent_sets(weights), signs, out_of_time=lambda: True)
    np.testing.assert_array_equal(stopped, signs)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("rank", [2, 3, 5])
def test_conditioning_on_the_normals_keeps_the_expectation(signed, rank):
    for seed in range(6):
        weights = random_graph(14, 0.5, signed, seed=seed)
        vectors = random_unit_vectors(14, rank, np.random.RandomState(seed))
        edges = [torch.tensor(part) for part in upper_edges(weights)]
        signs = rounding.condition_on_normals(*edges, torch.tensor(vectors))
        assert cut_values(weights, signs[:, None])[0] >= expected_cut(weights, vectors)


def test_another_device_rounds_to_a_cut_as_large(other_device):
    weights = random_graph(14, 0.5, True, seed=0)
    vectors = random_unit_vectors(14, 4, np.random.RandomState(0))
    parts = [torch.tensor(part).to(other_device) for part in (*upper_edges(weights), vectors)]
    signs = rounding.condition_on_normals(*parts)
    assert cut_values(weights, signs[:, None])[0] >= expected_cut(weights, vectors)


def test_last_normal_is_enumerated():
    rng = np.random.default_rng(0)
    weights = random_graph(9, 0.7, signed=True, seed=8)
    edges = [torch.tensor(part) for part in upper_edges(weights)]
    for column in (rng.normal(size=9), np.array([0.0, 0, 1, -1, 2, 0, 1, 1, -3])):
        mean = rng.normal(size=9)
        found = rounding._best_line_point(edges, mean, column)
        values = -mean[column != 0] / column[column != 0]
        points = np.concatenate([[values.min() - 1], np.sort(values)[:-1] + np.diff(np.sort(values)) / 2])
        points = np.append(points, values.max() + 1)
        lines = np.sign(mean[:, None] + column[:, None] * points)
        assert cut_values(weights, found[:, None])[0] == pytest.approx(cut_values(weights, lines).max())
