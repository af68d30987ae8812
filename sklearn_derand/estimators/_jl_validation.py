"""Maps for points that were not fitted: the recipe that does best on points set aside in turn, then used on all.

The optimum of the fitted pairs and that of new ones pull apart when the points are few beside their dimension. What
helped on new points, each of it tried on the data sets of the benchmark: descending in *unscaled* coordinates, where
rare directions move last; stopping early, at a small exponent; starting from orthonormal rows, or leading principal
axes plus a random remainder, rather than from a Gaussian map; leaving the map outside the fitted span random, and most
of it in the directions where the images have least energy (:mod:`~sklearn_derand.estimators._jl_outside`: fashion at
k = 128, twelve splits, .278 for .315; with the same draws .622 for .639 at k = 32, genes .448 for .461; also in the
random remainder *within* the span at the start: no better, .290); for sparse rows of more features than points, random
rows whose columns are all equally long (text: -.030 +- .020 of .67 on eight splits; on images and genes no better, so
not for dense rows).
No single recipe wins everywhere. So a recipe, a start and the place on its path to stop at, is chosen by
cross-validation, and then walked once more with all points; none is wasted on the choice alone.

Choosing needs a number for each recipe: the largest distortion to expect of as many new points as were given, and the
scale that makes it least (:mod:`~sklearn_derand.estimators._jl_tails`). Each map enters relative to the scale that
balances its own fitted pairs, which is what can be carried over. Where the promise, averaged over neighbouring stops of
a path, is best, the recipe wins, and takes its scale along.

**Outside the fitted span** a map stays random, and what new points have there is noise to it. Where that is
little (images), the map is better with less of it: ``|M u|^2`` varies less, though short by a part that varies itself.
Where it is much (words), it is better left alone. Each start takes the share that promises least, averaged over its
path. (The relative variance of the cube roots chose as well while what is outside was spread evenly; now it keeps all
of it, where the extremes, pairs of which a third is new, are better with less: fashion at k = 32 .644, now .627.)

Tried and not kept: the extremes themselves, or two-parameter fits to the tails (noisier); slopes of eight statistics in
each split, averaged (blind to tails that are heavier than chi-square further out, it prefers maps descended too far);
mean and deviation of all roots (blind likewise); keeping the maps of the splits, or averages of their Gram matrices,
instead of walking again. On a dozen splits of each of four data sets none of these differed by more than its noise: the
earliest or the latest stop within the noise of the best, smoothing over five stops, tails of logarithms in place of
cube roots, half or a quarter as many order statistics, mixed pairs left out or averaged over splits, and a scale moved
towards balance on the fitted pairs (worse, but for one). At its best scale, which only the new points know, the chosen
map would be 2 to 10 % better: there is little more to gain by choosing. Points extrapolated from neighbours, fitted
along, gained 2 % in one case of three, at four times the cost. Stops at exponents up to 1024 were not better either.

Nor were these, on two to six splits of two to seven data sets, with several sets of new points each. *In the
objective*: the mean squared distortion of normal differences with a shrunk covariance, in closed form, added (late
stops came out 2 to 4 % better at k = 128 and 1 % worse elsewhere, the best stop alike but for one data set), or alone
(its best map is the leading axes, lengthened); descent along leading axes only; weaker axes of the span shortened
afterwards. *In the choice*: the folds shuffled two or four times (the noise is in the points, not in how they are
dealt), halves for fifths, ratios relative to their fitted mean in place of the balance, promises smoothed over starts
as well as stops, and one start preferred. The promise tells how far to descend; between starts, little. *Among the
recipes*: descent in the default's scaled coordinates as well, from two of the starts (on fashion -4 +- 1 % at k = 128
and +2 +- 2 % at k = 32, never chosen on three other data sets, for a quarter to half more time), the default's own map
(level, but far off on digits), and exponents to 512 as of the annealed peer (-1 % at best).

**On texts little is left to gain.** Over new pairs the cube roots of the ratios have .95 to 1.00 times the variance of
those of chi-squares, whatever the recipe but axes alone, and promises and outcomes of recipes do not correlate (27
splits). Random rows orthogonal in the metric of the words' energies, even of those of the new documents, or of a shrunk
covariance, are no better than others by more than 1 %. Documents differ in words that the fitted ones do not share.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import sparse

from sklearn_derand.estimators._jl_outside import cross_weight, spread_out
from sklearn_derand.estimators._jl_path import Descent
from sklearn_derand.estimators._jl_points import SpanCoordinates
from sklearn_derand.estimators._jl_starts import HALF_AXES, random_rows, starts
from sklearn_derand.estimators._jl_tails import Look, outlook
from sklearn_derand.metrics._distortion import squared_distances

LADDER = [(2.0, (10, 20)), (4.0, (10, 20)), (8.0, (20, 40)), (16.0, (40,)), (64.0, (40,))]
"""Exponents and the steps between two looks at the points set aside."""

SHARES = (1.0, 0.85, 0.7)
"""Of the part outside the fitted span that are tried."""

PREFERENCE = 0.95
"""What another start must promise, of what the preferred one does. Between starts the promise tells little. For sparse
rows that is random rows with even columns: descents from leading axes lengthen the common words, and on 1,000 texts one
new document of 1,098 words came out twice too long, which no fold foretold (fourteen splits: .707 on new points where
the least promise had .730; of 250 texts, sixteen splits, .632 and .636). For dense ones it is half of the components
along axes: fashion at k = 32 .626 where the least promise had .627, at 128 .267 and .278, digits at k = 8, 16 and 32
.931, .644, .308 and .936, .642, .308, genes .448 and .451 (eight to twenty splits; measured)."""


@dataclass(frozen=True)
class Stop:
    """A map on its path, balanced on the points it is fitted to: on their span, and the random rest outside."""

    inside: np.ndarray
    outside: np.ndarray

    def components(self, share):
        """Return the map with so much of the part outside, shape (k, d)."""
        return self.inside + share * self.outside


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

    def ratios(self, images):
        """Return the ratios of squared distances, given the images of ``X``."""
        return squared_distances(images, slice(0, self.counted.shape[0]))[self.counted] * self.inverse

    def unseen(self, coordinates):
        """Return the part of squared distances outside the span: of pairs within the points set aside, if any.

        Parameters
        ----------
        coordinates : SpanCoordinates
            Of the fitted points.

        Returns
        -------
        ndarray of shape (m,)
            In [0, 1].
        """
        shares = np.clip(1 - self.ratios(coordinates.inside(self.X)), 0.0, 1.0)
        return shares[self.within] if self.within.any() else shares

    def looks(self, stop):
        """Return what a map does, in short, for every share."""
        inside, outside = (np.asarray(self.X @ rows.T) for rows in (stop.inside, stop.outside))
        ratios = [self.ratios(inside + share * outside) for share in SHARES]
        return [Look.at(one[self.within], one[~self.within]) for one in ratios]


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
    even = sparse.issparse(X)
    drawn = random_rows(k, X.shape[1], seed, even=even)
    seen, unseen = [], []
    for indices in aside:
        others = np.setdiff1d(np.arange(n), indices)
        pairs, fitted = NewPairs.of(X[indices], X[others]), SpanCoordinates.of(X[others])
        unseen.append(pairs.unseen(fitted))
        seen.append([pairs.looks(stop) for stop in walks(tensors, fitted, drawn, cross_weight(unseen[-1]))])
    recipes = [[list(looks) for looks in zip(*stops, strict=True)] for stops in zip(*seen, strict=True)]
    length = 1 + sum(len(steps) for _, steps in LADDER)
    outlooks = np.array([[outlook(looks, n * (n - 1) // 2) for looks in shares] for shares in recipes])
    expected, squares = outlooks.reshape(-1, length, len(SHARES), 2).transpose(3, 0, 1, 2)
    start, place, share = _least(expected, 0 if even else HALF_AXES)
    square = squares[start, place, share]
    ends = square * np.array([look.extremes for look in recipes[start * length + place][share]])
    distortion = np.maximum(1 - ends[:, 0], ends[:, 1] - 1).mean()
    walk = walks(tensors, coordinates, drawn, cross_weight(np.concatenate(unseen)), only=start)
    stop = next(stop for i, stop in enumerate(walk) if i == place)
    return np.sqrt(square) * stop.components(SHARES[share]), float(max(distortion, 0.0))


def _least(expected, preferred):
    """Return start, stop and share of the least promise, given those of all; the preferred start's counts for less."""
    shares = expected.mean(axis=1).argmin(axis=1)
    promised = np.take_along_axis(expected, shares[:, None, None], axis=2)[:, :, 0]
    # Averaged over neighbours: maps a few steps apart differ by less than the noise of what they promise.
    wide = np.pad(promised, ((0, 0), (1, 1)), mode="edge")
    promised = (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / 3
    promised[preferred] *= PREFERENCE
    start, place = divmod(int(np.argmin(promised)), promised.shape[1])
    return start, place, int(shares[start])


def walks(tensors, coordinates, drawn, weight, only=None):
    """Descend from every start, and yield each stop.

    Parameters
    ----------
    tensors : callable
        Arrays to tensors.
    coordinates : SpanCoordinates
        Of the points to fit.
    drawn : list of ndarray of shape (k, d)
        What ``random_rows`` returned.
    weight : float or None
        What ``cross_weight`` returned for new points.
    only : int or None, default=None
        The start to take; None for all in turn.

    Yields
    ------
    Stop
        The extreme ratios of its map on the fitted pairs are equally far from 1.
    """
    from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion

    pose = partial(PairDistortion, *tensors(coordinates.points, coordinates.inverse_distances), len(drawn[0]))
    for number, (maps, outside) in enumerate(starts(coordinates, drawn)):
        if only is not None and number != only:
            continue
        descent = Descent.at_map(pose(LADDER[0][0]), maps)
        yield _balanced(descent, outside, coordinates, weight)
        for t, stops in LADDER:
            descent.objective = descent.objective.at(t)
            for steps in stops:
                descent.glide(steps)
                yield _balanced(descent, outside, coordinates, weight)


def _balanced(descent, outside, coordinates, weight):
    low, high = descent.objective.extremes(descent.params)
    scale = np.sqrt(2 / (low + high) if high > 0 else 1.0)
    maps = descent.maps()
    outside = spread_out(coordinates.points @ maps.T, coordinates.inverse_distances, weight) @ outside
    return Stop(scale * coordinates.to_features(maps), scale * outside)
