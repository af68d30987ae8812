r"""How many pairs a random map is expected to fail: the Johnson-Lindenstrauss objective of the paper.

For the random map ``A = M + sigma G`` to ``k`` dimensions, with standard Gaussian ``G``, and a unit difference ``u`` of
two points, ``|A u|^2 / sigma^2`` is noncentral chi-square with ``k`` degrees of freedom and noncentrality
``|M u|^2 / sigma^2``. With that law's distribution function ``F_k(x; nc)``

.. math:: P(\bigl||A u|^2 - 1\bigr| > \epsilon)
          = F_k\!\left(\tfrac{1 - \epsilon}{\sigma^2}; \tfrac{|M u|^2}{\sigma^2}\right)
          + 1 - F_k\!\left(\tfrac{1 + \epsilon}{\sigma^2}; \tfrac{|M u|^2}{\sigma^2}\right) .

Its sum over pairs is the objective of Tsikouras, Caramanis and Tzamos, "Optimization Can Learn Johnson Lindenstrauss
Embeddings" (NeurIPS 2024). Below 1 it promises a map without any failure; at ``sigma = 0`` it counts the failures of
``M``, and is not smooth.
"""

import torch
from torch import Tensor

from sklearn_derand.special.noncentral_chi2 import noncentral_chi2_cdf, noncentral_chi2_sf


class DistortionProbability:
    r"""``f(M, s) = sum_u P(| |A u|^2 - 1 | > eps) + penalty s^2`` with ``A = M + sqrt(s^2 + smoothing^2) G``.

    Parameters
    ----------
    points : Tensor of shape (n, r)
        Points in orthonormal coordinates of their span.
    first, second : Tensor of shape (m,)
        Indices of the pairs' points.
    inverse_distances : Tensor of shape (m,)
        One over their squared distances.
    n_components : int
        Dimension ``k`` of the images.
    eps : float
        The change of a squared distance that counts as a failure, positive. At 1 or above only stretching can fail.
    penalty : float, default=0.5
        On the noise: where no pair is likely to fail the sum is flat, and nothing else drives the noise out. The
        paper's value.
    smoothing : float, default=1e-3
        Standard deviation of noise that stays, positive: with it ``f`` is smooth at ``s = 0`` as well.

    Notes
    -----
    Flat parameters: ``M`` (k, r) row by row, then ``s``; ``f`` is even in it. An evaluation integrates two tails for
    each pair, about a hundred times the work of :class:`~sklearn_derand.problems.listed_pairs.ListedPairDistortion`,
    and where every pair fails for certain there is no slope to follow. The estimator therefore descends the Chernoff
    form unless told otherwise. It is not verified that ``inverse_distances`` belongs to ``points``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.engine import minimize
    >>> from sklearn_derand.problems.distortion_probability import DistortionProbability
    >>> generator = torch.Generator().manual_seed(0)
    >>> points = torch.randn(12, 11, generator=generator, dtype=torch.float64)
    >>> first, second = torch.triu_indices(12, 12, 1)
    >>> inverse = 1 / (points[first] - points[second]).square().sum(dim=1)
    >>> problem = DistortionProbability(points, first, second, inverse, n_components=8, eps=0.8)
    >>> maps = torch.randn(8, 11, generator=generator, dtype=torch.float64) / 4
    >>> start = problem.pack(maps, 1 / 16)
    >>> problem.n_failures(start) > 0
    True
    >>> solution = minimize(problem, start, random_state=0)
    >>> solution.certificate.holds, problem.n_failures(solution.params)
    (True, 0)
    """

    def __init__(
        self,
        points: Tensor,
        first: Tensor,
        second: Tensor,
        inverse_distances: Tensor,
        n_components: int,
        eps: float,
        *,
        penalty: float = 0.5,
        smoothing: float = 1e-3,
    ):
        self._points = points
        self._first, self._second = first, second
        self._inverse = inverse_distances
        self.n_components = n_components
        self.eps = eps
        self._penalty = penalty
        self._smoothing = smoothing

    def value(self, params: Tensor) -> Tensor:
        """Return ``f`` as a 0-d tensor.

        Parameters
        ----------
        params : Tensor of shape (k r + 1,)
            ``M`` and ``s``.

        Returns
        -------
        Tensor
        """
        square = params[-1] ** 2
        return self.probabilities(params).sum() + self._penalty * square

    def probabilities(self, params: Tensor) -> Tensor:
        """Return the probability of failure of each pair, shape (m,)."""
        variance = params[-1] ** 2 + self._smoothing**2
        noncentrality = self._ratios(params) / variance
        above = noncentral_chi2_sf((1 + self.eps) / variance, self.n_components, noncentrality)
        if self.eps >= 1:
            return above
        return above + noncentral_chi2_cdf((1 - self.eps) / variance, self.n_components, noncentrality)

    def noise(self, params: Tensor) -> Tensor:
        """Return ``s`` as a vector of one entry."""
        return params[-1:].abs()

    def n_failures(self, params: Tensor) -> int:
        """Return how many pairs ``M`` alone changes by more than ``eps``."""
        with torch.no_grad():
            return int(((self._ratios(params) - 1).abs() > self.eps).sum())

    def largest(self, params: Tensor) -> float:
        """Return the largest ``| |M u|^2 - 1 |``, of ``M`` alone."""
        with torch.no_grad():
            return (self._ratios(params) - 1).abs().max().item()

    def maps(self, params: Tensor) -> Tensor:
        """Return ``M``, shape (k, r)."""
        return params[:-1].reshape(self.n_components, -1)

    def pack(self, maps: Tensor, variance: float) -> Tensor:
        """Return the flat parameters of a map and a noise variance ``s^2``."""
        return torch.cat([maps.reshape(-1), maps.new_tensor([variance]).sqrt()])

    def _ratios(self, params: Tensor) -> Tensor:
        images = self._points @ self.maps(params).T
        difference = images.index_select(0, self._first) - images.index_select(0, self._second)
        return difference.square().sum(dim=1) * self._inverse
