r"""The Johnson-Lindenstrauss problem on a list of pairs: for point sets whose pairs are too many to weigh all.

At a large exponent nearly all of ``log F_t`` comes from the few worst pairs. On a list that holds them

.. math:: f(C, s) = t^{-2} \log \sum_{(i, j) \in \text{list}} \left( e^{e^+_{ij}} + e^{e^-_{ij}} \right)

has the same minimiser up to the pairs left out; which those are must be found out apart, on all pairs. The exponents
are those of :mod:`~sklearn_derand.problems.pair_exponents`.
"""

import torch
from torch import Tensor

from .pair_list import PairList


class ListedPairDistortion:
    """``t^-2 log F_t`` over listed pairs, flat parameters as in ``PairDistortion``.

    Parameters
    ----------
    points : Tensor of shape (n, r)
        Points in the coordinates of the map.
    first, second : Tensor of shape (m,)
        Indices of the pairs' points.
    inverse_distances : Tensor of shape (m,)
        One over their squared distances in the original coordinates.
    n_components : int
        Dimension ``k`` of the images.
    t : float
        Exponent.
    offset : Tensor of shape (n, k) or None, default=None
        Images of what the coordinates leave out of the points, under a map that stays as it is.

    Notes
    -----
    Evaluation takes ``O(m k + n r k)``. It is not verified that the list holds the worst pairs.
    """

    def __init__(self, points, first, second, inverse_distances, n_components, t, offset=None):
        used, places = torch.unique(torch.cat([first, second]), return_inverse=True)
        self._given = points, first, second, inverse_distances, n_components
        self._offset = offset
        self.points = points[used]
        self.offset = 0.0 if offset is None else offset[used]
        self.pairs = PairList(places[: len(first)], places[len(first) :], len(used))
        self.inverse = inverse_distances
        self.n_components = n_components
        self.t = t

    def at(self, t: float) -> "ListedPairDistortion":
        """Return the same pairs at another exponent."""
        points, first, second, inverse, n_components = self._given
        return ListedPairDistortion(points, first, second, inverse, n_components, t, self._offset)

    def ratios(self, maps: Tensor) -> Tensor:
        """Return ``q`` of the listed pairs."""
        return self.pairs.squares(self.points @ maps.T + self.offset) * self.inverse

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
        q, k, t = self.ratios(self.maps(params)), self.n_components, self.t
        square = params[-1] ** 2
        alpha, gamma = 1 + square, (1 + square) / (1 + 2 * square)
        plus = t * (alpha * q - 1) + k / 2 * torch.log(alpha)
        minus = t * (1 - gamma * q) + k / 2 * torch.log(gamma)
        return torch.logsumexp(torch.cat([plus, minus]), dim=0) / t**2

    def slope(self, maps: Tensor) -> tuple[float, Tensor]:
        """Return ``log F_t`` without noise and its gradient in ``C``, without a graph.

        Parameters
        ----------
        maps : Tensor of shape (k, r)
            ``C``.

        Returns
        -------
        value : float
            ``log F_t`` over the list.
        gradient : Tensor of shape (k, r)
            In the map.
        """
        images = self.points @ maps.T + self.offset
        stretch = self.t * (self.pairs.products(images, images) * self.inverse - 1)
        exponents = torch.cat([stretch, -stretch])
        value = torch.logsumexp(exponents, dim=0)
        plus, minus = torch.exp(exponents - value).chunk(2)
        pull = self.pairs.laplacian(2 * self.t * (plus - minus) * self.inverse, images)
        return value.item(), pull.T @ self.points

    def noise(self, params: Tensor) -> Tensor:
        """Return ``sigma`` as a vector of one entry."""
        s = params[-1:]
        return s.abs() / torch.sqrt(2 * self.t * (1 + s * s))

    def maps(self, params: Tensor) -> Tensor:
        """Return ``C``, shape (k, r)."""
        return params[:-1].reshape(self.n_components, -1)

    def log_moment(self, params: Tensor) -> float:
        """Return ``log F_t`` over the list, no derivatives."""
        with torch.no_grad():
            return self.value(params).item() * self.t**2

    def largest(self, params: Tensor) -> float:
        """Return the largest ``|q - 1|`` of the list under ``M`` alone."""
        with torch.no_grad():
            return (self.ratios(self.maps(params)) - 1).abs().max().item()
