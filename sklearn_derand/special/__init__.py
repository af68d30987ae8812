"""Numerical kernels, each with its own exact derivatives."""

from .bivariate_normal import bivariate_normal_density, sign_product
from .quadrature import gauss_hermite, gauss_legendre

__all__ = ["bivariate_normal_density", "gauss_hermite", "gauss_legendre", "sign_product"]
