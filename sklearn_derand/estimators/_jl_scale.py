"""Many points: descend on a sample, then on the worst of *all* pairs, scanned by blocks until they are known."""

from dataclasses import dataclass

import numpy as np

from sklearn_derand.estimators._jl_path import GAIN
from sklearn_derand.estimators._jl_points import EPS, FAITHFUL
from sklearn_derand.metrics._distortion import BLOCK, cross_distances, squared_norms

DENSE_POINTS = 3000
"""Points up to which all pairs are weighed at every step (an n x n matrix is kept)."""

ANCHORS = 800
"""Points of the sample on which the law is derandomised, and whose span the map is sought on."""

ROUGH, SAMPLE_STEPS = 1.0, 32
"""Slack of the descent on the sample, and most of its steps. Its own optimum is not what is wanted: on 5,000 images, to
32, it moves other pairs by 8 times their length, a map half as good on the sample by 0.8 (measured)."""

WORST = 50_000
"""Pairs added to the list by one scan."""

OTHERS = 100_000
"""Random pairs on the list from the start: without them the rest of the pairs runs wild between two scans."""

ROUNDS, STEPS = 8, 50
"""Most scans, and most steps between two of them."""

RAISE, SHARP = 2.0, 0.05
"""Factor between exponents, which are raised until ``(1/t) log F_t`` is the largest distortion of the list but for this
share of it: slowly, for each scan finds pairs that ran wild."""

LAST = 4.0
"""Factor to the exponent at which the list is certified."""

SETTLED = 1.02
"""The list holds the worst pairs once no other pair is worse than its worst by more than this factor."""

NEAR = (32 * EPS / FAITHFUL) ** 2
"""Pairs whose squared distance is a smaller share of their squared norms are left out: rounding moves them too."""


