"""Maps for points that were not fitted: the recipe that does best on points set aside in turn, then used on all.

The optimum of the fitted pairs and that of new ones pull apart when the points are few beside their dimension. What
helped on new points, each of it tried on the data sets of the benchmark: descending in *unscaled* coordinates, where
rare directions move last; stopping early, at a small exponent; starting from orthonormal rows, or leading principal
axes plus a random remainder, rather than from a Gaussian map; leaving the map outside the fitted span as it was drawn.
No single recipe wins everywhere. So a recipe, a start and the place on its path to stop at, is chosen by
cross-validation, and then walked once more with all points; none is wasted on the choice alone.

**The scale** of a map matters as much as the map, and largest values are poor statistics to choose by: the extremes of
few pairs are noisy, and those of more pairs lie further out. A ratio ``q`` of a random map is chi-square over ``k``,
and its cube root is normal to high accuracy (Wilson and Hilferty 1931). So the ``ORDER`` smallest and largest
cube roots over the pairs *within* the points set aside, of all splits together, are set against the order statistics
they stand for (Blom 1958): one slope for either tail. They say where the extremes of as many new points as were given
are to be expected. Pairs of one fitted and one new point are many, and their extremes over all splits count as
they are. Where the promise, averaged over neighbouring stops of a path, is best, the recipe wins, and takes its scale
along.

Tried and not kept: the extremes themselves, or two-parameter fits to the tails (noisier); slopes of eight statistics in
each split, averaged (blind to tails that are heavier than chi-square further out, it prefers maps descended too far);
mean and deviation of all roots (blind likewise); keeping the maps of the splits, or averages of their Gram matrices,
instead of walking again. On a dozen splits of each of four data sets none of these differed by more than its noise: the
earliest or the latest stop within the noise of the best, smoothing over five stops, tails of logarithms in place of
cube roots, half or a quarter as many order statistics, mixed pairs left out or averaged over splits, and a scale moved
towards balance on the fitted pairs (worse, but for one). At its best scale, which only the new points know, the chosen
map would be 2 to 10 % better: there is little more to gain by choosing. Points extrapolated from neighbours, fitted
along, gained 2 % in one case of three, at four times the cost. Stops at exponents up to 1024 were not better either.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import linalg, sparse
from scipy.special import ndtri

from sklearn_derand.estimators._jl_path import Descent
from sklearn_derand.estimators._jl_points import SpanCoordinates
from sklearn_derand.metrics._distortion import squared_distances

LADDER = [(2.0, (10, 20)), (4.0, (10, 20)), (8.0, (20, 40)), (16.0, (40,)), (64.0, (40,))]
"""Exponents and the steps between two looks at the points set aside."""

AXES = (0.0, 0.5, 1.0)
"""Share of the components that start along principal axes, each with a random image of all other directions added."""

ORDER = 40
"""Order statistics that determine the slope of a tail."""


@dataclass(frozen=True)
class Look:
    """What a map does to the pairs of one split.

    Attributes
    ----------
    count : int
        Pairs within the points set aside.
    mean : float
        Of the cube roots of their ratios.
    smallest, largest : ndarray
        The ``ORDER`` least and greatest of these roots, the most extreme first.
    mixed : tuple of float
        Least and largest ratio over pairs of one fitted and one new point.
    extremes : tuple of float
        Least and largest ratio of all.
    """

    count: int
    mean: float
    smallest: np.ndarray
    largest: np.ndarray
    mixed: tuple[float, float]
    extremes: tuple[float, float]

    @classmethod
    def at(cls, within, mixed):
        """Read off the ratios of pairs within the points set aside, and of mixed pairs."""
        roots = np.sort(np.cbrt(within))
        mean = float(roots.mean()) if roots.size else 1.0
        between = mixed.min(initial=1.0), mixed.max(initial=1.0)
        everything = np.concatenate([within, mixed]) if within.size + mixed.size else np.ones(1)
        ends = everything.min(), everything.max()
        return cls(roots.size, mean, roots[:ORDER], roots[::-1][:ORDER], between, ends)


@dataclass(frozen=True)
class NewPairs:
    """The pairs with at least one point set aside: what a map does to them.

    Attributes
    ----------
    X : {ndarray, csr} of shape (n, d)
        All points, those set aside first.
    counted : ndarray of bool, shape (n_aside, n)
        Pairs of distinct points.
    within : ndarray of bool, shape (m,)
        Which of those have both points set aside.
    inverse : ndarray of shape (m,)
        One over their squared distances.
    """

    X: object
    counted: np.ndarray
    within: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, aside, fitted):
        """Pair points set aside with each other and with the fitted ones."""
        X = sparse.vstack([aside, fitted], format="csr") if sparse.issparse(aside) else np.vstack([aside, fitted])
        n_aside = aside.shape[0]
        before = squared_distances(X, slice(0, n_aside))
        counted = before > 1e-12 * max(before.max(), np.finfo(float).tiny)
        both = np.zeros_like(counted)
        both[:, :n_aside] = np.tri(n_aside, k=-1, dtype=bool)
        counted[:, :n_aside] &= both[:, :n_aside]
        return cls(X, counted, both[counted], 1 / before[counted])

    def ratios(self, components):
        """Return the ratios of squared distances."""
        images = np.asarray(self.X @ components.T)
        return squared_distances(images, slice(0, self.counted.shape[0]))[self.counted] * self.inverse

    def look(self, components):
        """Return what a map does, in short."""
        ratios = self.ratios(components)
        return Look.at(ratios[self.within], ratios[~self.within])


def tails(looks):
    """Return the mean cube root and the slopes of its lower and upper tail against normal order statistics.

    Parameters
    ----------
    looks : list of Look
        Of all splits; their pairs are taken together. Where there are fewer than two nothing can be said, and the
        answer is ``(1, 0, 0)``.

    Returns
    -------
    mean, lower, upper : float
        A normal sample has both slopes near its standard deviation.
    """
    total = sum(look.count for look in looks)
    order = min(ORDER, total // 2)
    if order == 0:
        return 1.0, 0.0, 0.0
    mean = sum(look.count * look.mean for look in looks) / total
    scores = normal_score(np.arange(1, order + 1), total)
    below = mean - np.sort(np.concatenate([look.smallest for look in looks]))[:order]
    above = np.sort(np.concatenate([look.largest for look in looks]))[::-1][:order] - mean
    lower, upper = (float(scores @ roots / (scores @ scores)) for roots in (below, above))
    return mean, lower, upper


def normal_score(rank, count):
    """Return the expected ``rank``-th largest of ``count`` standard normals, by Blom's approximation."""
    return -ndtri((rank - 0.375) / (count + 0.25))


