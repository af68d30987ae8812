r"""A linear map whose worst pair is best: the Johnson-Lindenstrauss problem as ``E_G[g(M + sigma G)]``.

For points ``x_1..x_n``, unit differences ``u`` over all pairs and the random map ``A = M + sigma G``, ``G`` standard
Gaussian, the squared length ``q_u = |A u|^2`` is ``sigma^2`` times a noncentral chi-square with ``k`` degrees of
freedom. Two expectations of the distortion ``|q_u - 1|`` therefore have closed forms, without any sampling:

.. math:: F_t(M, \sigma) = \sum_u E\,e^{t (q_u - 1)} + E\,e^{-t (q_u - 1)}, \qquad
          P_\epsilon(M, \sigma) = \sum_u P(|q_u - 1| > \epsilon).

The first (Chernoff) bounds the maximum, ``max_u |q_u - 1| <= (1/t) log F_t(M, 0)``; the second is the objective of
Tsikouras, Caramanis and Tzamos, "Optimization Can Learn Johnson Lindenstrauss Embeddings" (NeurIPS 2024), posed in
:mod:`~sklearn_derand.problems.distortion_probability`.

**Why the noise vanishes.** ``F_t`` is a Gaussian average over ``M + sigma G``, so it obeys the heat equation
``dF/dsigma = sigma tr(Hess_M F)``; for ``L = log F`` this reads

.. math:: dL/d\sigma = \sigma \left( \mathrm{tr}\,\mathrm{Hess}_M L + |\nabla_M L|^2 \right),

the trace running over the ``k r`` coordinates of ``M`` on the span of the differences. Where second-order
stationarity bounds ``Hess_M L`` from below the bracket is, up to the tolerance, not negative: sigma has no
stationary point but 0, or one where the trace vanishes as well. ``M = 0`` is such a degenerate point for every
sigma, and a trap; hence the start ``(sqrt(a) G, (1 - a) / k)`` below. At ``sigma = 0`` the Hessian is block
diagonal and its sigma block is that same bracket.
"""

import math
from copy import copy

import torch
from torch import Generator, Tensor

from .pair_geometry import PairMoments
from .ranks import Ranks, replicated, total


