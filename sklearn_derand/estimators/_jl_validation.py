"""Maps for points that were not fitted: the best, on pairs with points set aside, of several paths.

The optimum of the fitted pairs and that of new ones pull apart when the points are few beside their dimension. What
helped on new points, each of it tried on the data sets of the benchmark: descending in *unscaled* coordinates, where
rare directions move last; stopping early, at a small exponent; starting from orthonormal rows, or leading principal
axes plus a random remainder, rather than from a Gaussian map; leaving the map outside the fitted span as it was drawn.
No single recipe wins everywhere, so the points set aside decide.

**The scale** of a map matters as much as the map, and the extremes of few pairs place it badly. A ratio ``q`` of a
random map is chi-square over ``k``, and its cube root is normal to high accuracy (Wilson and Hilferty 1931). So mean
and deviation of the cube roots over the pairs of points set aside predict the extremes of *more* pairs, ``mean +-
z_N deviation`` with ``z_N`` the expected largest of N standard normals (Blom 1958), N being the pairs of as many points
as were given; or the extremes seen may be moved out by ``z_N`` over that of the pairs seen, which follows the data
where they are not chi-square (principal components of few features) but is noisier. Either pair of extremes has a
scale that balances it. Their geometric mean is taken; neither alone was better in every data set of the benchmark.
Pairs of one fitted and one new point count as they are.
"""

from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from scipy import linalg, sparse
from scipy.special import ndtri

from sklearn_derand.estimators._jl_path import PASSING, Descent
from sklearn_derand.metrics._distortion import squared_distances

LADDER = [(2.0, (5, 10, 20)), (4.0, (5, 10, 20)), (8.0, (5, 10, 20, 40)), (16.0, (5, 10, 20, 40)), (64.0, (10, 40))]
"""Exponents and the steps between two looks at the points set aside."""

AXES = (0.0, 0.5, 1.0)
"""Share of the components that start along principal axes, each with a random image of all other directions added."""

BLENDS = (0.25, 0.5, 0.75)
"""Mixtures tried of the Gram matrices of a path's start and of its best point."""

FEWEST = 3
"""Pairs of points set aside below which nothing is extrapolated."""


