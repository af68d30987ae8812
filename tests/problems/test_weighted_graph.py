"""The unit of weights: a common divisor or the largest, the same for every multiple."""

import numpy as np
import pytest

from sklearn_derand.problems.weighted_graph import weight_unit


@pytest.mark.parametrize(
    ("data", "unit"),
    [
        ([1.0, -2.0, 3.0], 1.0),
        ([4.0, -6.0], 2.0),
        ([0.3, 0.5], 0.1),
        ([7.0], 7.0),
        ([1.0, np.sqrt(2)], np.sqrt(2)),
        ([1.0, 1e7], 1e7),
    ],
)
def test_common_divisor_or_largest(data, unit):
    for factor in (1.0, 0.1, np.pi, 1e140, 1e-140):
        assert weight_unit(factor * np.array(data)) == pytest.approx(factor * unit, rel=1e-14, abs=0.0)


@pytest.mark.parametrize("largest", [9, 9_000, 100_000])
def test_large_samples(largest):
    rng = np.random.default_rng(0)
    data = rng.integers(1, largest, 3000).astype(float)
    unit = 1.0 if largest < 10_000 else data.max()
    for factor in (1.0, 1 / 3, 1e10):
        assert weight_unit(factor * data) == pytest.approx(factor * unit, rel=1e-14)
    real = rng.normal(size=3000)
    assert weight_unit(real) == np.abs(real).max()