class PairDistortion:
    r"""``f(C, s) = t^{-2} \log F_t(M, \sigma)`` over all pairs, with the map and the noise as variables.

    The factor ``t^-2`` keeps the Hessian bounded as ``t`` grows (its leading part, ``t`` times the covariance of
    the pairs' gradients in ``(1/t) log F``, becomes that covariance). So ``t f(C, 0)`` bounds the largest
    distortion, and tolerances on ``f`` mean ``t`` times as much in units of the distortion.

    Parameters
    ----------
    points : Tensor of shape (n, r)
        Points in coordinates in which the map is sought: images are ``points @ C.T``. They may be a linear change of
        the original coordinates, such as whitened ones.
    inverse_distances : Tensor of shape (n, n)
        ``1 / |x_i - x_j|^2`` of the *original* points, 0 on the diagonal and for duplicates.
    n_components : int
        Dimension ``k`` of the images.
    t : float
        Exponent.
    ranks : Ranks or None, default=None
        Processes over which the points are spread; ``points`` are then those here, and ``inverse_distances`` has their
        rows alone.

    Notes
    -----
    Flat parameters: ``C`` (k, r) row by row, then ``s`` with ``sigma^2 = s^2 / (2 t (1 + s^2))``: any real ``s`` is
    legal, ``sigma = 0`` is ``s = 0``, and ``f`` is smooth and even in ``s``. Evaluation takes ``O(n^2 k + n r k)``;
    no n x n x r array is formed. It is not verified that ``inverse_distances`` belongs to ``points``.
    """

    def __init__(
        self, points: Tensor, inverse_distances: Tensor, n_components: int, t: float, ranks: Ranks | None = None
    ):
        self.points = points
        self.ranks = ranks or Ranks()
        self.moments = PairMoments(inverse_distances, n_components, t, self.ranks)
        self.n_components = n_components
        self.t = t

    def value(self, params: Tensor) -> Tensor:
        """Return ``f`` as a 0-d tensor.

        Parameters
        ----------
        params : Tensor of shape (k r + 1,)
            ``C`` and ``s``.

        Returns
        -------
        Tensor
        """
        maps, s = self._unpack(params)
        return self.moments.log_moment(replicated(maps, self.ranks) @ self.points.T, s) / self.t**2

    def slope(self, maps: Tensor) -> tuple[float, Tensor]:
        """Return ``log F_t`` without noise and its gradient in ``C``, without a graph."""
        value, slope, _ = self.moments.gradient(maps @ self.points.T, 0.0)
        return value, total(slope @ self.points, self.ranks)

    def noise(self, params: Tensor) -> Tensor:
        """Return ``sigma`` as a vector of one entry.

        Parameters
        ----------
        params : Tensor of shape (k r + 1,)
            ``C`` and ``s``.

        Returns
        -------
        Tensor of shape (1,)
        """
        s = params[-1:]
        return s.abs() / torch.sqrt(2 * self.t * (1 + s * s))

    def log_moment(self, params: Tensor) -> float:
        """Return ``log F_t``, no derivatives."""
        with torch.no_grad():
            return self.value(params).item() * self.t**2

    def largest(self, params: Tensor) -> float:
        """Return the largest ``|q_u - 1|`` of ``M`` alone."""
        low, high = self.extremes(params)
        return max(1 - low, high - 1)

    def extremes(self, params: Tensor) -> tuple[float, float]:
        """Return the least and the largest ``q_u`` of ``M`` alone."""
        with torch.no_grad():
            return self.moments.extremes(self.maps(params) @ self.points.T)

    def balance(self, params: Tensor) -> float:
        """Return what to multiply ``M`` by for extreme ``q_u`` equally far from 1; 1 where all images coincide."""
        low, high = self.extremes(params)
        return (2 / (low + high)) ** 0.5 if high > 0 else 1.0

    def at(self, t: float) -> "PairDistortion":
        """Return the same pairs at another exponent."""
        other = copy(self)
        other.moments, other.t = self.moments.at(t), t
        return other

    def maps(self, params: Tensor) -> Tensor:
        """Return ``C``, shape (k, r)."""
        return self._unpack(params)[0]

    def pack(self, maps: Tensor, variance: float) -> Tensor:
        """Return the flat parameters of a map and a noise variance.

        Parameters
        ----------
        maps : Tensor of shape (k, r)
            ``C``.
        variance : float
            ``sigma^2``, below ``1 / (2 t)``.

        Returns
        -------
        Tensor of shape (k r + 1,)

        Raises
        ------
        ValueError
            If the moments are infinite at this variance.
        """
        scaled = 2 * self.t * variance
        if not 0 <= scaled < 1:
            raise ValueError(f"variance must lie in [0, 1/(2 t)) = [0, {1 / (2 * self.t):.3g}); got {variance:.3g}.")
        return torch.cat([maps.reshape(-1), maps.new_tensor([math.sqrt(scaled / (1 - scaled))])])

    def _unpack(self, params: Tensor) -> tuple[Tensor, Tensor]:
        return params[:-1].reshape(self.n_components, self.points.shape[1]), params[-1]


def split_law(draw, objective: PairDistortion, log_bound: float, share: float, generator: Generator, max_draws=100):
    """Turn part of the Gaussian law into a start: ``M = sqrt(a) G``, ``sigma^2 = (1 - a) / k``.

    The mean of ``F_t`` over ``G`` is exactly ``F_t(0, 1/k)``, so some draw is no larger; draws are repeated until one
    is. ``M = 0`` itself is a degenerate stationary point, which no descent leaves.

    Parameters
    ----------
    draw : callable
        ``generator -> C`` for a map with iid N(0, 1/k) entries in the original coordinates.
    objective : PairDistortion
        At the exponent of the bound.
    log_bound : float
        ``log F_t(0, 1/k)``.
    share : float
        ``a``, in (0, 1).
    generator : torch.Generator
        The only source of randomness.
    max_draws : int, default=100
        By Markov's inequality some draw succeeds in the long run; a budget all the same.

    Returns
    -------
    Tensor
        The start; the best draw seen if the budget ran out.
    """
    variance = (1 - share) / objective.n_components
    best, lowest = None, math.inf
    for _ in range(max_draws):
        params = objective.pack(math.sqrt(share) * draw(generator), variance)
        value = objective.log_moment(params)
        if best is None or value < lowest:
            best, lowest = params, value
        if lowest <= log_bound:
            break
    return best
