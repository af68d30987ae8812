"""Gauss rules are exact on polynomials."""

import math

import pytest

from sklearn_derand.special import gauss_hermite, gauss_legendre


def integral(rule, f):
    return sum(weight * f(node) for node, weight in zip(*rule, strict=True))


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_legendre_is_exact_to_degree_2n_minus_1(n):
    for degree in range(2 * n):
        exact = (3.0 ** (degree + 1) - (-1.0) ** (degree + 1)) / (degree + 1)
        assert integral(gauss_legendre(n, -1.0, 3.0), lambda x, d=degree: x**d) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 6, 15])
def test_hermite_gives_normal_moments(n):
    for half in range(n):
        moment = math.prod(range(1, 2 * half, 2))  # (2 half - 1)!!
        assert integral(gauss_hermite(n), lambda x, d=2 * half: x**d) == pytest.approx(moment, rel=1e-11)
        assert integral(gauss_hermite(n), lambda x, d=2 * half + 1: (x / n) ** d) == pytest.approx(0, abs=1e-12)
