"""Gauss rules are exact on polynomials, and integrals of many functions do not depend on how many there are."""

import math

import pytest
import torch

from sklearn_derand.special import gauss_hermite, gauss_legendre
from sklearn_derand.special.quadrature import AT_ONCE, integral


def by_rule(rule, f):
    return sum(weight * f(node) for node, weight in zip(*rule, strict=True))


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_legendre_is_exact_to_degree_2n_minus_1(n):
    for degree in range(2 * n):
        exact = (3.0 ** (degree + 1) - (-1.0) ** (degree + 1)) / (degree + 1)
        assert by_rule(gauss_legendre(n, -1.0, 3.0), lambda x, d=degree: x**d) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 6, 15])
def test_hermite_gives_normal_moments(n):
    for half in range(n):
        moment = math.prod(range(1, 2 * half, 2))  # (2 half - 1)!!
        assert by_rule(gauss_hermite(n), lambda x, d=2 * half: x**d) == pytest.approx(moment, rel=1e-11)
        assert by_rule(gauss_hermite(n), lambda x, d=2 * half + 1: (x / n) ** d) == pytest.approx(0, abs=1e-12)


def test_integrals_over_intervals_of_their_own():
    lower, upper = torch.tensor([[0.0, -1.0], [2.0, 1.0]]).double(), torch.tensor([[3.0, 0.5], [2.0, -1.0]]).double()
    exact = (upper**4 - lower**4) / 4
    torch.testing.assert_close(integral(lambda x: x**3, lower, upper, 2), exact, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("n_functions", [0, 1, AT_ONCE // 7, 2 * AT_ONCE])
def test_an_integral_does_not_depend_on_the_others(n_functions):
    """Nodes are taken one by one, several, or all at a time."""
    upper = torch.linspace(0.1, 3.0, n_functions, dtype=torch.float64)
    alone = torch.tensor([integral(torch.cos, 0.0, each, 20) for each in upper[:: AT_ONCE // 3]], dtype=torch.float64)
    together = integral(torch.cos, 0.0, upper, 20)
    torch.testing.assert_close(together, torch.sin(upper), rtol=1e-13, atol=0)
    # One rounding a node: torch 2.14 sums and takes cosines of one number otherwise than of many.
    torch.testing.assert_close(together[:: AT_ONCE // 3], alone, rtol=20 * torch.finfo(torch.float64).eps, atol=0)
