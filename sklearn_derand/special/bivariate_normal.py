r"""The mean sign product of two correlated normals, in closed form and with its own derivatives.

.. math:: S(a, b, r) = E[\mathrm{sign}(a + x)\,\mathrm{sign}(b + y)]
          = \mathrm{erf}(a/\sqrt 2)\,\mathrm{erf}(b/\sqrt 2) + 4 \int_0^r \varphi_2(a, b; t)\,dt

for standard normals ``x, y`` of correlation ``r`` and ``phi_2`` their density. By Plackett's identity
``dS/dr = 4 phi_2(a, b; r)``, and conditioning on ``x = -a`` gives
``dS/da = 2 phi(a) erf((b - r a) / sqrt(2 (1 - r^2)))``.

The value follows A. Genz, "Numerical computation of rectangular bivariate and trivariate normal and t
probabilities", Statistics and Computing 14 (2004) 251-260: a 20-point Gauss rule in ``arcsin t`` for
``|r| < 0.925``; closer to one, the integral from ``|r|`` to 1 with its singular part taken out.
"""

import math

import torch

from .quadrature import integral

NEAR_SINGULAR = 0.925
"""``|r|`` from which the integrand is too steep for the plain Gauss rule (Genz 2004, section 2)."""

N_NODES = 20


def bivariate_normal_density(a, b, r):
    """Density ``phi_2(a, b; r)`` of two standard normals with correlation ``r``, ``|r| < 1``.

    Written so that ``a`` near ``b`` and ``r`` near 1 lose no digits:
    ``(a^2 - 2 r a b + b^2) / (1 - r^2) = (a - b)^2 / (1 - r^2) + 2 a b / (1 + r)``, and its mirror
    image for negative ``r``.

    Parameters
    ----------
    a, b, r : Tensor
        Arguments and correlation, broadcast together.

    Returns
    -------
    density : Tensor
        Differentiable to any order where ``|r| < 1``.
    """
    sign = torch.where(r < 0, -torch.ones_like(r), torch.ones_like(r))
    b, r = sign * b, sign * r
    variance = (1 - r) * (1 + r)
    exponent = (a - b) ** 2 / (2 * variance) + a * b / (1 + r)
    return torch.exp(-exponent) / (2 * math.pi * torch.sqrt(variance))


def sign_product(a, b, r):
    """Mean sign product ``S(a, b, r)`` of two normals of unit variance, means ``a, b``, correlation ``r``.

    Parameters
    ----------
    a, b : Tensor
        Means, float64.
    r : Tensor
        Correlation in ``[-1, 1]``. Not checked. At ``|r| = 1`` the value is exact and the derivatives
        are infinite or not defined.

    Returns
    -------
    product : Tensor
        Values in ``[-1, 1]``, to about 1e-15 (tested to 1e-12 for ``|a|, |b| <= 8``, ``|r| <= 1 - 1e-9``).
        First and second derivatives are the exact ones, not those of the quadrature.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.special import sign_product
    >>> zero = torch.zeros(1, dtype=torch.float64)
    >>> r = torch.tensor([0.5], dtype=torch.float64)
    >>> round(sign_product(zero, zero, r).item(), 12)  # 2 arcsin(r) / pi
    0.333333333333
    """
    return _SignProduct.apply(*torch.broadcast_tensors(a, b, r))


class _SignProduct(torch.autograd.Function):
    """Value by quadrature; backward in differentiable closed form, so second derivatives are exact too."""

    @staticmethod
    def forward(ctx, a, b, r):
        ctx.save_for_backward(a, b, r)
        return _value(a, b, r)

    @staticmethod
    def backward(ctx, grad):
        a, b, r = ctx.saved_tensors
        density = bivariate_normal_density(a, b, r)
        return grad * _mean_derivative(a, b, r), grad * _mean_derivative(b, a, r), 4 * grad * density


def _mean_derivative(a, b, r):
    spread = torch.sqrt(2 * (1 - r) * (1 + r))
    return math.sqrt(2 / math.pi) * torch.exp(-0.5 * a * a) * torch.erf((b - r * a) / spread)


def _value(a, b, r):
    near = r.abs() >= NEAR_SINGULAR
    inner = _integral_from_zero(a, b, torch.where(near, torch.zeros_like(r), r))
    product = torch.erf(a / math.sqrt(2)) * torch.erf(b / math.sqrt(2)) + inner
    if near.any():
        sign = torch.sign(r[near])
        product[near] = sign * _strongly_correlated(a[near], sign * b[near], sign * r[near])
    return product.clamp(-1.0, 1.0)


def _integral_from_zero(a, b, r):
    # 4 int_0^r phi_2(a, b; t) dt with t = sin(theta), which cancels the square root.
    angle = torch.asin(r)
    square, product = 0.5 * (a * a + b * b), a * b

    def density(theta):
        sine = torch.sin(theta)
        return torch.exp((sine * product - square) / ((1 - sine) * (1 + sine)))

    return (2 / math.pi) * integral(density, 0.0, angle, N_NODES)


def _strongly_correlated(a, b, r):
    # S(a, b, 1) - 4 int_r^1 phi_2 for r >= 0.925 (Genz 2004, equations 5 and 6). With x = sqrt(1 - t^2) and
    # u = sqrt(1 - r^2) the integral is
    #   (1 / 2 pi) int_0^u exp(-(a - b)^2 / 2 x^2 - a b / (1 + sqrt(1 - x^2))) / sqrt(1 - x^2) dx.
    # The factor without 1 / x^2 is replaced by exp(-a b / 2) times its expansion 1 + c x^2 + c d x^4, and
    # that part integrated in closed form; what is left is small near 0 and the Gauss rule takes it.
    square, product = (a - b) ** 2, a * b
    u = torch.sqrt((1 - r) * (1 + r))
    c, d = (4 - product) / 8, (12 - product) / 16
    at_u = torch.exp(-0.5 * (square / (u * u).clamp_min(1e-300) + product))
    gap = torch.sqrt(square)
    tail = math.sqrt(math.pi / 2) * torch.special.erfcx(gap / u.clamp_min(1e-150) / math.sqrt(2))
    closed = u * at_u * (1 - c * (square - u * u) * (1 - d * square / 5) / 3 + c * d * u**4 / 5)
    closed = closed - at_u * tail * gap * (1 - c * square * (1 - d * square / 5) / 3)

    def rest(x):
        x2 = x**2
        root = torch.sqrt(1 - x2)
        steep = torch.exp(-0.5 * (square / x2.clamp_min(1e-300) + product))
        smooth = torch.exp(-0.5 * product * x2 / (1 + root) ** 2) / root
        return steep * (smooth - (1 + c * x2 * (1 + d * x2)))

    above = (closed + integral(rest, 0.0, u, N_NODES)) / (2 * math.pi)
    return 1 - torch.abs(torch.erf(a / math.sqrt(2)) - torch.erf(b / math.sqrt(2))) - 4 * above
