"""Distortions against scipy's pairwise distances, in every form the input may take."""

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import pdist

from sklearn_derand.metrics import _distortion, distortions, max_distortion

RNG = np.random.RandomState(0)
X = RNG.standard_normal((40, 12))
Z = X @ RNG.standard_normal((12, 5)) / np.sqrt(5)


def test_distortions_are_ratios_of_pdist():
    expected = pdist(Z, "sqeuclidean") / pdist(X, "sqeuclidean") - 1
    np.testing.assert_allclose(distortions(X, Z), expected, rtol=1e-10, atol=1e-12)
    assert max_distortion(X, Z) == pytest.approx(np.abs(expected).max(), rel=1e-10)


@pytest.mark.parametrize("block", [1, 97, 10**6])
def test_blocks_do_not_matter(block, monkeypatch):
    expected = distortions(X, Z)
    monkeypatch.setattr(_distortion, "BLOCK", block)
    np.testing.assert_allclose(distortions(X, Z), expected, rtol=1e-12, atol=1e-13)
    assert max_distortion(X, Z) == pytest.approx(np.abs(expected).max(), rel=1e-12)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
def test_sparse_is_dense(form):
    thin = np.where(np.abs(X) > 1, X, 0.0)
    np.testing.assert_allclose(distortions(form(thin), Z), distortions(thin, Z), rtol=1e-9, atol=1e-11)


def test_a_far_origin_costs_no_digits():
    np.testing.assert_allclose(distortions(X + 1e6, Z + 1e6), distortions(X, Z), rtol=0, atol=1e-7)


def test_a_pair_that_almost_coincides_is_measured_by_its_difference():
    close = np.vstack([X, X[0] + 1e-9 * X[1]])
    images = np.vstack([Z, Z[0] + 1e-9 * Z[1]])
    expected = Z[1] @ Z[1] / (X[1] @ X[1]) - 1
    assert distortions(close, images)[39] == pytest.approx(expected, rel=1e-5)


def test_equal_points():
    twice, images = X[[0, 1, 0]], Z[[0, 1, 0]]
    assert distortions(twice, images)[1] == 0.0
    images[2] *= 1 + 1e-3
    assert distortions(twice, images)[1] == np.inf
    assert max_distortion(twice, images) == np.inf


def test_an_isometry_has_none_and_one_point_has_no_pair():
    turn, _ = np.linalg.qr(RNG.standard_normal((12, 12)))
    assert max_distortion(X, X @ turn) < 1e-12
    assert max_distortion(X[:1], Z[:1]) == 0.0
    assert distortions(X[:1], Z[:1]).shape == (0,)


def test_bad_input():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        max_distortion(X, Z[:-1])
    with pytest.raises(ValueError, match="NaN"):
        max_distortion(X * np.nan, Z)