def expected_extremes(looks, n_pairs):
    """Return the least and the largest ratio to expect among so many pairs of new points.

    Parameters
    ----------
    looks : list of Look
        Of one recipe, in all splits.
    n_pairs : int
        How many.

    Returns
    -------
    low, high : float
    """
    mean, lower, upper = tails(looks)
    score = normal_score(1, n_pairs)
    low, high = max(mean - score * lower, 0.0) ** 3, (mean + score * upper) ** 3
    return min(low, *(look.mixed[0] for look in looks)), max(high, *(look.mixed[1] for look in looks))


def splits(n_points, share, seed):
    """Return disjoint sets of points to set aside in turn, as many as there are.

    Parameters
    ----------
    n_points : int
        Number of points.
    share : float
        Part of them in each set.
    seed : int
        Of the order.

    Returns
    -------
    list of ndarray
        Indices; empty where a set would have no point, or leave fewer than two.
    """
    n_aside = round(share * n_points)
    if n_aside == 0 or n_points - n_aside < 2:
        return []
    order = np.random.RandomState(seed).permutation(n_points)
    return [np.sort(part) for part in np.split(order[: n_points // n_aside * n_aside], n_points // n_aside)]


def map_for_new_points(tensors, coordinates, aside, k, seed):
    """Choose a recipe by the points set aside in turn, and walk it with all points.

    Parameters
    ----------
    tensors : callable
        Arrays to tensors.
    coordinates : SpanCoordinates
        Of all points.
    aside : list of ndarray
        What ``splits`` returned, not empty.
    k : int
        Dimension of the images.
    seed : int
        Of the random parts of the starts.

    Returns
    -------
    components : ndarray of shape (k, d)
        The map.
    distortion : float
        Of the recipe: largest over the pairs with a point set aside, averaged over the splits.
    """
    X = coordinates.X
    n = X.shape[0]
    looks = []
    for indices in aside:
        others = np.setdiff1d(np.arange(n), indices)
        pairs = NewPairs.of(X[indices], X[others])
        looks.append([pairs.look(components) for components in walks(tensors, SpanCoordinates.of(X[others]), k, seed)])
    recipes = list(zip(*looks, strict=True))
    low, high = np.array([expected_extremes(seen, n * (n - 1) // 2) for seen in recipes]).T
    expected = np.divide(high - low, high + low, out=np.full_like(high, np.inf), where=high > 0)
    length = 1 + sum(len(steps) for _, steps in LADDER)
    chosen = int(np.argmin(_smoothed(expected.reshape(-1, length))))
    square = 2 / (low[chosen] + high[chosen])
    ends = square * np.array([look.extremes for look in recipes[chosen]])
    distortion = np.maximum(1 - ends[:, 0], ends[:, 1] - 1).mean()
    start, place = divmod(chosen, length)
    walk = walks(tensors, coordinates, k, seed, only=start)
    components = next(components for i, components in enumerate(walk) if i == place)
    return np.sqrt(square) * components, float(max(distortion, 0.0))


def _smoothed(expected):
    """Average each row over neighbours: maps a few steps apart differ by less than the noise of what they promise."""
    wide = np.pad(expected, ((0, 0), (1, 1)), mode="edge")
    return (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / 3


def walks(tensors, coordinates, k, seed, only=None):
    """Descend from every start, and yield the map at each stop, balanced on the points it is fitted to.

    Parameters
    ----------
    tensors : callable
        Arrays to tensors.
    coordinates : SpanCoordinates
        Of the points to fit.
    k : int
        Dimension of the images.
    seed : int
        Of the random parts.
    only : int or None, default=None
        The start to take; None for all in turn.

    Yields
    ------
    components : ndarray of shape (k, d)
        Its extreme ratios on the fitted pairs are equally far from 1.
    """
    from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion

    pose = partial(PairDistortion, *tensors(coordinates.points, coordinates.inverse_distances), k)
    for number, (maps, outside) in enumerate(_starts(coordinates, k, seed)):
        if only is not None and number != only:
            continue
        descent = Descent.at_map(pose(LADDER[0][0]), maps)
        yield _balanced(descent, outside, coordinates)
        for t, stops in LADDER:
            descent.objective = descent.objective.at(t)
            for steps in stops:
                descent.glide(steps)
                yield _balanced(descent, outside, coordinates)


def _starts(coordinates, k, seed):
    """Yield maps on the span and outside: random rows, with more and more principal axes, and the axes alone."""
    d = coordinates.X.shape[1]
    random = np.random.RandomState(seed)
    for share in AXES:
        rows = np.zeros((k, d))
        basis = linalg.qr(random.standard_normal((d, min(k, d))), mode="economic")[0]
        rows[: basis.shape[1]] = basis.T * np.sqrt(d / k)
        maps = coordinates.inside(rows)
        outside = rows - coordinates.to_features(maps)
        n_axes = min(round(share * k), coordinates.rank)
        # The sign of an axis is arbitrary; tied to the random rows it is the same in all splits, and so is the map.
        maps[:, :n_axes] = np.eye(k, n_axes) * np.where(maps.diagonal()[:n_axes] < 0, -1.0, 1.0)
        yield maps, outside
    yield np.eye(k, coordinates.rank), np.zeros((k, d))


def _balanced(descent, outside, coordinates):
    low, high = descent.objective.extremes(descent.params)
    return (outside + coordinates.to_features(descent.maps())) * np.sqrt(2 / (low + high) if high > 0 else 1.0)
