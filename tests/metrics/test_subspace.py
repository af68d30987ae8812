import numpy as np
import pytest

from sklearn_derand.metrics import subspace_distance


def test_distance_is_that_of_the_projectors():
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 3, 7))
    bases = [np.linalg.svd(M, full_matrices=False)[2] for M in (A, B)]
    projectors = [basis.T @ basis for basis in bases]
    expected = np.linalg.norm(projectors[0] - projectors[1]) / np.sqrt(6)
    assert subspace_distance(A, B) == pytest.approx(expected, rel=1e-12)


def test_only_the_span_counts():
    rng = np.random.default_rng(1)
    A = rng.standard_normal((2, 5))
    mixed = rng.standard_normal((2, 2)) @ A
    assert subspace_distance(A, mixed) < 1e-14
    assert subspace_distance(A, np.vstack([mixed, A[0] - A[1]])) < 1e-14


def test_orthogonal_spans_are_at_one_and_small_angles_keep_their_digits():
    assert subspace_distance([[1, 0, 0, 0], [0, 1, 0, 0]], [[0, 0, 1, 0], [0, 0, 0, 1]]) == 1.0
    angle = 1e-9
    assert subspace_distance([[1.0, 0.0]], [[np.cos(angle), np.sin(angle)]]) == pytest.approx(angle, rel=1e-6)


def test_bad_input():
    with pytest.raises(ValueError, match="zeros"):
        subspace_distance([[0.0, 0.0]], [[1.0, 0.0]])
    with pytest.raises(ValueError, match="3 columns"):
        subspace_distance([[1.0, 0.0, 0.0]], [[1.0, 0.0]])
    with pytest.raises(ValueError, match="NaN"):
        subspace_distance([[np.nan, 0.0]], [[1.0, 0.0]])
