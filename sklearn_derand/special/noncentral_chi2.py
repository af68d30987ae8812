r"""The noncentral chi-square law with ``k`` degrees of freedom: density and both tails, with exact derivatives.

If ``Y ~ N(mu, I_k)`` and ``nc = |mu|^2`` then ``|Y|^2`` has the density

.. math:: f_k(x; nc) = \tfrac12 e^{-(x + nc)/2} (x / nc)^{\nu/2} I_\nu(\sqrt{nc\,x}), \qquad \nu = k/2 - 1,

and, F being its distribution function (one minus a Marcum Q function),

.. math:: \partial_x F_k = f_k, \quad \partial_{nc} F_k = -f_{k+2}, \quad
          \partial_x f_k = (\nu/x - \tfrac12) f_k + \frac{nc}{2x} f_{k+2}, \quad
          \partial_{nc} f_k = \tfrac12 (f_{k+2} - f_k).

All follow from ``f_k`` being a Poisson(nc/2) mixture of central densities and from
``I'_nu = I_{nu+1} + (nu/z) I_nu``. The density uses the power series of ``I_nu`` near the origin and Debye's
uniform expansion elsewhere (DLMF 10.25.2, 10.41.3); the tails integrate one normal coordinate exactly and the
chi-square law of the ``k - 1`` others by a Gauss rule, which stays accurate as ``nc`` grows without bound.
"""

import math
from functools import cache

import torch

from .quadrature import integral

DEBYE_FROM = 30.0
"""``sqrt(nu^2 + z^2)`` from which twelve terms of Debye's expansion reach about 1e-15."""

N_DEBYE = 12
N_SERIES = 120
N_NODES = 96
MASS = 8.6
"""Half-width in units of ``sqrt(chi2)``, whose standard deviation is below 0.72: beyond, less than 1e-17 of mass."""


def noncentral_chi2_pdf(x, n_dof, noncentrality):
    """Density of the noncentral chi-square law.

    Parameters
    ----------
    x : Tensor
        Where to evaluate, positive, float64. Not checked.
    n_dof : int
        Degrees of freedom ``k >= 1``.
    noncentrality : Tensor
        ``nc >= 0``, broadcast against ``x``. Not checked.

    Returns
    -------
    density : Tensor
        Differentiable to any order in ``x`` and ``noncentrality``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.special import noncentral_chi2_pdf
    >>> two = torch.tensor(2.0, dtype=torch.float64)
    >>> round(noncentral_chi2_pdf(two, 2, 0 * two).item(), 12)  # exp(-1) / 2
    0.183939720586
    """
    return _Density.apply(*torch.broadcast_tensors(x, noncentrality), n_dof)


def noncentral_chi2_cdf(x, n_dof, noncentrality):
    """Lower tail ``P(|Y|^2 <= x)``.

    Parameters
    ----------
    x : Tensor
        Where to evaluate, positive, float64. Not checked.
    n_dof : int
        Degrees of freedom ``k >= 1``.
    noncentrality : Tensor
        ``nc >= 0``, broadcast against ``x``. Not checked.

    Returns
    -------
    probability : Tensor
        To about 1e-13 absolutely. First and second derivatives are the exact ones, not the quadrature's.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.special import noncentral_chi2_cdf
    >>> two = torch.tensor(2.0, dtype=torch.float64)
    >>> round(noncentral_chi2_cdf(two, 2, 0 * two).item(), 12)  # 1 - exp(-1)
    0.632120558829
    """
    return _Tail.apply(*torch.broadcast_tensors(x, noncentrality), n_dof, False)


def noncentral_chi2_sf(x, n_dof, noncentrality):
    """Upper tail ``P(|Y|^2 > x)``, not as one minus the lower one: small tails keep their digits.

    Parameters
    ----------
    x : Tensor
        Where to evaluate, positive, float64. Not checked.
    n_dof : int
        Degrees of freedom ``k >= 1``.
    noncentrality : Tensor
        ``nc >= 0``, broadcast against ``x``. Not checked.

    Returns
    -------
    probability : Tensor
        To about 1e-13 absolutely. First and second derivatives are the exact ones, not the quadrature's.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.special import noncentral_chi2_sf
    >>> two = torch.tensor(2.0, dtype=torch.float64)
    >>> round(noncentral_chi2_sf(two, 2, 0 * two).item(), 12)  # exp(-1)
    0.367879441171
    """
    return _Tail.apply(*torch.broadcast_tensors(x, noncentrality), n_dof, True)


class _Density(torch.autograd.Function):
    """``f_k(x; nc)``; the backward uses ``f_k`` and ``f_{k+2}`` again, so every order is exact."""

    @staticmethod
    def forward(ctx, x, noncentrality, n_dof):
        ctx.save_for_backward(x, noncentrality)
        ctx.n_dof = n_dof
        return torch.exp(_log_density(x, n_dof, noncentrality))

    @staticmethod
    def backward(ctx, grad):
        x, noncentrality = ctx.saved_tensors
        density = noncentral_chi2_pdf(x, ctx.n_dof, noncentrality)
        above = noncentral_chi2_pdf(x, ctx.n_dof + 2, noncentrality)
        slope = ((ctx.n_dof / 2 - 1) / x - 0.5) * density + noncentrality / (2 * x) * above
        return grad * slope, grad * 0.5 * (above - density), None


