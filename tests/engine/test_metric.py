"""The certificate in the coordinates of a metric: as true as without, whatever the metric, and cheap in a good one."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from sklearn_derand.engine import certify, minimize
from sklearn_derand.engine.metric import claim_in_metric

F64 = torch.float64


def generator(seed):
    return torch.Generator().manual_seed(seed)


class Diagonal:
    """``L = R diag(roots)`` with a reflection ``R``: invertible, and not symmetric."""

    def __init__(self, roots, seed=0):
        self.roots = torch.as_tensor(roots, dtype=F64)
        self.mirror = torch.randn(len(self.roots), generator=generator(seed), dtype=F64)
        self.mirror /= self.mirror.norm()

    def reflect(self, v):
        return v - 2 * torch.dot(self.mirror, v) * self.mirror

    def scale_gradient(self, gradient):
        return self.reflect(gradient) / self.roots

    def scale_step(self, step):
        return self.roots * self.reflect(step)

    def unscale_step(self, step):
        return self.reflect(step / self.roots)


class Quadratic:
    """Half of ``x' H x``, ``H = R diag(values) R``; the metric is ``L L' = R diag(scales) R``."""

    def __init__(self, values, scales=None):
        self.values = torch.as_tensor(values, dtype=F64)
        self.mirror = Diagonal(np.ones(len(values)))
        self.scales = self.values if scales is None else torch.as_tensor(scales, dtype=F64)

    def value(self, params):
        return 0.5 * (self.values * self.mirror.reflect(params).square()).sum()

    def product(self, v):
        return self.mirror.reflect(self.values * self.mirror.reflect(v))

    def metric(self, params, shift):
        return Diagonal((self.scales + shift).clamp(min=1e-12).sqrt())


def plain(objective):
    return objective.value


def zeros(n):
    return torch.zeros(n, dtype=F64)


def test_a_good_metric_needs_few_products_and_finds_the_least_eigenvalue():
    spectrum = np.geomspace(1e-6, 1e3, 400)
    objective = Quadratic(spectrum, scales=spectrum * np.random.RandomState(0).uniform(0.8, 1.25, 400))
    cheap = certify(objective, zeros(400), random_state=0)
    dear = certify(plain(objective), zeros(400), random_state=0)
    assert cheap.holds
    assert cheap.min_eigenvalue_bound == -1e-3
    assert cheap.failure_probability == dear.failure_probability == 1e-6
    assert 10 * cheap.n_hvp < dear.n_hvp
    # 1e-6 is the truth; Rayleigh quotients are upper bounds, and the tolerance is the scale on which they matter
    assert 1e-6 - 1e-12 <= cheap.min_eigenvalue <= 1e-4


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_any_metric_leaves_a_saddle_a_saddle(scale):
    scales = scale * np.random.RandomState(1).uniform(0.01, 1, 200)
    objective = Quadratic(np.r_[-2e-3, np.linspace(0.1, 1, 199)], scales)
    certificate = certify(objective, zeros(200), random_state=0)
    assert not certificate.holds
    assert certificate.min_eigenvalue < -1e-3
    assert claim_in_metric(
        objective.product, objective.metric(None, 1e-3), 200, generator=generator(0), shift=1e-3,
        failure_probability=1e-6,
    ) is None  # fmt: skip


@pytest.mark.parametrize("kind", ["none", "nan", "zero"])
def test_a_metric_of_no_use_costs_nothing_but_products(kind):
    objective = Quadratic(np.linspace(0.5, 1, 100))
    metrics = {"none": None, "nan": Diagonal(np.full(100, np.nan)), "zero": Diagonal(np.full(100, 1e-300))}
    objective.metric = lambda params, shift: metrics[kind]
    certificate = certify(objective, zeros(100), random_state=0)
    assert certificate.holds
    assert -1e-3 <= certificate.min_eigenvalue_bound < 0.5 < certificate.min_eigenvalue + 1e-6


def test_small_problems_are_factorised_as_before():
    def refuse(params, shift):
        raise AssertionError("the metric was asked for")

    objective = Quadratic(np.linspace(0.5, 1, 20))
    objective.metric = refuse
    assert certify(objective, zeros(20)).method == "dense"


def test_descent_leaves_a_saddle_in_whose_metric_nothing_can_be_claimed():
    class Wells(Quadratic):
        def value(self, params):
            return 0.25 * (params[0] ** 2 - 1) ** 2 + 0.5 * params[1:].square().sum()

    solution = minimize(Wells(np.ones(100)), zeros(100), random_state=0)
    assert solution.status.name == "CERTIFIED"
    assert solution.n_escapes == 1
    assert abs(solution.params[0].item()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_false_certificates_are_as_rare_as_stated(spread):
    """Matrices whose least eigenvalue is beyond the claim by a hair or by more, in metrics good and bad."""
    draws, random, delta, tau, n_cases = np.random.RandomState(0), generator(0), 0.1, 1e-2, 400
    false = 0
    for _ in range(n_cases):
        n = int(np.exp(draws.uniform(np.log(65), np.log(200))))
        values = np.r_[-tau * (1 + 10 ** draws.uniform(-6, 0)), draws.uniform(0, 1, n - 1) ** draws.choice([0.5, 1, 4])]
        objective = Quadratic(values, np.abs(values) * 10 ** draws.uniform(-spread, spread, n))
        false += claim_in_metric(
            objective.product, objective.metric(None, tau), n, generator=random, shift=tau, failure_probability=delta
        ) is not None  # fmt: skip
    # One-sided: a rate of exactly delta is rejected in one run of 10^4
    assert false <= binom.ppf(1 - 1e-4, n_cases, delta)
    assert false > 0, "the bound is so loose here that this test could not fail"
