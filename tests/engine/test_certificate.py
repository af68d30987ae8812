"""What a certificate says, and what it refuses to say."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from sklearn_derand.engine import NoiseBlocks, certify


def planted_quadratic(values):
    values = torch.as_tensor(values, dtype=torch.float64)
    return lambda p: 0.5 * (values * p.square()).sum()


def zeros(n):
    return torch.zeros(n, dtype=torch.float64)


@pytest.mark.parametrize("n", [3, 200])
def test_holds_exactly_where_both_tolerances_are_met(n):
    flat = np.r_[-0.5e-3, np.linspace(0.1, 1, n - 1)]
    saddle = np.r_[-2e-3, np.linspace(0.1, 1, n - 1)]
    good = certify(planted_quadratic(flat), zeros(n), random_state=0)
    bad = certify(planted_quadratic(saddle), zeros(n), random_state=0)
    assert good.holds
    assert -1e-3 <= good.min_eigenvalue_bound <= -0.5e-3
    assert good.min_eigenvalue == pytest.approx(-0.5e-3, rel=1e-6) or n > 64
    assert str(good).startswith("Certified: ")
    assert not bad.holds
    assert bad.min_eigenvalue < -1e-3
    assert "saddle" in str(bad)
    steep = certify(planted_quadratic(flat), torch.full((n,), 1e-3, dtype=torch.float64), random_state=0)
    assert not steep.holds
    assert "gradient norm" in str(steep)


def test_fields_say_what_was_asked_and_found():
    n = 100
    certificate = certify(
        planted_quadratic(np.linspace(0.1, 1, n)), zeros(n), tol=1e-4, curvature_tol=1e-2,
        failure_probability=1e-3, random_state=0, initial_value=7.0,
    )  # fmt: skip
    assert (certificate.tol, certificate.curvature_tol, certificate.initial_value) == (1e-4, 1e-2, 7.0)
    assert certificate.lipschitz == pytest.approx(1.0)
    assert certificate.method == "lanczos"
    assert certificate.failure_probability == 1e-3
    assert certificate.dtype == "float64"
    assert certificate.n_params == n
    assert certificate.params_norm == 0
    assert 0 < certificate.n_hvp < n
    assert math.isnan(certificate.noise_norm)
    assert math.isnan(certificate.lipschitz_measured)
    for field in dataclasses.fields(certificate):
        assert isinstance(getattr(certificate, field.name), (float, int, str))
    with pytest.raises(dataclasses.FrozenInstanceError):
        certificate.tol = 1.0


def test_a_dense_limit_above_n_leaves_nothing_to_chance():
    certificate = certify(planted_quadratic(np.linspace(0.1, 1, 100)), zeros(100), dense_limit=100)
    assert (certificate.method, certificate.failure_probability) == ("dense", 0.0)
    assert certificate.min_eigenvalue_bound == pytest.approx(0.1, abs=1e-11)


@pytest.mark.parametrize("n", [10, 300])
def test_refuses_a_tolerance_below_the_rounding_floor(n):
    certificate = certify(
        planted_quadratic(np.r_[0.0, np.geomspace(1, 1e8, n - 1)]), zeros(n), curvature_tol=1e-10, random_state=0
    )
    assert not certificate.holds
    assert "rounding" in str(certificate)


def test_a_kink_at_the_point_is_not_certified():
    def f(p):
        return p[0].abs() + p[1] ** 2  # torch's gradient of |.| at 0 is 0

    certificate = certify(f, zeros(2))
    assert certificate.gradient_norm == 0
    assert not certificate.holds
    assert "not smooth" in str(certificate)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_not_certified(value):
    certificate = certify(lambda p: p.square().sum() + value, zeros(3))
    assert not certificate.holds
    assert str(value) in str(certificate)


def test_fresh_randomness_each_time_and_the_same_for_the_same_seed():
    f = planted_quadratic(np.linspace(0.01, 1, 300))
    first, again, other = (certify(f, zeros(300), random_state=seed) for seed in (0, 0, 1))
    assert first.min_eigenvalue_bound == again.min_eigenvalue_bound != other.min_eigenvalue_bound


def test_measured_lipschitz_constant_of_a_cubic():
    direction = torch.nn.functional.normalize(torch.arange(1.0, 6.0, dtype=torch.float64), dim=0)
    certificate = certify(
        lambda p: (p @ direction) ** 3 / 6 * 4.0 + p.square().sum(), zeros(5), random_state=0, measure_lipschitz=True
    )
    assert certificate.lipschitz_measured == pytest.approx(4.0, rel=1e-6)
    quadratic = certify(planted_quadratic([1.0, 2.0]), zeros(2), measure_lipschitz=True)
    assert quadratic.lipschitz_measured == 0


class GaussianLemma:
    """``E (sin(w.x + b) - 1)^2 + lam ||w||^2`` with x standard normal, in closed form."""

    penalty = 0.05

    def value(self, params):
        weights, bias = params[:-1], params[-1]
        spread = weights.square().sum()
        mean = torch.sin(bias) * torch.exp(-spread / 2)
        square = (1 - torch.cos(2 * bias) * torch.exp(-2 * spread)) / 2
        return square - 2 * mean + 1 + self.penalty * spread

    def noise(self, params):
        return params[:-1]

    def noise_blocks(self):
        return NoiseBlocks(torch.arange(4), torch.tensor([4]), self.penalty)


def test_the_lemma_bounds_the_noise_that_is_measured():
    draws = torch.Generator().manual_seed(0)
    finite = 0
    for _ in range(20):
        params = 0.3 * torch.randn(5, generator=draws, dtype=torch.float64)
        params[4] += torch.pi / 2
        certificate = certify(GaussianLemma(), params, random_state=0)
        assert certificate.noise_norm == pytest.approx(params[:4].norm().item())
        # One bias: the lemma is then an equality.
        if np.isfinite(certificate.noise_bound):
            finite += 1
            assert certificate.noise_bound == pytest.approx(certificate.noise_norm, rel=1e-8)
    assert finite >= 15


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"tol": 0.0}, "tol"),
        ({"tol": math.nan}, "tol"),
        ({"curvature_tol": -1.0}, "curvature_tol"),
        ({"failure_probability": 0.0}, "failure_probability"),
        ({"failure_probability": 1.0}, "failure_probability"),
    ],
)
def test_bad_settings_are_named(settings, name):
    with pytest.raises(ValueError, match=name):
        certify(planted_quadratic([1.0]), zeros(1), **settings)


@pytest.mark.parametrize("params", [torch.zeros(2, 2).double(), torch.zeros(2), torch.zeros(0).double(), [0.0], None])
def test_bad_params_are_named(params):
    with pytest.raises(ValueError, match="params"):
        certify(planted_quadratic([1.0]), params)