class _Tail(torch.autograd.Function):
    """``F_k`` or ``1 - F_k``; the backward is the density in closed form."""

    @staticmethod
    def forward(ctx, x, noncentrality, n_dof, upper):
        ctx.save_for_backward(x, noncentrality)
        ctx.n_dof, ctx.sign = n_dof, -1.0 if upper else 1.0
        return _tail(x, n_dof, noncentrality, upper)

    @staticmethod
    def backward(ctx, grad):
        x, noncentrality = ctx.saved_tensors
        grad = ctx.sign * grad
        slope = noncentral_chi2_pdf(x, ctx.n_dof, noncentrality)
        return grad * slope, -grad * noncentral_chi2_pdf(x, ctx.n_dof + 2, noncentrality), None, None


def _log_density(x, n_dof, noncentrality):
    order = n_dof / 2 - 1
    argument = torch.sqrt(noncentrality * x)
    modulus = torch.sqrt(order**2 + noncentrality * x)
    out = torch.empty_like(x)
    far = modulus >= DEBYE_FROM
    near = ~far
    if near.any():
        x_, nc_ = x[near], noncentrality[near]
        power = order * torch.log(x_ / 2) if order else torch.zeros_like(x_)
        log_series = torch.log(_series(nc_ * x_ / 4, order))
        out[near] = power - (x_ + nc_) / 2 - math.lgamma(order + 1) + log_series
    if far.any():
        x_, nc_, z, m = x[far], noncentrality[far], argument[far], modulus[far]
        # (x/nc)^(nu/2) (z / (nu + m))^nu = (x / (nu + m))^nu, which needs no nc > 0.
        bessel = torch.log(_debye(order, m)) - 0.5 * torch.log(2 * math.pi * m)
        bulk = -0.5 * (torch.sqrt(x_) - torch.sqrt(nc_)) ** 2 + order**2 / (z + m)
        out[far] = bulk + order * torch.log(x_ / (order + m)) + bessel
    return out - math.log(2)


def _series(y, order):
    """Return ``0F1(; order + 1; y) = sum_m y^m / (m! (order + 1)_m)``, all terms positive."""
    term = total = torch.ones_like(y)
    for m in range(1, N_SERIES):
        term = term * y / (m * (m + order))
        total = total + term
    return total


@cache
def _debye_coefficients():
    """Return the polynomials ``U_0, U_1, ...`` of DLMF 10.41.9 as ascending coefficients in ``p``."""
    polynomials = [torch.ones(1, dtype=torch.float64)]
    for _ in range(N_DEBYE - 1):
        last = polynomials[-1]
        following = torch.zeros(last.numel() + 3, dtype=torch.float64)
        for i, c in enumerate(last.tolist()):
            # U_{k+1} = p^2 (1 - p^2) U_k' / 2 + (1/8) int_0^p (1 - 5 t^2) U_k dt
            following[i + 1] += c * (i / 2 + 1 / (8 * (i + 1)))
            following[i + 3] -= c * (i / 2 + 5 / (8 * (i + 3)))
        polynomials.append(following)
    return polynomials


def _debye(order, modulus):
    """Return ``sum_k U_k(nu/m) / nu^k``; ``p^k`` divides ``U_k``, so ``nu = 0`` is no exception."""
    p_squared = (order / modulus) ** 2
    total = torch.zeros_like(modulus)
    for k, coefficients in enumerate(_debye_coefficients()):
        inner = torch.zeros_like(modulus)
        for c in reversed(coefficients[k::2].tolist()):
            inner = inner * p_squared + c
        total = total + inner / modulus**k
    return total


def _tail(x, n_dof, noncentrality, upper):
    root, mean = torch.sqrt(x), torch.sqrt(noncentrality)
    if n_dof == 1:
        return _interval(root, mean, upper)
    # |Y|^2 = y^2 + w, y ~ N(mean, 1), w ~ chi2(k - 1); with w = x sin^2(theta) the integrand is smooth up to w = x.
    centre = math.sqrt(max(n_dof - 2, 0))
    low = torch.asin(torch.clamp(max(centre - MASS, 0.0) / root, max=1.0))
    high = torch.asin(torch.clamp((centre + MASS) / root, max=1.0))

    def integrand(theta):
        v = root * torch.sin(theta)
        rest = root * torch.cos(theta)
        return torch.exp(_log_chi(v, n_dof - 1)) * rest * _interval(rest, mean, upper)

    total = integral(integrand, low, high, N_NODES)
    return total + _chi_upper_tail(root, n_dof - 1) if upper else total


def _log_chi(v, n_dof):
    """Log density of the square root of a central chi-square."""
    return (n_dof - 1) * torch.log(v) - v * v / 2 - (n_dof / 2 - 1) * math.log(2) - math.lgamma(n_dof / 2)


def _chi_upper_tail(v, n_dof):
    """``P(chi > v)`` by the same rule; ``torch.special.gammaincc`` is off by 1e-10 for 64 degrees of freedom."""
    centre = math.sqrt(n_dof - 1)
    low = torch.clamp(v, min=max(centre - MASS, 0.0))
    high = torch.clamp(v, min=centre) + MASS
    return integral(lambda v: torch.exp(_log_chi(v, n_dof)), low, high, N_NODES)


def _interval(radius, mean, upper):
    """``P(|y| <= radius)`` or its complement for ``y ~ N(mean, 1)``, without cancellation in the complement."""
    inside = _normal_cdf(radius - mean) - _normal_cdf(-radius - mean)
    if not upper:
        return inside
    return _normal_cdf(mean - radius) + _normal_cdf(-radius - mean)


def _normal_cdf(z):
    """``torch.special.ndtr`` is zero below -9; this keeps the tail's digits."""
    return 0.5 * torch.special.erfc(z / -math.sqrt(2))
