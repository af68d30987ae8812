r"""The relaxation of Goemans and Williamson, as unit vectors of low rank.

.. math:: \max_V \sum_{i<j} w_{ij} \frac{1 - v_i \cdot v_j}{2}, \qquad \|v_i\| = 1,\ v_i \in R^r

(M. X. Goemans, D. P. Williamson, J. ACM 42, 1995; low rank after S. Burer, R. Monteiro, Math. Program. 95, 2003).
L-BFGS on the product of spheres: one sparse product ``W V`` an evaluation, O(m r). From ``r (r + 1) / 2 > n`` on
almost every instance has no spurious second-order point (N. Boumal, V. Voroninski, A. Bandeira, 2016); a smaller
rank is cheaper and in practice as good, and neither the expectation nor the dual bound relies on optimality.
"""

import math

import numpy as np

from sklearn_derand.problems.weighted_graph import binary_unit, upper_edges

MAX_RANK = 24
"""Cap of the default rank: on the Gset graphs the value at rank 24 is that of ceil(sqrt(2 n)) to 1e-5, in a
quarter of the time."""

MEMORY = 6
"""Pairs kept by L-BFGS."""


def default_rank(n_nodes):
    """Return ``ceil(sqrt(2 n))``, the rank that some optimum has (Barvinok, Pataki), capped at ``MAX_RANK``.

    Parameters
    ----------
    n_nodes : int
        Number of vectors.

    Returns
    -------
    rank : int
        At least 2.
    """
    return max(2, min(MAX_RANK, math.ceil(math.sqrt(2 * n_nodes))))


def random_unit_vectors(n_nodes, rank, rng):
    """Draw independent uniform unit vectors, the start of the relaxation.

    Parameters
    ----------
    n_nodes, rank : int
        Shape of the result.
    rng : numpy.random.RandomState
        Source of randomness.

    Returns
    -------
    vectors : ndarray of shape (n_nodes, rank)
        Float64.
    """
    return normalise_rows(rng.standard_normal((n_nodes, rank)))


def normalise_rows(vectors):
    """Scale each row to length one, in float64; a zero row becomes the first unit vector.

    Parameters
    ----------
    vectors : ndarray of shape (n_nodes, rank)
        Left alone.

    Returns
    -------
    vectors : ndarray of shape (n_nodes, rank)
        Unit rows.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.where(norms > 0, vectors, np.eye(1, vectors.shape[1]))
    return vectors / np.where(norms > 0, norms, 1.0)


def solve_relaxation(weights, vectors, *, tol=1e-3, max_iter=500, out_of_time=None):
    """Lower ``sum_ij w_ij v_i . v_j / 2`` over unit rows from a given start.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal. Neither is verified.
    vectors : ndarray of shape (n_nodes, rank)
        Unit rows; left alone. A float32 start keeps the whole descent in float32, at half the time.
    tol : float, default=1e-3
        Stop when the root mean square of the rows' Riemannian gradients is at most ``tol`` times that of the
        rows of ``weights``. At 1e-3 the dual bound of the Gset graphs is within 0.05 % of the optimum.
    max_iter : int, default=500
        Most steps.
    out_of_time : callable or None, default=None
        Stop when it returns true.

    Returns
    -------
    vectors : ndarray of shape (n_nodes, rank)
        Unit rows up to the rounding of their type.
    """
    vectors = vectors.copy()
    weights = (weights / binary_unit(weights.data)).astype(vectors.dtype)
    scale = math.sqrt(float(weights.power(2).sum())) or 1.0
    value, gradient = _evaluate(weights, vectors)
    pairs = []
    for _ in range(max_iter):
        norm = np.linalg.norm(gradient)
        if norm <= tol * scale or (out_of_time is not None and out_of_time()):
            break
        direction = _tangent(_two_loop(gradient, pairs, scale / math.sqrt(weights.shape[0])), vectors)
        slope = float(np.vdot(gradient, direction))
        if slope >= -1e-8 * norm * np.linalg.norm(direction):
            pairs.clear()
            direction, slope = -gradient / (scale / math.sqrt(weights.shape[0])), -(norm**2)
        step = _armijo(weights, vectors, direction, value, slope)
        if step is None:
            break
        moved, moved_value, moved_gradient = step
        change, turn = moved - vectors, moved_gradient - gradient
        curvature = float(np.vdot(change, turn))
        if curvature > 1e-12 * scale * float(np.vdot(change, change)):
            pairs.append((change, turn, curvature))
            del pairs[:-MEMORY]
        vectors, value, gradient = moved, moved_value, moved_gradient
    return vectors


def _evaluate(weights, vectors):
    product = weights @ vectors
    along = np.einsum("ij,ij->i", product, vectors)
    return 0.5 * float(along.sum(dtype=np.float64)), product - along[:, None] * vectors


def _tangent(direction, vectors):
    return direction - np.einsum("ij,ij->i", direction, vectors)[:, None] * vectors


def _two_loop(gradient, pairs, curvature):
    # Nocedal and Wright, algorithm 7.4, in the ambient space: the pairs are not transported, the result is projected.
    direction = -gradient
    coefficients = []
    for change, turn, product in reversed(pairs):
        coefficients.append(float(np.vdot(change, direction)) / product)
        direction -= coefficients[-1] * turn
    if pairs:
        _, turn, product = pairs[-1]
        direction *= product / float(np.vdot(turn, turn))
    else:
        direction /= curvature
    for (change, turn, product), coefficient in zip(pairs, reversed(coefficients), strict=True):
        direction += (coefficient - float(np.vdot(turn, direction)) / product) * change
    return direction


def _armijo(weights, vectors, direction, value, slope):
    rounding = 4 * np.finfo(vectors.dtype).eps * abs(value)
    length = 1.0
    while length > 1e-6:
        moved = vectors + length * direction
        moved /= np.sqrt(np.einsum("ij,ij->i", moved, moved))[:, None]
        moved_value, gradient = _evaluate(weights, moved)
        if moved_value <= value + 1e-4 * length * slope + rounding:
            return moved, moved_value, gradient
        length *= 0.5
    return None


def expected_cut(weights, vectors):
    r"""Mean cut of a random hyperplane: ``sum_{i<j} w_ij angle(v_i, v_j) / pi``.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal.
    vectors : ndarray of shape (n_nodes, rank)
        Unit rows. Angles are ``2 atan2(||u - v||, ||u + v||)``, exact also near 0 and pi, where the arc cosine
        loses half the digits.

    Returns
    -------
    value : float
        Rounded down by 16 units in the last place of ``sum |w|``, which covers this sum and that of a cut.
    """
    rows, cols, data = upper_edges(weights)
    total, magnitude = 0.0, 0.0
    block = max(1, 4_000_000 // vectors.shape[1])
    for start in range(0, data.size, block):
        part = slice(start, start + block)
        u, v = vectors[rows[part]], vectors[cols[part]]
        angles = 2 * np.arctan2(np.linalg.norm(u - v, axis=1), np.linalg.norm(u + v, axis=1))
        total += float(np.sum(data[part] * (angles / np.pi)))
        magnitude += float(np.sum(np.abs(data[part])))
    return total - 16 * np.finfo(np.float64).eps * magnitude
