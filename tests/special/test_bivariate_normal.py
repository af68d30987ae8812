"""The mean sign product against an independent quadrature, Monte Carlo and finite differences."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import erf

from sklearn_derand.special import bivariate_normal_density, sign_product

CORRELATIONS = [0.0, 1e-9, 0.3, 0.9249999, 0.925, 0.99, 0.999999, 1 - 1e-9]
MEANS = [
    (0.0, 0.0),
    (0.3, 0.3),
    (0.3, 0.30001),
    (-2.0, 2.0001),
    (8.0, 7.99),
    (8.0, -8.0),
    (0.0, 5.0),
    (1.0, -3.0),
]


def tensors(*numbers):
    return [torch.tensor([float(x)], dtype=torch.float64) for x in numbers]


def by_conditioning(a, b, r):
    """``E[sign(a + x) erf((b + r x) / sqrt(2 (1 - r^2)))]`` by composite Gauss-Legendre panels.

    Another formula than the one under test, with panels packed round both steep places.
    """
    spread = math.sqrt((1 - r) * (1 + r))
    steep = -b / r if abs(r) > 1e-3 else 0.0
    fine = [steep + k * spread for k in np.linspace(-40, 40, 81)]
    breaks = np.unique(np.clip([-12.0, 12.0, -a, *np.linspace(-12, 12, 49), *fine], -12.0, 12.0))
    nodes, weights = np.polynomial.legendre.leggauss(24)
    half = np.diff(breaks)[:, None] / 2
    x = (breaks[:-1, None] + half) + half * nodes
    inner = erf((b + r * x) / (spread * math.sqrt(2)))
    return np.sum(half * weights * np.sign(a + x) * inner * np.exp(-x * x / 2)) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("r", CORRELATIONS)
def test_value_against_quadrature(r, sign):
    for a, b in MEANS:
        value = sign_product(*tensors(a, b, sign * r)).item()
        assert value == pytest.approx(by_conditioning(a, b, sign * r), abs=1e-12)


def test_grothendieck_identity_at_zero_means():
    r = torch.linspace(-1, 1, 201, dtype=torch.float64)
    zero = torch.zeros_like(r)
    torch.testing.assert_close(sign_product(zero, zero, r), 2 / math.pi * torch.asin(r), atol=1e-14, rtol=0)


def test_symmetries_and_limits():
    rng = np.random.default_rng(0)
    a, b, r = (torch.tensor(x) for x in (rng.normal(0, 2, 500), rng.normal(0, 2, 500), rng.uniform(-1, 1, 500)))
    value = sign_product(a, b, r)
    torch.testing.assert_close(value, sign_product(b, a, r), atol=1e-15, rtol=0)
    torch.testing.assert_close(value, -sign_product(-a, b, -r), atol=1e-15, rtol=0)
    assert (sign_product(a, b, r.abs()) >= sign_product(a, b, -r.abs())).all()
    independent = torch.erf(a / math.sqrt(2)) * torch.erf(b / math.sqrt(2))
    torch.testing.assert_close(sign_product(a, b, 0 * r), independent, atol=1e-15, rtol=0)
    same = 1 - (torch.erf(a / math.sqrt(2)) - torch.erf(b / math.sqrt(2))).abs()
    torch.testing.assert_close(sign_product(a, b, torch.ones_like(r)), same, atol=1e-15, rtol=0)
    assert sign_product(*tensors(40, -40, 0.99)).item() == -1.0
    assert sign_product(*tensors(300, -300, 0.99)).item() == -1.0


def test_value_against_monte_carlo():
    rng = np.random.default_rng(1)
    x, z = rng.standard_normal((2, 400_000))
    for a, b, r in [(0.4, -0.2, 0.5), (1.0, 0.3, -0.95), (0.0, 0.7, 0.99)]:
        product = np.sign(a + x) * np.sign(b + r * x + math.sqrt(1 - r * r) * z)
        error = product.std() / math.sqrt(product.size)
        assert abs(product.mean() - sign_product(*tensors(a, b, r)).item()) < 4 * error


@pytest.mark.parametrize(
    "point",
    [(0, 0, 0), (0, 0, 0.95), (0, 0, -0.95), (0.5, -0.3, 0), (1, 1, 0.6), (1, -0.5, 0.93), (2, 1.5, -0.97)],
)
def test_derivatives(point):
    arguments = [x.requires_grad_() for x in tensors(*point)]
    assert torch.autograd.gradcheck(sign_product, arguments)
    assert torch.autograd.gradgradcheck(sign_product, arguments)


def test_derivatives_are_reduced_to_the_shapes_given():
    a = torch.zeros(3, 1, dtype=torch.float64, requires_grad=True)
    b = torch.ones(4, dtype=torch.float64, requires_grad=True)
    r = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    sign_product(a, b, r).sum().backward()
    assert a.grad.shape == (3, 1) and b.grad.shape == (4,) and r.grad.shape == ()
    density = bivariate_normal_density(a, b, r).sum()
    assert r.grad.item() == pytest.approx(4 * density.item())


def test_density_integrates_to_one():
    grid = torch.linspace(-9, 9, 721, dtype=torch.float64)
    for r in (0.0, 0.9, -0.99):
        mass = bivariate_normal_density(grid[:, None], grid, torch.tensor(r, dtype=torch.float64)).sum()
        assert mass.item() * (grid[1] - grid[0]).item() ** 2 == pytest.approx(1, abs=1e-10)


def test_read_only_inputs_are_left_alone():
    a, b, r = tensors(0.2, 0.1, 0.99)
    copies = [x.clone() for x in (a, b, r)]
    sign_product(a, b, r)
    assert all(torch.equal(x, y) for x, y in itertools.zip_longest((a, b, r), copies))
