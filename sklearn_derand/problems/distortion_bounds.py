r"""What can be promised about the largest distortion before any map is drawn, and what no map can beat.

**Upper bound of the Gaussian law.** For ``A`` with iid N(0, 1/k) entries each ``k q_u`` is chi-square with ``k``
degrees of freedom, so for N pairs and every ``0 < t < k/2``

.. math:: E \max_u |q_u - 1| \le \frac1t \log F_t(0, 1/k)
          = \frac1t \log N\left( (1 - 2t/k)^{-k/2} e^{-t} + (1 + 2t/k)^{-k/2} e^{t} \right),

and some map attains it. At the minimising ``t`` this is the union-bound Johnson-Lindenstrauss guarantee.

**Lower bound for every map** to R^k, linear or not. Let ``p >= 0`` sum to 1, ``G`` be the Gram matrix of the points
about ``sum p_i x_i``, ``l_1 >= l_2 >= ...`` the spectrum of ``diag(sqrt p) G diag(sqrt p)``, ``T = sum_{i>k} l_i``, and
``D0`` the matrix of squared distances. If ``|D1 - D0| <= eps D0`` on all pairs for the images of any map, then

.. math:: \epsilon \ge \frac{2 \sqrt{\sum_{i>k} l_i^2 + T^2 / (k + 1)}}{\sqrt{\sum_{ij} p_i p_j (D0_{ij})^2}} .

*Proof.* Centre the images likewise and let ``E = G1 - G0``, ``e = diag E``: then ``E p = 0`` and
``D1 - D0 = e 1' + 1 e' - 2 E``. Expanding the weighted square, the terms linear in ``E p`` vanish and, with
``E~ = diag(sqrt p) E diag(sqrt p)``,
``sum_ij p_i p_j (D1 - D0)_ij^2 = 4 |E~|^2 + 2 sum p e^2 + 2 (sum p e)^2 >= 4 (|E~|^2 + (tr E~)^2)``, by Jensen's
``sum p e^2 >= (sum p e)^2`` and ``sum p e = tr E~``. The images' weighted Gram matrix has rank at most k and positive
eigenvalues ``m_i``. By Mirsky's inequality ``|E~|^2 >= sum_{i<=k} (m_i - l_i)^2 + sum_{i>k} l_i^2``, and with
``s_i = m_i - l_i`` the trace is ``sum s_i - T``. Over real ``s`` the sum of squares plus ``(sum s_i - T)^2`` is least
at ``s_i = T / (k + 1)``, where it is ``T^2 / (k + 1)``. The left side is at most ``eps^2 sum p_i p_j (D0_ij)^2``. []

:mod:`~sklearn_derand.problems.signed_pairs` sharpens it by signed weights of the pairs.
"""

import math

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor

from .ranks import Ranks
from .signed_pairs import signed_pairs_bound


def gaussian_bound(n_pairs: int, n_components: int) -> tuple[float, float]:
    """Return the a-priori bound of the Gaussian law on the largest distortion, and the ``t`` that attains it.

    Parameters
    ----------
    n_pairs : int
        Pairs of distinct points, at least 1.
    n_components : int
        Dimension ``k`` of the images.

    Returns
    -------
    bound : float
        ``min_t (1/t) log F_t(0, 1/k)``. At 1 or above it says nothing that the zero map does not.
    t : float
        The minimiser, in (0, k/2).

    Examples
    --------
    >>> from sklearn_derand.problems.distortion_bounds import gaussian_bound
    >>> bound, t = gaussian_bound(100 * 99 // 2, 30)  # the paper's setting, all pairs
    >>> round(bound, 2)
    1.48
    """

    def bound(scaled):
        t = n_components / 2 * scaled
        upper = -n_components / 2 * np.log1p(-scaled) - t
        lower = -n_components / 2 * np.log1p(scaled) + t
        return (math.log(n_pairs) + np.logaddexp(upper, lower)) / t

    best = minimize_scalar(bound, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-10})
    return float(best.fun), float(n_components / 2 * best.x)


