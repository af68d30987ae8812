"""The sharper bound that no map can beat: its inequality for any weights and any images, slopes, ascent, rounding."""

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.spatial.distance import pdist, squareform
from scipy.special import softmax

from sklearn_derand.problems.distortion_bounds import distortion_lower_bound
from sklearn_derand.problems.signed_pairs import SignedPairs, signed_pairs_bound


def pose(n=12, r=6, seed=0):
    """Points in units of their largest distance, squared distances, and weights of both kinds."""
    random = np.random.RandomState(seed)
    points = random.standard_normal((n, r))
    points /= pdist(points).max()
    s = np.triu(random.standard_normal((n, n)) * 10.0 ** random.uniform(-4, -2), 1)
    return points, squareform(pdist(points, "sqeuclidean")), softmax(random.standard_normal(n)), s + s.T


@pytest.mark.parametrize("seed", range(30))
def test_the_inequality_holds_for_any_weights_and_any_images(seed):
    """Images near the best, far from it, and linear: the gain is at most what they spend."""
    points, distances, p, s = pose(seed=seed)
    random, k = np.random.RandomState(seed), 1 + seed % 4
    bound = SignedPairs(points, distances, k)
    value = bound.slopes(p, s)[0]
    assert value > 0
    axes = np.linalg.svd(points - p @ points)[2][:k]
    linear = points @ axes.T * random.uniform(0.5, 1.5)
    for images in (linear, linear + 0.1 * random.standard_normal(linear.shape), random.standard_normal((12, k))):
        change = squareform(pdist(images, "sqeuclidean")) - distances
        spent = p @ (change**2 + 2 * s * change) @ p
        c1, c2 = p @ (abs(s) * distances) @ p, p @ distances**2 @ p
        gain = value * (value * c2 + 2 * c1)  # R
        assert spent >= gain * (1 - 1e-9)
        change = np.divide(abs(change), distances, out=np.zeros_like(distances), where=distances > 0)
        assert change.max() >= bound.certified(p, s)
    assert bound.certified(p, s) <= value


def test_slopes_are_those_of_the_bound():
    points, distances, p, s = pose()
    bound = SignedPairs(points, distances, 3)
    value, along_points, across, price = bound.slopes(p, s)
    assert value > 0
    theta, place = np.log(p), np.triu_indices(len(p), 1)

    def at(z):
        moved = np.zeros_like(s)
        moved[place] = z[len(p) :]
        return bound.slopes(softmax(z[: len(p)]), moved + moved.T)[0]

    expected = approx_fprime(np.concatenate([theta, s[place]]), at, 1e-7)
    found = np.concatenate([along_points, (across - np.sign(s) * price)[place]])
    np.testing.assert_allclose(found, expected, atol=1e-5 * abs(expected).max())


def test_without_weights_of_pairs_it_is_the_bound_of_points():
    points, distances, p, s = pose()
    root = np.sqrt(p)
    tail = np.linalg.svd(root[:, None] * (points - p @ points))[1][3:] ** 2
    expected = 2 * np.sqrt((tail @ tail + tail.sum() ** 2 / 4) / (p @ distances**2 @ p))
    assert SignedPairs(points, distances, 3).certified(p, 0 * s) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_raise_the_bound(seed):
    """By 3 % and more on the paper's unit vectors; with its budget, and never below what points alone promise."""
    X = np.random.RandomState(seed).standard_normal((60, 300))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    distances = torch.tensor(squareform(pdist(X, "sqeuclidean")))
    bounds = [distortion_lower_bound(torch.tensor(X), distances, 20, 24, None, budget) for budget in (0, 3, 20, 100)]
    assert all(one <= other for one, other in zip(bounds, bounds[1:], strict=False))
    assert bounds[-1] > 1.03 * bounds[0]


def test_equal_points_and_points_in_k_dimensions():
    points, _, _, _ = pose()
    points[3] = points[5]
    distances = squareform(pdist(points, "sqeuclidean"))
    assert 0.05 < signed_pairs_bound(points, distances, 2, np.zeros(12), 40) < 1
    assert signed_pairs_bound(points, distances, 6, np.zeros(12), 40) < 1e-6


def test_rounding_is_taken_off():
    """Nearly flat points: what is seen of the last direction is rounding."""
    points, _, p, s = pose(r=3)
    points[:, 2] *= 1e-9
    bound = SignedPairs(points, squareform(pdist(points, "sqeuclidean")), 2)
    assert bound.certified(p, 0 * s) == 0.0
