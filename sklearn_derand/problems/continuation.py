r"""Descend the expected cut in the means while the noise ``sigma V`` is taken from 1 to 0.

The gradient needs no quadrature: with ``tau^2 = sigma^2 + eps^2``, ``a = mu / tau`` and
``r_ij = sigma^2 v_i . v_j / tau^2``,

.. math:: \frac{\partial (-E\,\mathrm{cut})}{\partial \mu_i} = \frac{\varphi(a_i)}{\tau} \sum_j w_{ij}\,
          \mathrm{erf}\Bigl(\frac{a_j - r_{ij} a_i}{\sqrt{2 (1 - r_{ij}^2)}}\Bigr).

Many replicas of ``mu`` descend at once as the columns of one array, in float32: this is a heuristic that proposes
means. It is not monotone in the expectation (``sigma`` moves), so whoever calls it checks the cut it leads to.
"""

import math
from dataclasses import dataclass

import torch

from sklearn_derand.problems.weighted_graph import binary_unit

SMOOTHING = 0.1
"""``eps`` relative to the unit vectors: .03 and .3 are worse on the Gset graphs."""

STEP, MOMENTUM = 0.5, 0.8
"""Heavy-ball constants, for gradients divided by the l2 norm of the vertex's weights."""

START = 0.01
"""Scale of the starting means: ``mu = 0`` is stationary by symmetry."""


@dataclass(frozen=True)
class Path:
    """Where the means went.

    Attributes
    ----------
    means : Tensor of shape (n_nodes, n_replicas)
        At ``sigma = 0``.
    noise : list of float
        ``sigma`` at the recorded steps.
    gradient_norms : list of Tensor of shape (n_replicas,)
        Norm of the gradient in the means at the recorded steps.
    snapshots : list of Tensor of shape (n_nodes, n_replicas)
        Means at the recorded steps.
    """

    means: torch.Tensor
    noise: list
    gradient_norms: list
    snapshots: list


def descend_noise(
    indptr, cols, weights, vectors, *, n_replicas, n_steps, generator, n_records=10, time_used=None, smoothing=SMOOTHING
):
    """Take ``sigma`` from 1 to 0 in ``n_steps`` momentum steps on the means.

    Parameters
    ----------
    indptr, cols, weights : Tensor
        The symmetric weights in compressed rows.
    vectors : Tensor of shape (n_nodes, rank)
        Unit rows: the law to derandomise.
    n_replicas : int
        Columns of means, each from its own hyperplane.
    n_steps : int
        Steps; more is better, with diminishing returns.
    generator : torch.Generator
        CPU source of the hyperplanes.
    n_records : int, default=10
        Points recorded along the way.
    time_used : callable or None, default=None
        Fraction of the time allowed that is gone; ``sigma`` then falls at least that fast.
    smoothing : float, default=0.1
        ``eps``.

    Returns
    -------
    Path
    """
    single, n = torch.float32, vectors.shape[0]
    rows = torch.repeat_interleave(torch.arange(n, device=cols.device), indptr.diff())
    correlation = torch.cat([(vectors[r] * vectors[c]).sum(1) for r, c in _blocks(rows, cols)]).to(single)
    unit = binary_unit(weights)
    weights = weights / unit
    row_norm = torch.zeros(n, dtype=torch.float64, device=cols.device).index_add_(0, rows, weights.square())
    weights = weights.to(single)[:, None]
    rate = STEP / row_norm.sqrt().clamp_min(torch.finfo(single).tiny).to(single)[:, None]
    normals = torch.randn(vectors.shape[1], n_replicas, generator=generator, dtype=torch.float64)
    means = START * (vectors @ normals.to(vectors.device)).to(single)
    velocity = torch.zeros_like(means)
    path = Path(means, [], [], [])
    recorded = {round(k * (n_steps - 1) / max(1, n_records - 1)) for k in range(n_records)}
    step = 0
    while step < n_steps:
        sigma = 1 - step / max(1, n_steps - 1)
        tau = math.sqrt(sigma**2 + smoothing**2)
        gradient = _mean_gradient(rows, cols, weights, correlation * (sigma / tau) ** 2, means / tau) / tau
        if step in recorded:
            path.noise.append(sigma)
            path.gradient_norms.append(gradient.norm(dim=0).double() * unit)
            path.snapshots.append(means.clone())
        velocity.mul_(MOMENTUM).sub_(gradient * rate * tau**2)
        means.add_(velocity).clamp_(-4, 4)
        step += 1
        if time_used is not None:
            step = max(step, min(n_steps - 1, int(time_used() * n_steps))) if step < n_steps else step
    return path


def _mean_gradient(rows, cols, weights, correlation, scaled):
    correlation = correlation.clamp(-0.9999, 0.9999)[:, None]
    inverse = torch.rsqrt(2 * (1 - correlation.square()))
    pull = scaled.index_select(0, cols).mul_(inverse)
    pull.sub_(scaled.index_select(0, rows).mul_(correlation * inverse))
    pull.erf_().mul_(weights)
    total = torch.zeros_like(scaled).index_add_(0, rows, pull)
    return total.mul_(torch.exp(-0.5 * scaled.square()) / math.sqrt(2 * math.pi))


def _blocks(rows, cols, size=1 << 20):
    return zip(rows.split(size), cols.split(size), strict=True)
