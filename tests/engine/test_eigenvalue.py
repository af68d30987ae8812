"""Both bounds of the smallest eigenvalue against spectra that were planted."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from sklearn_derand.engine.eigenvalue import DENSE_LIMIT, smallest_eigenvalue

SPECTRA = {
    "linear": lambda n: np.linspace(-0.5, 10, n),
    "multiple least": lambda n: np.r_[np.full(5, -1.0), np.linspace(0, 3, n - 5)],
    "one outlier": lambda n: np.r_[-0.02, np.full(n // 2, 0.1), np.ones(n - n // 2 - 1)],
    "clustered": lambda n: np.r_[1e-4 * np.arange(n - 3), 5.0, 7.0, 9.0],
    "geometric": lambda n: np.geomspace(1e-8, 1e4, n),
    "large shift": lambda n: 1e6 + np.linspace(0, 1, n),
}


def generator(seed):
    return torch.Generator().manual_seed(seed)


def planted(spectrum, seed):
    """A product with a matrix of this spectrum: a diagonal between two random reflections."""
    values = torch.as_tensor(spectrum)
    mirrors = torch.randn(2, len(spectrum), generator=generator(seed), dtype=torch.float64)
    mirrors /= mirrors.norm(dim=1, keepdim=True)

    def product(v):
        for mirror in mirrors:
            v = v - 2 * torch.dot(mirror, v) * mirror
        v = values * v
        for mirror in mirrors.flip(0):
            v = v - 2 * torch.dot(mirror, v) * mirror
        return v

    return product


@pytest.mark.parametrize(
    ("name", "n"),
    [("linear", 1), ("linear", 2), *((name, n) for name in SPECTRA for n in (10, DENSE_LIMIT, DENSE_LIMIT + 1, 300))],
)
def test_brackets_the_planted_eigenvalue(name, n):
    spectrum = SPECTRA[name](n)
    scale = np.abs(spectrum).max()
    product = planted(spectrum, seed=n)
    least = smallest_eigenvalue(product, n, generator=generator(1), accuracy=1e-3 * scale)
    matrix = torch.stack([product(row) for row in torch.eye(n, dtype=torch.float64)]).numpy()
    truth = np.linalg.eigvalsh(0.5 * (matrix + matrix.T)).min()
    rounding = 1e-13 * n * scale
    assert least.bound <= truth + rounding
    assert least.value >= truth - rounding
    assert least.value - least.bound <= 1e-3 * scale
    assert least.method == ("dense" if n <= DENSE_LIMIT else "lanczos")
    assert least.failure_probability == (0.0 if n <= DENSE_LIMIT else 1e-6)
    rayleigh = torch.dot(least.vector, product(least.vector)).item()
    assert abs(least.vector.norm().item() - 1) < 1e-12
    assert abs(rayleigh - least.value) <= rounding


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6, 0.0])
def test_identity_is_known_after_one_product(scale):
    least = smallest_eigenvalue(lambda v: scale * v, 500, generator=generator(0), threshold=0.5 * scale - 1e-9)
    assert least.n_products <= 3
    assert least.bound >= 0.5 * scale - 1e-9
    assert least.value == pytest.approx(scale)


@pytest.mark.parametrize("scale", [1e-150, 1e-158, 1e-161, 5e-324])
def test_an_operator_that_is_all_but_zero_is_claimed(scale):
    n = DENSE_LIMIT + 10
    product = planted(scale * np.linspace(-1, 1, n), seed=0)
    least = smallest_eigenvalue(product, n, generator=generator(0), threshold=-1e-3)
    assert -1e-3 <= least.bound <= least.value <= scale


def test_breakdown_in_a_small_invariant_subspace_is_exact():
    spectrum = np.repeat([-1.0, 2.0, 5.0], 100)
    least = smallest_eigenvalue(planted(spectrum, 0), 300, generator=generator(0))
    assert least.n_products <= 5
    assert least.value == pytest.approx(-1.0, abs=1e-12)
    assert least.bound == pytest.approx(-1.0, abs=1e-3)


def test_threshold_is_claimed_or_negative_curvature_is_proven():
    product = planted(np.r_[-0.5, np.linspace(1, 2, 399)], 3)
    refused = smallest_eigenvalue(product, 400, generator=generator(0), threshold=-0.4)
    claimed = smallest_eigenvalue(product, 400, generator=generator(0), threshold=-0.6)
    assert refused.value < -0.4
    assert refused.bound <= -0.5
    assert -0.6 <= claimed.bound <= -0.5
    assert claimed.n_products < 400


def test_a_threshold_below_the_rounding_floor_is_refused_early():
    product = planted(np.linspace(0, 1e6, 400), 5)
    least = smallest_eigenvalue(product, 400, generator=generator(0), threshold=-1e-7)
    assert least.bound < -1e-7
    assert least.n_products < 400


def test_an_asymmetric_operator_pays_for_it():
    twist = torch.zeros(200, dtype=torch.float64)
    twist[0] = 1e-3
    product = planted(np.linspace(0.5, 2, 200), 7)

    def crooked(v):
        return product(v) + 1e-3 * v[1] * twist

    straight = smallest_eigenvalue(product, 200, generator=generator(0), threshold=0.3)
    bent = smallest_eigenvalue(crooked, 200, generator=generator(0), threshold=0.3)
    assert straight.bound >= 0.3 > bent.bound


def test_a_small_asymmetric_operator_pays_for_it():
    twist = torch.zeros(20, dtype=torch.float64)
    twist[0] = 0.1
    product = planted(np.linspace(0.5, 2, 20), 7)
    bent = smallest_eigenvalue(lambda v: product(v) + v[1] * twist, 20, generator=generator(0))
    assert bent.method == "dense"
    # The antisymmetric part has two entries of 0.05.
    assert bent.bound <= bent.value - 0.05 * 2**0.5


def test_products_in_single_precision_are_found_out():
    product = planted(np.linspace(0.0, 10.0, 400), 7)
    least = smallest_eigenvalue(
        lambda v: product(v).float().double(), 400, generator=generator(0), threshold=-1e-3, max_products=400
    )
    assert least.bound < -1e-3


def test_the_bound_is_monotone_in_the_failure_probability():
    product = planted(np.linspace(-0.1, 1, 300), 2)
    bounds = [
        smallest_eigenvalue(
            product, 300, generator=generator(0), failure_probability=delta, max_products=30
        ).bound
        for delta in (1e-12, 1e-6, 1e-2, 0.3)
    ]  # fmt: skip
    assert bounds == sorted(bounds)
    assert len(set(bounds)) == 4


def _false_certificates(n_cases, delta, sizes, seed):
    """Claim ``lambda_min >= -tau`` of diagonal matrices where it is false by a hair or by more; count the claims."""
    draws, random = np.random.RandomState(seed), generator(seed)
    tau, false = 1e-2, 0
    for _ in range(n_cases):
        n = int(np.exp(draws.uniform(np.log(sizes[0]), np.log(sizes[1]))))
        beyond = -tau * (1 + 10 ** draws.uniform(-6, 0))
        rest = draws.uniform(0, 1, n - 1) ** draws.choice([0.5, 1, 4])
        values = torch.as_tensor(np.r_[beyond, rest])
        least = smallest_eigenvalue(
            lambda v, values=values: values * v, n, generator=random, threshold=-tau,
            failure_probability=delta, dense_limit=0,
        )  # fmt: skip
        false += least.bound > beyond
    return false


def _assert_rate_at_most(delta, false, n_cases):
    # One-sided: a rate of exactly delta is rejected in one run of 10^4.
    assert false <= binom.ppf(1 - 1e-4, n_cases, delta)


@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_false_certificates_are_as_rare_as_stated(delta):
    false = _false_certificates(400, delta, (50, 400), seed=0)
    _assert_rate_at_most(delta, false, 400)
    assert false > 0, "the bound is so loose here that this test could not fail"


def test_the_condition_on_the_ritz_value_is_needed():
    """Without ``theta_k > x`` the sum of squares alone would claim far too much."""
    from sklearn_derand.engine.lanczos import Lanczos

    wrong = 0
    for seed in range(30):
        values = torch.as_tensor(np.r_[-0.02, np.linspace(0, 1, 199)])
        start = torch.randn(200, generator=generator(seed), dtype=torch.float64)
        process = Lanczos(lambda v, values=values: values * v, start / start.norm(), 1e-2, -0.01)
        for _ in range(60):
            process.step()
        theta = process.least_ritz_value()
        wrong += process._sufficient(np.array([-0.01]), np.inf)[0]
        assert theta < -0.01
        assert process.crossed
        assert not process.certifies()
    assert wrong > 15
