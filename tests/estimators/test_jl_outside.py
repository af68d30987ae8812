"""Where a map puts what its fitted points do not show: water filling, and the variance that it makes least."""

import dataclasses

import numpy as np
import pytest
from scipy import linalg, sparse
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from sklearn_derand import DerandJLEmbedding
from sklearn_derand.estimators import _jl_validation, _jl_walk
from sklearn_derand.estimators._jl_outside import beyond_neighbours, cross_weight, spread_out, water_filling
from sklearn_derand.estimators._jl_points import SpanCoordinates
from sklearn_derand.estimators._jl_starts import Recipe


def points_of_low_rank(seed, n=30, d=80, noise=0.1):
    random = np.random.RandomState(seed)
    return random.standard_normal((n, 5)) @ random.standard_normal((5, d)) + noise * random.standard_normal((n, d))


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0, 50.0, 1e12, 1e18])
def test_water_filling_is_least_on_the_simplex(weight):
    energies = np.array([0.5, 0.2, 0.1, 0.1, 0.06, 0.04])

    def value(q):
        return q @ q + 2 * weight * energies @ q

    q = water_filling(energies, weight)
    assert q.min() >= 0
    assert q.sum() == pytest.approx(1.0, rel=1e-12)
    # A convex problem: the multipliers of its conditions are proof enough.
    slopes = q + weight * energies
    np.testing.assert_allclose(slopes[q > 0], slopes.min(), rtol=1e-12)
    if weight < 1e3:
        constraint = {"type": "eq", "fun": lambda q: q.sum() - 1}
        peer = minimize(value, np.full(6, 1 / 6), bounds=[(0, 1)] * 6, constraints=constraint, options={"ftol": 1e-14})
        np.testing.assert_allclose(q, peer.x, atol=1e-5)
    np.testing.assert_allclose(water_filling(energies[::-1], weight), q[::-1], rtol=1e-12)


def test_what_was_never_seen_is_spread_evenly():
    assert cross_weight(np.ones(4)) == 0.0
    np.testing.assert_allclose(water_filling(np.array([0.7, 0.3, 0.0]), 0.0), 1 / 3)
    assert cross_weight(np.zeros(4)) is cross_weight(np.empty(0)) is None
    assert cross_weight(np.array([0.1, 0.3])) == pytest.approx((0.09 + 0.21) / (0.01 + 0.09))


def test_variance_of_squared_lengths_is_what_the_formula_says():
    """``Var |A + B|^2 = 4 a A.QA + 2 a^2 tr Q^2`` for normal ``B`` of covariance ``a Q``."""
    random = np.random.RandomState(0)
    A, a = np.array([0.8, 0.4, -0.2, 0.1]), 0.3
    root = random.standard_normal((4, 4))
    Q = root @ root.T / np.trace(root @ root.T)
    squares = ((A + np.sqrt(a) * random.standard_normal((200_000, 4)) @ linalg.sqrtm(Q).real) ** 2).sum(axis=1)
    errors = (squares - squares.mean()) ** 2
    assert abs(errors.mean() - (4 * a * A @ Q @ A + 2 * a**2 * np.trace(Q @ Q))) < 4 * errors.std() / len(errors) ** 0.5
    assert abs(squares.mean() - (A @ A + a)) < 4 * squares.std() / len(squares) ** 0.5


@pytest.mark.parametrize("share", [0.02, 0.2, 0.7])
def test_no_other_covariance_has_less_variance(share):
    """On average over the fitted pairs, whatever its eigenvectors: the conditions of a convex problem hold."""
    X = points_of_low_rank(2, n=20) * np.geomspace(0.1, 1.0, 20)[:, None]
    coordinates = SpanCoordinates.of(X)
    images = coordinates.points @ np.random.RandomState(1).standard_normal((coordinates.rank, 6))
    images *= [5.0, 3.0, 1.0, 1.0, 0.2, 0.1]
    left, right = np.triu_indices(20, 1)
    A = (images[left] - images[right]) * np.sqrt(coordinates.inverse_distances[left, right])[:, None]
    mean_square = (1 - share) * (A.T @ A) / np.sum(A**2)

    turn = spread_out(images, coordinates.inverse_distances, cross_weight(np.full(3, share)))
    Q = turn @ turn.T / 6
    assert np.trace(Q) == pytest.approx(1.0)
    # Of the mean over pairs of 4 a A.QA + 2 a^2 tr Q^2; on tr Q = 1, Q >= 0, it is least iff no direction falls faster.
    gradient = 4 * share * mean_square + 4 * share**2 * Q
    assert np.trace(gradient @ Q) == pytest.approx(linalg.eigvalsh(gradient)[0], rel=1e-9)


