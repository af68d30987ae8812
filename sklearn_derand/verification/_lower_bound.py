"""What DerandJLEmbedding claims no map can beat: weights of points, or of points and pairs, that promise as much."""

import numpy as np
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import softmax

from sklearn_derand.verification._claims import Claim, at_most, equal, skipped

LOWER_BOUND_POINTS = 300
"""Most points for which the lower bound is found again."""

LOWER_BOUND_STARTS = 20
"""Most ascents from random weights, should those from equal ones not attain it."""

SIGNED_POINTS = 200
"""Most points for which pairs are weighed as well."""

SIGNED_STEPS = 300

ACCURACY = 1e-3
"""What weights may promise less than the claim: half of it suffices to stop their ascent."""


def lower_bound_claims(estimator, points) -> list[Claim]:
    """Ascend the weights once more, until they promise what is claimed."""
    name, claimed = "distortion_lower_bound_ is attained by weights", estimator.distortion_lower_bound_
    n, k = len(points), estimator.n_components_
    if n > LOWER_BOUND_POINTS:
        return [skipped(name, claimed, f"{n} points, limit {LOWER_BOUND_POINTS}")]
    squared = cdist(points, points, "sqeuclidean")
    squared, points = squared / squared.max(), (points - points[0]) / np.sqrt(squared.max())
    if k >= min(n - 1, np.linalg.matrix_rank(points)):
        return [equal(name, claimed, 0.0)]
    return [at_most(name, claimed, _attained(squared, k, claimed - ACCURACY / 2), slack=ACCURACY)]


def _attained(squared, k, claimed):
    """Ascend from several weights until the claim is attained; return the best bound seen."""
    # Other weights may attain it than an ascent comes to; from equal ones it depends on the unit of the steps.
    n, random, best = len(squared), np.random.RandomState(0), 0.0
    starts = [(np.sqrt(n), np.zeros(n)), (1.0, np.zeros(n))]
    starts += [(1.0, random.standard_normal(n)) for _ in range(LOWER_BOUND_STARTS)]
    for unit, start in starts:
        reached, theta = _by_points(squared, k, unit, start)
        best = max(best, reached)
        for near in (theta, unit * start) if n <= SIGNED_POINTS else ():
            if best < claimed:
                best = max(best, _by_pairs(squared, k, claimed, near))
        if best >= claimed:
            break
    return best


def _gram(squared, p):
    """Return the Gram matrix about the weighted mean."""
    mean = squared @ p
    return 0.5 * (mean[:, None] + mean - squared - p @ mean)


def _by_points(squared, k, unit, start):
    """Ascend ``2 |tail of the weighted spectrum| / |weighted squared distances|``; return it and where it is."""
    n = len(squared)

    def objective(theta):
        """Return minus the logarithm of the bound's square, and its gradient in the logarithms of the weights."""
        p = softmax(theta)
        root = np.sqrt(p)
        values, vectors = np.linalg.eigh(root[:, None] * _gram(squared, p) * root)
        tail, tails = np.maximum(values[:-k], 0.0), vectors[:, :-k]
        top, bottom = (tail**2).sum() + tail.sum() ** 2 / (k + 1), p @ squared**2 @ p
        # p_i dl/dp_i = l v_i^2: the centre moves too, but to first order that changes no eigenvalue.
        in_tail = 2 * tail + 2 * tail.sum() / (k + 1)
        if top == 0:  # the weights have gone to points of a subspace of k dimensions, to rounding
            return 1e3, np.zeros(n)
        slope = (tails**2 * (tail * in_tail)).sum(axis=1) / top - 2 * p * (squared**2 @ p) / bottom
        return -np.log(4 * top / bottom), -(slope - p * slope.sum())

    found = minimize(
        lambda z: tuple(f * g for f, g in zip(objective(unit * z), (1.0, unit), strict=True)),
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8},
    )
    return np.exp(-0.5 * found.fun), unit * found.x


def _by_pairs(squared, k, claimed, theta):
    """Ascend signed weights of pairs as well, positive and negative parts apart, until they promise the claim."""
    # With H = sqrt(p p') (G + s/2) - diag(s p)/2, T the trace of its tail plus that of diag(s p)/2, and
    # R = 4 (|tail|^2 + T^2 / (k+1)) - |s p|^2 - p'(s^2) p, every distortion x obeys x^2 p'D^2 p + 2 x p'(|s| D) p >= R.
    n, place = len(squared), np.triu_indices(len(squared), 1)
    best = 0.0

    def symmetric(values):
        out = np.zeros((n, n))
        out[place] = values
        return out + out.T

    def objective(z):
        """Return minus the least ``x``, and its gradient."""
        nonlocal best
        p, parts = softmax(z[:n]), z[n:].reshape(2, -1)
        s, size, root = symmetric(parts[0] - parts[1]), symmetric(parts[0] + parts[1]), np.sqrt(p)
        pull = s @ p
        inner = _gram(squared, p) + s / 2
        matrix = root[:, None] * inner * root - np.diag(pull) / 2
        values, vectors = np.linalg.eigh(matrix)
        tail, tails = values[:-k], vectors[:, :-k]
        trace = tail.sum() + pull.sum() / 2
        right = 4 * ((tail**2).sum() + trace**2 / (k + 1)) - pull @ pull - p @ s**2 @ p
        square, linear = p @ squared**2 @ p, p @ (size * squared) @ p
        if right <= 0:
            return 1.0, np.zeros_like(z)
        x = (np.sqrt(linear**2 + square * right) - linear) / square
        best = max(best, x)
        slopes = (8 * tails * (tail + trace / (k + 1))) @ tails.T
        by_pull = 4 * trace / (k + 1) - slopes.diagonal() / 2 - 2 * pull
        by_s = np.outer(root, root) * slopes + np.outer(by_pull, p) + np.outer(p, by_pull) - 4 * np.outer(p, p) * s
        by_size = -4 * x * np.outer(p, p) * squared
        by_p = s @ by_pull - 2 * s**2 @ p - 2 * x**2 * squared**2 @ p - 4 * x * (size * squared) @ p
        # Times p, for weights that are 0 to rounding.
        by_theta = root * ((slopes * inner) @ root) + p * by_p
        slope = [by_theta - p * by_theta.sum(), (by_s + by_size)[place], (by_size - by_s)[place]]
        return -x, -np.concatenate(slope) / (2 * (square * x + linear))

    def enough(intermediate_result):  # noqa: ARG001
        if best >= claimed:
            raise StopIteration

    minimize(
        objective,
        np.concatenate([theta, np.zeros(2 * len(place[0]))]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None)] * n + [(0.0, None)] * (2 * len(place[0])),
        callback=enough,
        options={"maxiter": SIGNED_STEPS, "maxfun": 2 * SIGNED_STEPS, "ftol": 1e-14, "gtol": 1e-12},
    )
    return best
