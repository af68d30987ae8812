"""The expected number of failed pairs: closed form, derivatives, limits, and the descent to a map without noise."""

import math

import pytest
import torch

from sklearn_derand.engine import check_gradient, check_hessian, minimize
from sklearn_derand.problems.distortion_bounds import gaussian_bound
from sklearn_derand.problems.distortion_probability import DistortionProbability

from .conformance import assert_value_is_the_expectation

F64 = torch.float64
N_DRAWS = 20_000


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def pose(n=9, r=6, k=4, eps=0.5, **settings):
    points = normal(n, r, seed=0)
    first, second = torch.triu_indices(n, n, 1)
    differences = points[first] - points[second]
    inverse = 1 / differences.square().sum(dim=1)
    problem = DistortionProbability(points, first, second, inverse, k, eps, **settings)
    return problem, differences * inverse.sqrt()[:, None]


@pytest.mark.parametrize("smoothing", [1e-3, 0.2])
@pytest.mark.parametrize("eps", [0.3, 0.9, 1.0, 1.4])
@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_the_value_is_the_mean_number_of_failures(noise, eps, smoothing):
    problem, units = pose(eps=eps, penalty=0.7, smoothing=smoothing)
    maps = 0.5 * normal(4, 6, seed=1)
    draws = maps + math.sqrt(noise**2 + smoothing**2) * normal(N_DRAWS, 4, 6, seed=2)
    changes = (draws @ units.T).square().sum(dim=1) - 1
    failures = (changes.abs() > eps).sum(dim=1) + 0.7 * noise**2
    assert_value_is_the_expectation(problem, problem.pack(maps, noise**2), failures.numpy())


@pytest.mark.parametrize("scale, noise", [(0.0, 0.5), (0.5, 0.3), (0.5, 0.02), (0.5, 0.0)])
def test_derivatives(scale, noise):
    """At the zero map, with plenty of noise, with little, and with none but the smoothing."""
    problem, _ = pose(smoothing=0.05)
    params = problem.pack(scale * normal(4, 6, seed=1), noise**2)
    assert check_gradient(problem, params, random_state=0).passed
    assert check_hessian(problem, params, random_state=0).passed


def test_heat_equation():
    """``df/ds = s tr Hess_M f + 2 penalty s``: the noise has no stationary point while the map's trace allows none."""
    problem, _ = pose(penalty=0.3)
    params = problem.pack(0.5 * normal(4, 6, seed=1), 0.1)
    hessian = torch.autograd.functional.hessian(problem.value, params)
    slope = torch.autograd.functional.jacobian(problem.value, params)[-1]
    s = params[-1]
    assert slope.item() == pytest.approx((s * hessian[:-1, :-1].trace() + 0.6 * s).item(), rel=1e-9)


def test_with_hardly_any_noise_it_counts():
    """The smoothing moves ``q`` by some ``2 smoothing`` and decides only pairs as close to ``eps`` as that."""
    problem, units = pose(smoothing=1e-5)
    maps = 0.5 * normal(4, 6, seed=1)
    params = problem.pack(maps, 0.0)
    changes = ((units @ maps.T).square().sum(dim=1) - 1).abs()
    assert (changes - 0.5).abs().min() > 1e-3
    assert 0 < problem.n_failures(params) == (changes > 0.5).sum() < len(changes)
    assert problem.value(params).item() == pytest.approx(problem.n_failures(params), abs=1e-9)
    torch.testing.assert_close(problem.probabilities(params), (changes > 0.5).to(F64), rtol=0, atol=1e-9)


def test_it_is_below_the_union_bound_and_falls_with_eps():
    """At the Gaussian law the probability of any failure beyond Chernoff's bound is below 1."""
    n, k = 20, 8
    bound, _ = gaussian_bound(n * (n - 1) // 2, k)
    values = []
    for factor in (1.0, 0.8, 0.5):
        problem, _ = pose(n=n, r=5, k=k, eps=factor * bound, smoothing=1e-9)
        values.append(problem.value(problem.pack(torch.zeros(k, 5, dtype=F64), 1 / k)).item() - 0.5 / k)
    assert 0 < values[0] < values[1] < values[2]
    assert values[0] < 1


@pytest.mark.parametrize("k, eps", [(8, 0.9), (10, 0.7)])
def test_descent_drives_out_the_noise_and_the_failures(k, eps):
    problem, _ = pose(n=14, r=13, k=k, eps=eps)
    start = problem.pack(normal(k, 13, seed=3) / math.sqrt(2 * k), 0.5 / k)
    assert problem.value(start) > 1
    solution = minimize(problem, start, random_state=0)
    noise = solution.history["noise"]
    assert solution.certificate.holds
    assert noise[0] == pytest.approx(math.sqrt(0.5 / k))
    assert noise[-1] < 1e-4
    assert solution.value < 1e-6
    assert problem.n_failures(solution.params) == 0