def distortion_lower_bound(
    points: Tensor,
    squared_distances: Tensor,
    n_components: int,
    max_evaluations: int = 40,
    ranks: Ranks | None = None,
    pair_evaluations: int = 0,
) -> float:
    """Return a distortion that no map of these points to ``n_components`` dimensions can be below.

    Parameters
    ----------
    points : Tensor of shape (n, r)
        The points in any orthonormal coordinates of their span.
    squared_distances : Tensor of shape (n, n)
        Of these points.
    n_components : int
        Dimension ``k`` of the images.
    max_evaluations : int, default=40
        Spectra computed while the point weights ``p`` ascend. Every ``p`` gives a valid bound; more give a better one.
    ranks : Ranks or None, default=None
        Processes over which the points are spread, each with the rows of its own points in both arrays.
    pair_evaluations : int, default=0
        Spectra of an n x n matrix computed while signed weights of the pairs ascend as well, from where those of the
        points have come to: 0 for never, otherwise at least 3. Each rank then holds both whole arrays.

    Returns
    -------
    float
        The bound at the best weights seen, reduced by a margin for rounding; at least 0.

    Notes
    -----
    It is not verified that the weights are optimal.
    """
    ranks = ranks or Ranks()
    n, r = squared_distances.shape[1], points.shape[1]
    if n_components >= min(n - 1, r):
        return 0.0
    largest = ranks.max(squared_distances.max().item() if len(points) else 0.0)
    points, squared_distances = points / math.sqrt(largest), squared_distances / largest
    fourth = squared_distances.square()
    first = int(ranks.table(len(points))[: ranks.rank, 0].sum())
    own = slice(first, first + len(points))
    best, weights = 0.0, np.zeros(n)

    def negative_log(theta):
        nonlocal best, weights
        value, gradient = _log_squared_bound(theta, points, fourth, n_components, own, ranks)
        if not math.isfinite(value):
            return 1e3, np.zeros_like(theta)
        best, weights = max((best, weights), (math.exp(0.5 * value), theta), key=lambda found: found[0])
        return -value, -gradient * math.sqrt(n)

    # The step is measured in units of 1/sqrt(n): the first one would otherwise be of the order of a weight.
    minimize(
        lambda z: negative_log(z * math.sqrt(n)),
        np.zeros(n),
        jac=True,
        method="L-BFGS-B",
        options={"maxfun": max_evaluations, "maxiter": max_evaluations},
    )
    if pair_evaluations and best:
        points, squared_distances = (ranks.gather(rows).cpu().numpy() for rows in (points, squared_distances))
        best = max(best, signed_pairs_bound(points, squared_distances, n_components, weights, pair_evaluations))
    return max(0.0, best * (1 - 1e-9) - 1e-9)


def _log_squared_bound(theta, points, fourth, k, own, ranks):
    """Return the log of the squared bound at weights ``p = softmax(theta)``, and its gradient in ``theta``."""
    p = torch.softmax(torch.as_tensor(theta, dtype=points.dtype), dim=0).to(points.device)
    centred = points - ranks.sum(p[own] @ points)
    spectrum, axes = torch.linalg.eigh(ranks.sum((p[own, None] * centred).T @ centred))
    tail = (spectrum[:-k] - _spectral_rounding(points, spectrum, ranks)).clamp(min=0)
    trace = tail.sum()
    squared = tail.square().sum() + trace**2 / (k + 1)
    pairs = fourth @ p
    spread = ranks.sum(p[own] @ pairs)
    along = 2 * (tail + trace / (k + 1)) * (tail > 0) / squared
    # The centre is a mean under p: that it moves too changes nothing to first order
    slope = ranks.gather((centred @ axes[:, :-k]).square() @ along - 2 * pairs / spread)
    value = torch.log(4 * squared) - torch.log(spread)
    return value.item(), (p * (slope - p @ slope)).cpu().numpy()


def _spectral_rounding(points, spectrum, ranks):
    """Bound what rounding adds to an eigenvalue: without it weights on two close points would promise anything."""
    epsilon = torch.finfo(points.dtype).eps
    moved = epsilon * ranks.max(points.abs().max().item() if len(points) else 0.0)  # of a coordinate less the centre
    trace = spectrum.clamp(min=0).sum().item()
    dimension = points.shape[1]
    return 4 * dimension * (epsilon * trace + moved * math.sqrt(trace) + moved**2)