@dataclass
class Scan:
    """The worst pairs of all, and the largest distortion.

    Attributes
    ----------
    distortion : float
        Over all pairs that rounding leaves apart.
    first, second : ndarray of shape (m,)
        Indices of the worst pairs' points.
    inverse : ndarray of shape (m,)
        One over their squared distances.
    """

    distortion: float
    first: np.ndarray
    second: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, X, Z, n_worst=None):
        """Look at all pairs by blocks of rows; keep the ``n_worst`` most distorted."""
        n, n_worst = X.shape[0], n_worst or WORST
        norms, image_norms = squared_norms(X), squared_norms(Z)
        step = max(1, BLOCK // n)
        found, threshold = [], 0.0
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            before = cross_distances(X[rows], X[start:], norms[rows], norms[start:])
            change = cross_distances(Z[rows], Z[start:], image_norms[rows], image_norms[start:])
            close = before <= NEAR * (norms[rows, None] + norms[start:])
            before[close] = 1.0
            change /= before
            change -= 1
            change[close] = 0.0
            np.abs(change, out=change)
            size = rows.stop - start
            change[:, :size] = np.triu(change[:, :size], 1)
            i, j = np.nonzero(change > threshold) if threshold else _largest(change, n_worst)
            real = change[i, j] > 0
            i, j = i[real], j[real]
            found.append(np.column_stack([change[i, j], i + start, j + start, 1 / before[i, j]]))
            if sum(map(len, found)) > 2 * n_worst or not threshold:
                kept = np.vstack(found)
                kept = kept[np.argsort(-kept[:, 0])[:n_worst]]
                found, threshold = [kept], float(kept[-1:, 0].max(initial=0.0))
        worst = np.vstack(found)
        worst = worst[np.argsort(-worst[:, 0])[:n_worst]]
        return cls(
            float(worst[:1, 0].max(initial=0.0)),
            worst[:, 1].astype(np.int64),
            worst[:, 2].astype(np.int64),
            worst[:, 3],
        )

    @classmethod
    def sample(cls, X, seed):
        """Draw pairs of distinct points at random."""
        pairs = np.random.RandomState(seed).randint(X.shape[0], size=(OTHERS, 2))
        i, j = np.sort(pairs, axis=1).T
        before = np.concatenate([squared_norms(X[a] - X[b]) for a, b in zip(*_parts(i, j, X.shape[1]), strict=True)])
        norms = squared_norms(X)
        kept = before > NEAR * (norms[i] + norms[j])
        return cls(np.nan, i[kept], j[kept], 1 / before[kept])

    def joined(self, other):
        """Return the pairs of two scans, each once, with the distortion of the other."""
        first, second = np.append(self.first, other.first), np.append(self.second, other.second)
        inverse = np.append(self.inverse, other.inverse)
        _, once = np.unique(np.column_stack([first, second]), axis=0, return_index=True)
        return Scan(other.distortion, first[once], second[once], inverse[once])


def sample_rows(X, seed):
    """Draw ``ANCHORS`` rows, half of them others than the first drawn where all that were drawn equal it.

    Parameters
    ----------
    X : {ndarray, csr} of shape (n, d)
        All points.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of int
        Increasing.
    """
    order = np.random.RandomState(seed).permutation(X.shape[0])
    chosen, norms = order[:ANCHORS], squared_norms(X)
    first = slice(order[0], order[0] + 1)
    others = order[(cross_distances(X, X[first], norms, norms[first])[:, 0] > 0)[order]]
    if not np.isin(others, chosen).any():
        kept = chosen[: len(chosen) - min(len(others), len(chosen) // 2)]
        chosen = np.append(kept, others[: len(chosen) - len(kept)])
    return np.sort(chosen)


def _parts(i, j, n_features):
    n_parts = 1 + i.size * n_features // BLOCK
    return np.array_split(i, n_parts), np.array_split(j, n_parts)


def _largest(change, n_worst):
    count = min(n_worst, change.size)
    flat = np.argpartition(change.ravel(), change.size - count)[-count:]
    return np.unravel_index(flat, change.shape)


def refine(run, X, coordinates, descent, outside, tensors, max_iter, seed):
    """Descend on the worst of all pairs, scan all pairs again, and so on; the best map over all pairs is kept.

    Parameters
    ----------
    run : callable
        ``(objective, params, **settings) -> Solution``.
    X : {ndarray, csr} of shape (n, d)
        All points.
    coordinates : SpanCoordinates
        Of the sample.
    descent : Descent
        On the sample, finished; continued here on the list.
    outside : ndarray of shape (k, d)
        The map on what the sample does not span.
    tensors : callable
        Arrays to tensors.
    max_iter : int
        Most steps of the whole path.
    seed : int
        Of the random pairs.

    Returns
    -------
    components : ndarray of shape (k, d)
        The best map found over all pairs.
    """
    from sklearn_derand.problems.listed_pairs import ListedPairDistortion

    unit = np.sqrt(coordinates.unit)
    scales = descent.scales.cpu().numpy()
    points, offset = tensors(coordinates.inside(X) / (unit * scales), np.asarray(X @ outside.T) / unit)
    k, t = descent.objective.n_components, descent.objective.t
    known, best, ended = Scan.sample(X, seed), (np.inf, None), False
    for finished in [False] * ROUNDS + [True]:
        components = outside + coordinates.to_features(descent.maps())
        scan = Scan.of(X, np.asarray(X @ components.T))
        best = min(best, (scan.distortion, components), key=lambda pair: pair[0])
        soft, hard = descent.excess()
        sharp = soft - hard <= SHARP * hard
        if finished or descent.n_iter >= max_iter or (ended and sharp and scan.distortion <= SETTLED * hard):
            break
        t *= 1.0 if sharp else RAISE
        known = known.joined(scan)
        first, second, inverse = tensors(known.first, known.second, known.inverse * coordinates.unit)
        descent.objective = ListedPairDistortion(points, first.long(), second.long(), inverse, k, t, offset)
        before = descent.n_iter
        descent.glide(min(STEPS, max_iter - before), GAIN)
        ended = descent.n_iter < before + STEPS
    # At this exponent the list's optimum is within tol of where the descent stands, as a rule
    descent.objective = descent.objective.at(LAST * descent.objective.t)
    descent.advance(run, max_iter=min(STEPS, max_iter - descent.n_iter))
    components = outside + coordinates.to_features(descent.maps())
    scan = Scan.of(X, np.asarray(X @ components.T))
    return min(best, (scan.distortion, components), key=lambda pair: pair[0])[1]
