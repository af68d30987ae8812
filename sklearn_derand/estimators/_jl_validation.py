"""Maps for points that were not fitted: a path that stops where points set aside in turn do best.

The optimum of the fitted pairs and that of new ones pull apart when the points are few beside their dimension. What
helped on new points, each of it tried on the data sets of the benchmark: descending in *unscaled* coordinates, where
rare directions move last; stopping early, at a small exponent; starting from orthonormal rows, half of them replaced by
leading principal axes plus a random remainder, rather than from a Gaussian map; descending on points that were moved
away from their nearest neighbours (below); leaving the map outside the fitted span random, and most of it in the
directions where the images have least energy (:mod:`~sklearn_derand.estimators._jl_outside`: fashion at k = 128, twelve
splits, .278 for .315; also in the random remainder *within* the span at the start: no better, .290); for sparse rows of
more features than points, random rows whose columns are all equally long (text: -.030 +- .020 of .67 on eight splits;
on digits and fashion, forty splits with five or six sets of new points each, within 1 % either way).

**Points moved apart.** A new point differs from the fitted ones in what is its own, and so do the fitted ones from each
other, but that the map has seen. Moved away from its nearest neighbour by ``EXTRAPOLATION`` of their distance, a point
shows more of it. The ratios of new pairs are then less spread out (digits at k = 32 by a tenth), and balanced extremes
of new points, averaged over later stops, less far apart: MNIST at k = 32 by 1.3 %, digits at k = 32 by 2 %, fashion at
k = 128 by 2 %, genes 1 %, texts 1 %, others level but fashion at k = 32, 1 % further (4 to 20 splits). With .45 for .3,
gains and loss are greater; away from the mean of two to five neighbours it is level on MNIST; noise of the points' own
covariance, of differences of neighbours, or of a flatter spectrum, drawn anew at each stop, is worse.

**Where to stop**, and at which scale, is chosen by cross-validation: by the largest distortion to expect of as many new
points as were given, averaged over neighbouring stops (:mod:`~sklearn_derand.estimators._jl_tails`). Each map enters
relative to the scale that balances its own fitted pairs, which is what can be carried over. Then the path is walked
once more with all points; none is wasted on the choice alone. At every stop the map is also looked at with its singular
values drawn together (:mod:`~sklearn_derand.estimators._jl_spectrum`).

**Outside the fitted span** a map stays random, and what new points have there is noise to it. Where that is little
(images), the map is better with less of it: ``|M u|^2`` varies less, though short by a part that varies itself. Where
it is much (words), it is better left alone.

**One start, one share outside.** Of other starts, random rows alone (dense points), axes with a random remainder and
axes alone, one is better here and there, but promises do not tell which: over eight data sets, 6 to 20 splits each, the
start above comes out 2 to 3 % better than random rows or axes, and level with the least promise of all four, in less
than half of the time. On sparse points it is worse: descents from leading axes lengthen the common words, and on 1,000
texts one new document of 1,098 words came out twice too long, which no fold foretold (fourteen splits: random rows
.707, the least promise .730). Nor did promises tell which share outside is best, of 1, .85 and .7, or which draw of the
random rows, though of four on MNIST at k = 32 the best and the worst differ by a tenth.

Tried and not kept: the extremes themselves, or two-parameter fits to the tails (noisier); slopes of eight statistics in
each split, averaged (blind to tails that are heavier than chi-square further out, it prefers maps descended too far);
mean and deviation of all roots (blind likewise); keeping the maps of the splits, or averages of their Gram matrices,
instead of walking again. On a dozen splits of each of four data sets none of these differed by more than its noise: the
earliest or the latest stop within the noise of the best, smoothing over five stops, tails of logarithms in place of
cube roots, and a scale moved towards balance on the fitted pairs (worse, but for one). Nor, on 30 to 40 splits of five
data sets with five or six sets of new points each, did a cubic through the promises, the middle of all stops within 1 %
of the least, or tails whose power was fitted (digits at k = 32 better by 3 %, at 8 and 16 and fashion worse by 1 to
7 %). At its best scale, which only the new points know, the chosen map would be 2 to 10 % better. Points extrapolated
from neighbours, fitted along with all others, gained 2 % in one case of three, at four times the cost. Stops at
exponents up to 1024 were not better either, nor were averages of the maps along a path, or of the Gram matrices of four
draws, descended again. (Twelve splits of 898 digits and six of MNIST at k = 32, to an exponent of 256: level.)

Nor were these, on two to sixteen splits of one to seven data sets, with several sets of new points each. *In the
objective*: the mean squared distortion of normal differences with a shrunk covariance, in closed form, added (late
stops came out 2 to 4 % better at k = 128 and 1 % worse elsewhere, the best stop alike but for one data set), or alone
(its best map is the leading axes, lengthened); exponentials of square roots or logarithms of ratios, or of deviations
that count for more where a pair is near or is too short; descent along leading axes only, or in coordinates on either
side of the unscaled ones; weaker axes of the span shortened afterwards; copies of the points with random signs of their
principal coordinates, whose pairs have the same share along each axis (MNIST at k = 32 -2 +- 1 %, digits +1 to +4 %,
others level, at three times the cost); differences of nearest neighbours with half of their coordinates left out, which
the worst new pairs resemble, as further pairs (digits at k = 32 +4 +- 2 %). *In the choice*: the folds shuffled two or
four times (the noise is in the points, not in how they are dealt), halves for fifths, ratios relative to their fitted
mean in place of the balance. *Other paths*: descent in the default's scaled coordinates (on fashion -4 +- 1 % at k =
128 and +2 +- 2 % at k = 32, on three other data sets never the least promise), the default's own map (level, but far
off on digits), and exponents to 512 as of the annealed peer (-1 % at best).

**On texts little is left to gain.** Over new pairs the cube roots of the ratios have .95 to 1.00 times the variance of
those of chi-squares, whatever the start but axes alone, and promises and outcomes of maps do not correlate (27 splits).
Random rows orthogonal in the metric of the words' energies, even of those of the new documents, or of a shrunk
covariance, are no better than others by more than 1 %. Documents differ in words that the fitted ones do not share.
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy import sparse

from sklearn_derand.estimators._jl_outside import cross_weight
from sklearn_derand.estimators._jl_points import SpanCoordinates
from sklearn_derand.estimators._jl_spectrum import EXPONENTS
from sklearn_derand.estimators._jl_starts import Recipe
from sklearn_derand.estimators._jl_tails import Look, outlook
from sklearn_derand.estimators._jl_walk import walk
from sklearn_derand.metrics._distortion import squared_distances

TOLERANCE = 0.005
"""By how much more than the least a promise may be for a map that is shrunk further."""

FEWEST = 3
"""Pairs within the points set aside that say something of them; where there are fewer, those with a fitted point are
taken as well. (Of 8 normal points two are set aside, which is one pair a split: the worst distortion of 8 new points
over 36 fits was 34, and is 1.3 with these pairs.)"""


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
        Which of those have both points set aside; all, where there are fewer than ``FEWEST`` such pairs.
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
        within = both[counted]
        return cls(X, counted, within if within.sum() >= FEWEST else np.ones_like(within), 1 / before[counted])

    def ratios(self, images):
        """Return the ratios of squared distances, given the images of ``X``."""
        return squared_distances(images, slice(0, self.counted.shape[0]))[self.counted] * self.inverse

    def unseen(self, coordinates):
        """Return the part of squared distances outside the span, of pairs within the points set aside.

        Parameters
        ----------
        coordinates : SpanCoordinates
            Of the fitted points.

        Returns
        -------
        ndarray
            In [0, 1].
        """
        return np.clip(1 - self.ratios(coordinates.inside(self.X))[self.within], 0.0, 1.0)

    def looks(self, stop):
        """Return what the maps of a stop do to the pairs, in short."""
        images = np.asarray(self.X @ stop.components.T)
        seen = [self.ratios(images @ turn.T) for turn in stop.turns]
        return [Look.at(ratios[self.within], ratios) for ratios in seen]


def splits(inverse_distances, share, seed):
    """Return disjoint sets of points to set aside in turn, as many as there are.

    Parameters
    ----------
    inverse_distances : ndarray of shape (n, n)
        Of the points; 0 where two are equal.
    share : float
        Part of them in each set.
    seed : int
        Of the order.

    Returns
    -------
    list of ndarray
        Indices. A set that would leave no two different points is left out.
    """
    n_points = len(inverse_distances)
    n_aside = round(share * n_points)
    if n_aside == 0 or n_points - n_aside < 2:
        return []
    order = np.random.RandomState(seed).permutation(n_points)
    parts = np.split(order[: n_points // n_aside * n_aside], n_points // n_aside)
    others = [np.setdiff1d(order, part) for part in parts]
    return [np.sort(part) for part, left in zip(parts, others, strict=True) if inverse_distances[left[0], left].any()]


def map_for_new_points(tensors, coordinates, aside, k, seed):
    """Choose a place on the path by the points set aside in turn, and walk there with all points.

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
        Of the random part of the start.

    Returns
    -------
    components : ndarray of shape (k, d)
        The map.
    distortion : float
        Of maps that come as far: largest over the pairs with a point set aside, averaged over the splits.
    """
    X = coordinates.X
    n = X.shape[0]
    recipe = Recipe.of(X)
    rows = recipe.random_rows(k, X.shape[1], seed)
    # Shrunk, an isometry would be none.
    exponents = EXPONENTS if coordinates.rank > k else (1.0,)
    seen, unseen = [], []
    for indices in aside:
        others = np.setdiff1d(np.arange(n), indices)
        pairs, fitted = NewPairs.of(X[indices], X[others]), SpanCoordinates.of(X[others])
        unseen.append(pairs.unseen(fitted))
        path = walk(tensors, fitted, recipe, rows, cross_weight(unseen[-1]), exponents)
        seen.append([pairs.looks(stop) for stop in path])
    # Indices: stop, exponent, split.
    looks = [list(zip(*parts, strict=True)) for parts in zip(*seen, strict=True)]
    promises, squares = np.moveaxis([[outlook(some, n * (n - 1) // 2) for some in row] for row in looks], -1, 0)
    place, shrunk = chosen(promises)
    ends = squares[place, shrunk] * np.array([look.extremes for look in looks[place][shrunk]])
    distortion = np.maximum(1 - ends[:, 0], ends[:, 1] - 1).mean()
    path = walk(tensors, coordinates, recipe, rows, cross_weight(np.concatenate(unseen)), (exponents[shrunk],))
    (components,) = next(islice(path, place, None)).maps()
    return np.sqrt(squares[place, shrunk]) * components, float(max(distortion, 0.0))


def chosen(promises):
    """Return the stop and the exponent to take.

    Parameters
    ----------
    promises : ndarray of shape (n_stops, n_exponents)
        Largest distortion to expect.

    Returns
    -------
    stop, exponent : int
        Of the exponents whose least promise, averaged over neighbouring stops, is within ``TOLERANCE`` of the least of
        all, the last, and the stop at which it has that promise. (As with one standard error of Breiman et al. 1984,
        the simplest of those that do not differ.)
    """
    padded = np.pad(promises, ((1, 1), (0, 0)), mode="edge")
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    least = smooth.min(axis=0)
    exponent = int(np.flatnonzero(least <= (1 + TOLERANCE) * least.min())[-1])
    return int(smooth[:, exponent].argmin()), exponent
