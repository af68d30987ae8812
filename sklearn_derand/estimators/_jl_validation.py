"""Maps for points that were not fitted: the best, on pairs with points set aside, of several paths.

The optimum of the fitted pairs and that of new ones pull apart when the points are few beside their dimension. What
helped on new points, each of it tried on the data sets of the benchmark: descending in *unscaled* coordinates, where
rare directions move last; stopping early, at a small exponent; starting from leading principal axes plus a random
remainder rather than from a random map; leaving the map outside the fitted span as it was drawn; and one scale, chosen
on the pairs with new points, whose extremes are stretched to those of a larger sample. No single recipe wins
everywhere, so the points set aside decide.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import linalg, sparse

from sklearn_derand.estimators._jl_path import PASSING, Descent
from sklearn_derand.metrics._distortion import squared_distances

LADDER = [(2.0, (5, 10, 20)), (4.0, (5, 10, 20)), (8.0, (5, 10, 20, 40)), (16.0, (5, 10, 20, 40)), (64.0, (10, 40))]
"""Exponents and the steps between two looks at the points set aside."""

AXES = (0.0, 0.5, 1.0)
"""Share of the components that start along principal axes, each with a random image of all other directions added."""

SPREAD = 1.4
"""Stretch of the log ratios of pairs with *both* points set aside about their mean: of more new points the extremes
lie further out, like ``sqrt(log n)`` at least. 1.4 was the best of 1 to 1.8 on one split of six benchmark rows."""

BLENDS = (0.25, 0.5, 0.75)
"""Interpolations tried between a path's start and its best point."""


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
        self.expected, self.components = np.inf, None

    def ratios(self, components):
        """Return the ratios of squared distances over the pairs that count."""
        images = np.asarray(self.X @ components.T)
        return squared_distances(images, slice(0, self.n_aside))[self._counted] * self._inverse

    def offer(self, components) -> float:
        """Keep a map, at its best scale, if it is the best so far; return what it is expected to do to new points."""
        ratios = self.ratios(components)
        if self.components is None:
            self.components = components
        if not ratios.size or ratios.min() <= 0:
            return np.inf
        low, high = ratios.min(), ratios.max()
        if self._both.any():
            logs = np.log(ratios[self._both])
            centre = logs.mean()
            low = min(low, np.exp(centre + SPREAD * (logs.min() - centre)))
            high = max(high, np.exp(centre + SPREAD * (logs.max() - centre)))
        expected = (high - low) / (high + low)
        if expected < self.expected:
            self.expected, self.components = expected, np.sqrt(2 / (low + high)) * components
        return expected


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
    for share in AXES:
        rows = linalg.qr(random.standard_normal((d, k)), mode="economic")[0].T * np.sqrt(d / k)
        maps = coordinates.inside(rows)
        outside = rows - coordinates.to_features(maps)
        n_axes = min(round(share * k), coordinates.rank)
        maps[:, :n_axes] = np.eye(k, n_axes)
        _walk(run, pose, coordinates, maps, outside, pairs)
    _walk(run, pose, coordinates, np.eye(k, coordinates.rank), np.zeros((k, d)), pairs)


def _walk(run, pose, coordinates, maps, outside, pairs):
    def components(maps):
        return outside + coordinates.to_features(maps)

    best = (pairs.offer(components(maps)), maps)
    descent = Descent.at_map(pose(LADDER[0][0]), maps)
    for t, looks in LADDER:
        descent.objective = descent.objective.at(t)
        for steps in looks:
            descent.advance(run, max_iter=steps, curvature_tol=PASSING)
            best = min(best, (pairs.offer(components(descent.maps())), descent.maps()), key=lambda pair: pair[0])
    for blend in BLENDS:
        pairs.offer(components((1 - blend) * maps + blend * best[1]))