def test_spreading_follows_the_images():
    """A turn or a shift of the images, or another unit of length, changes nothing else; no images, no change."""
    random = np.random.RandomState(0)
    X = points_of_low_rank(0)
    inverse = SpanCoordinates.of(X).inverse_distances
    images = X[:, :7] * np.arange(1.0, 8.0)
    rotation = linalg.qr(random.standard_normal((7, 7)))[0]
    turn = spread_out(images, inverse, 4.0)
    assert np.abs(turn - np.eye(7)).max() > 0.1
    np.testing.assert_allclose(
        spread_out(100 * images @ rotation.T + 3, inverse, 4.0), rotation @ turn @ rotation.T, atol=1e-9
    )
    np.testing.assert_array_equal(spread_out(images, inverse, None), np.eye(7))
    np.testing.assert_array_equal(spread_out(np.ones((30, 7)), inverse, 4.0), np.eye(7))


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_unseen_part_of_new_differences(as_given):
    """Against residuals of least squares."""
    X = points_of_low_rank(3, n=24)
    aside, fitted = X[:5], X[5:]
    pairs = _jl_validation.NewPairs.of(as_given(aside), as_given(fitted))
    left, right = np.tril_indices(5, -1)
    differences, span = aside[left] - aside[right], (fitted[1:] - fitted[0]).T
    residuals = differences.T - span @ np.linalg.lstsq(span, differences.T)[0]
    expected = (residuals**2).sum(axis=0) / (differences**2).sum(axis=1)
    np.testing.assert_allclose(pairs.unseen(SpanCoordinates.of(as_given(fitted))), expected, rtol=1e-8)
    one = _jl_validation.NewPairs.of(as_given(X[:1]), as_given(fitted)).unseen(SpanCoordinates.of(as_given(fitted)))
    assert one.shape == (19,)
    assert 0 < one.min() < one.max() < 1


def test_nothing_is_unseen_where_the_span_is_all():
    X = np.random.RandomState(0).standard_normal((40, 6))
    pairs = _jl_validation.NewPairs.of(X[:8], X[8:])
    assert pairs.unseen(SpanCoordinates.of(X[8:])).max() < 1e-12


def test_new_points_vary_less_where_images_have_little_energy():
    """The reason for all of this: the same random rows outside, as drawn and spread."""
    spread, as_drawn = [], []
    for seed in range(5):
        X = points_of_low_rank(seed, n=60, noise=0.3)
        pairs, coordinates = _jl_validation.NewPairs.of(X[:30], X[30:]), SpanCoordinates.of(X[30:])
        inside = np.eye(20, coordinates.rank)
        rows = np.random.RandomState(100 + seed).standard_normal((20, 80)) / 20**0.5
        turn = spread_out(
            coordinates.points @ inside.T, coordinates.inverse_distances, cross_weight(pairs.unseen(coordinates))
        )
        for matrix, found in ((turn, spread), (np.eye(20), as_drawn)):
            components = coordinates.to_features(inside) + matrix @ coordinates.outside(rows)
            found.append(pairs.ratios(X @ components.T)[pairs.within].var())
    assert np.mean(spread) < 0.8 * np.mean(as_drawn)


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.49])
def test_points_move_away_from_their_nearest_neighbours(share, as_given):
    X = points_of_low_rank(5, n=20)
    coordinates = SpanCoordinates.of(as_given(X))
    moved, inverse = beyond_neighbours(coordinates, share)
    nearest = NearestNeighbors(n_neighbors=2).fit(X).kneighbors(X, return_distance=False)[:, 1]
    expected = X + share * (X - X[nearest])
    left, right = np.triu_indices(20, 1)
    distances = ((expected[left] - expected[right]) ** 2).sum(axis=1) / coordinates.unit
    np.testing.assert_allclose(((moved[left] - moved[right]) ** 2).sum(axis=1), distances, rtol=1e-9)
    np.testing.assert_allclose(inverse[left, right], 1 / distances, rtol=1e-9)
    factors = coordinates.inverse_distances[left, right] / inverse[left, right]
    assert (1 - 2 * share) ** 2 * (1 - 1e-9) <= factors.min() <= factors.max() <= (1 + 2 * share) ** 2 * (1 + 1e-9)


def test_a_point_has_no_neighbour_in_its_duplicates():
    """Nor does it move where there is nothing else."""
    X = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    coordinates = SpanCoordinates.of(X)
    moved, inverse = beyond_neighbours(coordinates, 0.3)
    np.testing.assert_allclose(moved[0], moved[1])
    np.testing.assert_array_equal(inverse > 0, coordinates.inverse_distances > 0)
    assert (moved[0] - moved[2]) @ (moved[0] - moved[2]) * coordinates.unit == pytest.approx(1.6**2)
    lost = coordinates.inverse_distances.copy()
    lost[2, 3] = lost[3, 2] = 0.0  # as where rounding changes a distance
    np.testing.assert_array_equal(
        beyond_neighbours(dataclasses.replace(coordinates, inverse_distances=lost), 0.3)[1] > 0, lost > 0
    )
    nothing = SpanCoordinates.of(np.ones((3, 2)))
    moved, inverse = beyond_neighbours(nothing, 0.3)
    np.testing.assert_array_equal(moved, nothing.points)
    np.testing.assert_array_equal(inverse, 0.0)


def test_new_pairs_vary_less_where_the_fitted_points_were_moved_apart(monkeypatch):
    """The reason for it: at every later stop of a descent the ratios of new pairs are less spread out."""
    ratios = []
    for seed in range(3):
        X = load_digits().data[np.random.RandomState(seed).permutation(1797)[:160]]
        pairs, coordinates = _jl_validation.NewPairs.of(X[:80], X[80:]), SpanCoordinates.of(X[80:])
        recipe = Recipe.of(X)
        rows = recipe.random_rows(32, 64, seed)
        for share in (0.0, _jl_walk.EXTRAPOLATION):
            monkeypatch.setattr(_jl_walk, "EXTRAPOLATION", share)
            path = _jl_walk.walk(DerandJLEmbedding()._tensors, coordinates, recipe, rows, None)
            new = [pairs.ratios(X @ stop.components.T)[pairs.within] for stop in list(path)[4:]]
            ratios.append([one.std() / one.mean() for one in new])
        monkeypatch.undo()
    as_given, apart = np.array(ratios).reshape(3, 2, -1).swapaxes(0, 1)
    assert np.all(apart.mean(axis=0) < 0.96 * as_given.mean(axis=0))