@dataclass
class NewPairs:
    """The pairs that have at least one point set aside, and the best map on them so far.

    Attributes
    ----------
    X : {ndarray, csr} of shape (n, d)
        All points, those set aside first.
    n_aside : int
        How many of them are set aside.
    """

    X: object
    n_aside: int

    def __post_init__(self):
        before = squared_distances(self.X, slice(0, self.n_aside))
        self._counted = before > 1e-12 * max(before.max(), np.finfo(float).tiny)
        self._inverse = 1 / before[self._counted]
        within = np.zeros_like(before, dtype=bool)
        within[:, : self.n_aside] = np.tri(self.n_aside, k=-1, dtype=bool)
        self._both = within[self._counted]
        n, m = self.X.shape[0], int(self._both.sum())
        self._z, self._z_seen = _largest_normal(n * (n - 1) // 2), _largest_normal(m)
        self.expected, self.components = np.inf, None

    def ratios(self, components):
        """Return the ratios of squared distances over the pairs that count."""
        images = np.asarray(self.X @ components.T)
        return squared_distances(images, slice(0, self.n_aside))[self._counted] * self._inverse

    def offer(self, components):
        """Keep a map if it is the best so far; return what it is expected to do to new points, and it at its scale."""
        ratios = self.ratios(components)
        if self.components is None:
            self.components = components
        if not ratios.size or ratios.min() <= 0:
            return np.inf, components
        low, high = ratios.min(), ratios.max()
        square = 2 / (low + high)
        if self._both.sum() >= FEWEST:
            new = ratios[self._both]
            further = _stretched(new, self._z / self._z_seen)
            low, high = min(low, further[0]), max(high, further[1])
            square = np.sqrt(balancing_scale(new, self._z) * 2 / (low + high))
        expected = max(1 - square * low, square * high - 1)
        components = np.sqrt(square) * components
        if expected < self.expected:
            self.expected, self.components = expected, components
        return expected, components


def balancing_scale(ratios, z):
    """Return the factor that makes the extremes of more such ratios equally far from 1.

    Parameters
    ----------
    ratios : ndarray of shape (m,)
        A sample.
    z : float
        Extremes of the larger one lie ``z`` deviations of the cube roots from their mean.

    Returns
    -------
    float
    """
    roots = np.cbrt(ratios)
    low, high = (max(roots.mean() + side * z * roots.std(), 0.0) ** 3 for side in (-1, 1))
    return 2 / (low + high)


def _stretched(ratios, factor):
    """Return the extremes, their cube roots moved away from the mean root by a factor."""
    roots = np.cbrt(ratios)
    centre = roots.mean()
    return tuple(max(centre + factor * (end - centre), 0.0) ** 3 for end in (roots.min(), roots.max()))


def _largest_normal(count):
    """Return the expected largest of so many standard normals, by Blom's approximation."""
    return float(ndtri((count - 0.375) / (count + 0.25))) if count else 0.0


def blended(one, other, share):
    """Return the map of the old size whose Gram matrix is nearest to a mixture of those of two maps.

    Parameters
    ----------
    one, other : ndarray of shape (k, d)
        Their Gram matrices ``A' A`` give all distances; a mixture of them has rank up to 2k.
    share : float
        Of the other.

    Returns
    -------
    ndarray of shape (k, d)
    """
    rows = np.vstack([np.sqrt(1 - share) * one, np.sqrt(share) * other])
    basis, triangle = linalg.qr(rows.T, mode="economic", check_finite=False)
    left, values, _ = linalg.svd(triangle, full_matrices=False, check_finite=False)
    k = one.shape[0]
    return np.asarray(values[:k, None] * (basis @ left[:, :k]).T)


def set_aside(points, share, seed):
    """Return the points to fit and those set aside, ``None`` for the latter where there are none."""
    n = points.shape[0]
    n_aside = 0 if share is None else round(share * n)
    if n_aside == 0 or n - n_aside < 2:
        return points, None
    order = np.random.RandomState(seed).permutation(n)
    return points[order[n_aside:]], points[order[:n_aside]]


def best_on_new_pairs(run, tensors, coordinates, held, components, seed):
    """Return the best map on the pairs with points set aside, and its largest distortion there.

    Parameters
    ----------
    run : callable
        ``(objective, params, **settings) -> Solution``.
    tensors : callable
        Arrays to tensors.
    coordinates : SpanCoordinates
        Of the fitted points.
    held : {ndarray, csr} of shape (n_aside, d)
        The points set aside.
    components : ndarray of shape (k, d)
        The optimum on the fitted points: one candidate.
    seed : int
        Of the random parts of others.

    Returns
    -------
    components : ndarray of shape (k, d)
        The map.
    distortion : float
        Over all pairs with a point set aside.
    """
    from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion

    everything = (sparse.vstack if sparse.issparse(held) else np.vstack)([held, coordinates.X])
    pairs = NewPairs(everything.tocsr() if sparse.issparse(held) else everything, held.shape[0])
    pairs.offer(components)
    k = components.shape[0]
    pose = partial(PairDistortion, *tensors(coordinates.points, coordinates.inverse_distances), k)
    explore(run, pose, coordinates, k, pairs, seed)
    return pairs.components, float(np.abs(pairs.ratios(pairs.components) - 1).max(initial=0.0))


def explore(run, pose, coordinates, k, pairs, seed):
    """Walk several paths from different starts and offer their points to the pairs set aside.

    Parameters
    ----------
    run : callable
        ``(objective, params, **settings) -> Solution``.
    pose : callable
        ``t -> PairDistortion`` of the fitted points in unscaled coordinates.
    coordinates : SpanCoordinates
        Of the fitted points.
    k : int
        Dimension of the images.
    pairs : NewPairs
        Receives the maps.
    seed : int
        Of the random parts.
    """
    d = coordinates.X.shape[1]
    random = np.random.RandomState(seed)
    ends = []
    for share in AXES:
        rows = linalg.qr(random.standard_normal((d, k)), mode="economic")[0].T * np.sqrt(d / k)
        maps = coordinates.inside(rows)
        outside = rows - coordinates.to_features(maps)
        n_axes = min(round(share * k), coordinates.rank)
        maps[:, :n_axes] = np.eye(k, n_axes)
        ends.append(_walk(run, pose, coordinates, maps, outside, pairs))
    axes = np.eye(k, coordinates.rank)
    ends.append(_walk(run, pose, coordinates, axes, np.zeros((k, d)), pairs))
    for one, other in combinations(ends, 2):
        pairs.offer(blended(one, other, 0.5))


def _walk(run, pose, coordinates, maps, outside, pairs):
    """Descend from one start; offer the points of the path and blends of its best with the start; return the best."""
    descent = Descent.at_map(pose(LADDER[0][0]), maps)
    start = best = pairs.offer(outside + coordinates.to_features(maps))
    for t, looks in LADDER:
        descent.objective = descent.objective.at(t)
        for steps in looks:
            descent.advance(run, max_iter=steps, curvature_tol=PASSING)
            components = outside + coordinates.to_features(descent.maps())
            best = min(best, pairs.offer(components), key=lambda pair: pair[0])
    if best is not start:
        for share in BLENDS:
            pairs.offer(blended(start[1], best[1], share))
    return best[1]
