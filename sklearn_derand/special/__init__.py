"""Numerical kernels, each with its own exact derivatives."""

from .bivariate_normal import bivariate_normal_density, sign_product
from .noncentral_chi2 import noncentral_chi2_cdf, noncentral_chi2_pdf, noncentral_chi2_sf
from .quadrature import gauss_hermite, gauss_legendre

__all__ = [
    "bivariate_normal_density",
    "gauss_hermite",
    "gauss_legendre",
    "noncentral_chi2_cdf",
    "noncentral_chi2_pdf",
    "noncentral_chi2_sf",
    "sign_product",
]
