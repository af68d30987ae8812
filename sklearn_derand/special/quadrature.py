"""Gauss rules: ``integral f = sum w_i f(x_i)``, exact for polynomials of degree ``2 n - 1``.

The nodes come from numpy and scipy; what is added is the interval, the normalisation and a cache.
"""

from functools import lru_cache

import numpy as np
import torch
from scipy.special import roots_hermitenorm

AT_ONCE = 2**15
"""Numbers that a temporary of ``integral`` holds: all nodes of few functions together, of more functions than this a
single one."""


@lru_cache(maxsize=32)
def gauss_legendre(n_nodes, lower=-1.0, upper=1.0):
    """Nodes and weights of the Gauss-Legendre rule on ``[lower, upper]``.

    Parameters
    ----------
    n_nodes : int
        Number of nodes.
    lower, upper : float
        Ends of the interval.

    Returns
    -------
    nodes, weights : tuple of float
        Plain numbers: they serve numpy and torch alike, and nobody can write into the cache.

    Examples
    --------
    >>> from sklearn_derand.special.quadrature import gauss_legendre
    >>> nodes, weights = gauss_legendre(3, 0.0, 1.0)
    >>> round(sum(w * x**5 for x, w in zip(nodes, weights)), 12)  # 1 / 6
    0.166666666667
    """
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    half = 0.5 * (upper - lower)
    return tuple((0.5 * (upper + lower) + half * nodes).tolist()), tuple((half * weights).tolist())


@lru_cache(maxsize=32)
def gauss_hermite(n_nodes):
    """Nodes and weights with ``E f(z) = sum w_i f(x_i)`` for ``z ~ N(0, 1)``.

    Parameters
    ----------
    n_nodes : int
        Number of nodes.

    Returns
    -------
    nodes, weights : tuple of float
        The weights sum to 1.

    Examples
    --------
    >>> from sklearn_derand.special.quadrature import gauss_hermite
    >>> nodes, weights = gauss_hermite(5)
    >>> round(sum(w * x**4 for x, w in zip(nodes, weights)), 12)
    3.0
    """
    nodes, weights = roots_hermitenorm(n_nodes)
    return tuple(nodes.tolist()), tuple((weights / weights.sum()).tolist())


def integral(integrand, lower, upper, n_nodes):
    """Gauss-Legendre integrals of many functions of one variable, each over its own interval.

    Parameters
    ----------
    integrand : callable
        From arguments of shape (m, *upper.shape) to the values of every function at ``m`` of them, of that shape.
    lower : float or Tensor
        Lower ends.
    upper : Tensor
        Upper ends, one a function.
    n_nodes : int
        Number of nodes.

    Returns
    -------
    integrals : Tensor
        Of the shape of ``upper``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.special.quadrature import integral
    >>> power = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    >>> integral(lambda x: x**power, 0.0, torch.ones_like(power), 3)
    tensor([0.5000, 0.3333, 0.2500], dtype=torch.float64)
    """
    width = upper - lower
    rule = gauss_legendre(n_nodes, 0.0, 1.0)
    nodes, weights = (width.new_tensor(values).view(-1, *[1] * width.dim()) for values in rule)
    at_once = max(1, AT_ONCE // max(width.numel(), 1))
    total = torch.zeros_like(width)
    for node, weight in zip(nodes.split(at_once), weights.split(at_once), strict=True):
        total += (weight * integrand(lower + width * node)).sum(dim=0)
    return width * total
