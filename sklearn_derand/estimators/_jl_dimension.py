"""The smallest number of components whose distortion, verified on all fitted pairs, is at most eps."""

import logging
from bisect import bisect_left
from dataclasses import dataclass
from functools import partial

import numpy as np

from sklearn_derand.estimators._jl_path import Descent, derandomise, loosen, tighten

logger = logging.getLogger(__name__)

POWER = 0.5
"""Columns of the map are measured in units of (singular value)^-POWER: 0 leaves rare directions to the end, 1 lets
them run far beyond isometry and ruins new points (both tried)."""

SHORT = 0.3
"""Length of a row added to a map: at 0 it has no slope."""


@dataclass
class Found:
    """What a descent came to, without the matrix of all pairs that its objective holds.

    Attributes
    ----------
    k : int
        Dimension of the images.
    t : float
        Exponent it stands at.
    maps : ndarray of shape (k, r)
        The map.
    descent : Descent
        All else, to go on from.
    """

    k: int
    t: float
    maps: np.ndarray
    descent: Descent

    @classmethod
    def of(cls, descent):
        """Take the objective off a descent."""
        found = cls(descent.objective.n_components, descent.objective.t, descent.maps(), descent)
        descent.objective = None
        return found

    def resumed(self, objective):
        """Put an objective on the same pairs in its place."""
        self.descent.objective = objective.at(self.t)
        return self.descent


def descend_at(run, tensors, coordinates, init, seed, max_iter, slack, k, near=None, enough=0.0):
    """Pose the problem at dimension ``k`` and descend it to its certificate, or until ``enough`` is reached.

    Parameters
    ----------
    run : callable
        ``(objective, params, **settings) -> Solution``.
    tensors : callable
        Arrays to tensors.
    coordinates : SpanCoordinates
        Of the fitted points.
    init : {"pca+gaussian", "gaussian"}
        The part of the law drawn into the map at the start.
    seed : int
        Of the start.
    max_iter : int
        Most steps of the whole path.
    slack : float
        Of ``tighten``.
    k : int
        Dimension of the images.
    near : Found or None, default=None
        What was found for this dimension, to go on from; or for another: its map, with rows taken away or added, is the
        start then.
    enough : float, default=0.0
        With it the descent is a trial: it may stop there, and is not certified.

    Returns
    -------
    Descent or None
        None where there is no pair.
    """
    from sklearn_derand.problems.distortion_bounds import gaussian_bound
    from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion

    if coordinates.n_pairs == 0:
        return None
    scales = coordinates.lengths() ** POWER
    points, inverse, scales = tensors(coordinates.points / scales, coordinates.inverse_distances, scales)
    bound, t = gaussian_bound(coordinates.n_pairs, k)
    objective = PairDistortion(points, inverse, k, t, coordinates.ranks)

    def reconstruct(params) -> dict:
        return {"components_": coordinates.to_features((objective.maps(params) / scales).cpu().numpy())}

    run = partial(run, reconstruct=reconstruct)
    if k >= coordinates.rank:
        descent = Descent.isometry(objective, scales)
        descent.advance(run, max_iter=0)  # the optimum: steps could only follow its rounding
        return descent
    if near is None:
        n_axes = min(k, coordinates.rank) if init == "pca+gaussian" else 0
        descent = derandomise(run, objective, bound * t, scales, n_axes, seed, max_iter)
        loosen(descent, max_iter)
    elif near.k == k:
        descent = near.resumed(objective)
    else:
        (maps,) = tensors(resized(near.maps, k))
        descent = Descent(objective, objective.pack(maps * scales, 0.0), scales)
    tighten(descent, max_iter, slack, enough)
    if not enough:
        descent.advance(run, max_iter=max(0, max_iter - descent.n_iter))
    logger.debug("%d components: %d steps, a priori bound %.4g", k, descent.n_iter, bound)
    return descent


def resized(maps, k):
    """Return a map with its leading ``k`` rows, after a rotation, or with short ones added along the next axes.

    Parameters
    ----------
    maps : ndarray of shape (m, r)
        A map on principal coordinates.
    k : int
        Rows wanted, at most ``r``.

    Returns
    -------
    ndarray of shape (k, r)
    """
    m, r = maps.shape
    if k > m:
        return np.vstack([maps, SHORT * np.eye(k - m, r, k=m)])
    _, lengths, axes = np.linalg.svd(maps, full_matrices=False)
    return lengths[:k, None] * axes[:k]


def choose_dimension(descend, tensors, coordinates, n_components, eps):
    """Return the dimension and the finished descent there.

    Parameters
    ----------
    descend : callable
        ``k, near=None, enough=0.0 -> Descent``.
    tensors : callable
        Arrays to tensors.
    coordinates : SpanCoordinates
        Of the fitted points.
    n_components : int or "auto"
        The dimension, or "auto" for the smallest found whose largest distortion is at most ``eps``.
    eps : float
        See there.

    Returns
    -------
    k : int
        The dimension.
    descent : Descent or None
        None where there is no pair.
    """
    if n_components != "auto":
        return n_components, descend(n_components)
    if coordinates.n_pairs == 0:
        return 1, None
    from sklearn_derand.problems.distortion_bounds import distortion_lower_bound

    points, distances = tensors(coordinates.points, coordinates.squared_distances())
    rank, tried = coordinates.rank, {}

    def possible(k):  # at equal weights, where it falls with k
        return distortion_lower_bound(points, distances, k, 1, coordinates.ranks) <= eps

    def attempt(k):
        near = tried[min(tried, key=lambda other: (abs(other - k), other))] if tried else None
        descent = descend(k, near=near, enough=eps)
        largest = descent.objective.largest(descent.still())
        tried[k] = Found.of(descent)
        return tried[k] if largest <= eps else None

    lowest = 1 + bisect_left(range(1, rank), True, key=possible)
    k, found = smallest_dimension(attempt, lowest, rank, round(1.5 * lowest))
    descent = descend(k, near=found)
    while descent.objective.largest(descent.params) > eps:  # it was not when the trial stopped
        k += 1
        descent = descend(k, near=Found.of(descent))
    return k, descent


def smallest_dimension(attempt, lowest, highest, first):
    """Search for the smallest k at which an attempt succeeds, the highest being known to.

    Distortion falls with k, so the search is a bisection on a logarithmic scale from a guess. An attempt that fails
    at one k may only mean that its descent fell short there; it is not repeated.

    Parameters
    ----------
    attempt : callable
        ``k -> result``, ``None`` for failure.
    lowest : int
        Below it no map can succeed.
    highest : int
        Known to succeed.
    first : int
        The first guess.

    Returns
    -------
    k : int
        The smallest success found: its predecessor failed, or is below ``lowest``.
    result
        Of the attempt there; ``None`` where that is ``highest``, which is not attempted.
    """
    result, guess = None, first
    while lowest < highest:
        k = int(np.clip(guess, lowest, highest - 1))
        found = attempt(k)
        if found is None:
            lowest = k + 1
            guess = min(round(1.3 * k) + 1, (lowest + highest) // 2) if result is None else (lowest + highest) // 2
        else:
            highest, result = k, found
            guess = max(round(k / 1.3), (lowest + highest) // 2) if k == first else (lowest + highest) // 2
    return highest, result
