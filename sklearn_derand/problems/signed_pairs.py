r"""A sharper bound that no map can beat: signed weights of pairs beside the weights of points.

In the bound of :mod:`~sklearn_derand.problems.distortion_bounds` every pair weighs the product of its points' weights,
``p_i p_j``, but in an optimal map half of the pairs are well below the largest distortion. What the others add is seen
by linear terms. Let ``s`` be symmetric with zero diagonal, otherwise any, and besides the notation there

.. math:: B_{ij} = \delta_{ij} (s p)_i - \sqrt{p_i p_j} s_{ij}, \qquad
          h_1 \ge h_2 \ge \dots \text{ the spectrum of } \sqrt P G_0 \sqrt P - B / 2, \qquad
          T = \sum_{i>k} h_i + \operatorname{tr} B / 2 .

Then every distortion ``eps`` of a map to ``k`` dimensions, linear or not, obeys

.. math:: \epsilon^2 \sum_{ij} p_i p_j (D0_{ij})^2 + 2 \epsilon \sum_{ij} p_i p_j |s_{ij}| D0_{ij}
          \ge R = 4 \Bigl( \sum_{i>k} h_i^2 + \frac{T^2}{k+1} \Bigr) - |B|^2 .

*Proof.* The left side is at least ``sum p_i p_j (d_ij^2 + 2 s_ij d_ij)`` for ``d = D1 - D0``. There the squares sum to
at least ``4 (|E~|^2 + (tr E~)^2)``, and ``d = e 1' + 1 e' - 2 E`` gives ``sum p_i p_j s_ij d_ij = 2 <B, E~>``. Together
that is ``4 (|E~ + B/2|^2 + (tr E~)^2) - |B|^2``, where ``E~ + B/2`` is the images' weighted Gram matrix less the one
whose spectrum is ``h``. With ``s_i = m_i - h_i`` Mirsky's inequality bounds its square by
``sum_{i<=k} s_i^2 + sum_{i>k} h_i^2``, and ``tr E~ = sum s_i - T``; the rest is as before. []

At ``s = 0`` this is the bound there. ``R`` is concave in ``s``: its slope there is ``2 p_i p_j`` times the change
``d_ij`` under the map that attains the bound, so that pairs with ``|d_ij| > eps D0_ij`` raise it.
"""

import numpy as np
from scipy.optimize import Bounds, minimize
from scipy.special import softmax

SIZE = 25.0
"""Unit of the pairs' weights, times the bound: they come out at about its size, and first steps shall not be timid."""


class SignedPairs:
    """The bound as a function of the weights of points and of pairs.

    Parameters
    ----------
    points : ndarray of shape (n, r)
        The points in any orthonormal coordinates of their span, in units of the largest distance.
    squared_distances : ndarray of shape (n, n)
        Of these points; 0 for pairs that do not count.
    n_components : int
        Dimension ``k`` of the images.
    """

    def __init__(self, points, squared_distances, n_components):
        self._products = points @ points.T
        self._distances = squared_distances
        self._k = n_components
        self._rounding = 16 * len(points) * np.finfo(float).eps

    def _matrix(self, p, s):
        """Return the matrix of spectrum ``h``, half its derivative in the square roots' products, and ``s p``."""
        shift = self._products @ p
        centred = self._products - shift[:, None] - shift + p @ shift + s / 2
        pull, root = s @ p, np.sqrt(p)
        matrix = np.outer(root, root) * centred
        matrix.flat[:: len(p) + 1] -= pull / 2
        return matrix, centred, pull

    def _root(self, gain, p, s):
        """Return the least ``eps`` that the inequality allows, and its two coefficients with their slopes in ``p``."""
        linear, square = (np.abs(s) * self._distances) @ p, self._distances**2 @ p
        c1, c2 = p @ linear, p @ square
        root = np.sqrt(c1 * c1 + c2 * gain)
        bound = gain / (c1 + root)
        return bound, 2 * root, 2 * bound**2 * square + 4 * bound * linear

    def slopes(self, p, s):
        """Return the bound, but for rounding, and its slopes in the logarithms of ``p`` and in ``s``.

        Parameters
        ----------
        p : ndarray of shape (n,)
            Weights of the points, positive, of sum 1.
        s : ndarray of shape (n, n)
            Signed weights of the pairs.

        Returns
        -------
        bound : float
            0 where the inequality says nothing.
        along_points : ndarray of shape (n,)
            Of sum 0.
        across : ndarray of shape (n, n)
            Slope in ``s`` of ``R``'s part of the bound, both orders of a pair together.
        price : ndarray of shape (n, n)
            What a larger ``|s|`` takes off, likewise.
        """
        matrix, centred, pull = self._matrix(p, s)
        values, vectors = np.linalg.eigh(matrix)
        values, vectors = values[-self._k :], vectors[:, -self._k :]
        trace = (np.trace(matrix) - values.sum() + pull.sum() / 2) / (self._k + 1)
        tail = (matrix * matrix).sum() - values @ values + (self._k + 1) * trace**2
        gain = 4 * tail - pull @ pull - p @ (s * s) @ p
        if not gain > 0:
            return 0.0, np.zeros_like(p), np.zeros_like(s), np.zeros_like(s)
        bound, scale, spent = self._root(gain, p, s)
        by_matrix = matrix - (vectors * values) @ vectors.T - trace * (vectors @ vectors.T)
        by_matrix.flat[:: len(p) + 1] += trace
        by_matrix *= 8
        by_pull = 4 * trace - by_matrix.diagonal() / 2 - 2 * pull
        root, both = np.sqrt(p), np.outer(p, p)
        along_points = ((by_matrix * centred) @ root) / root + s @ by_pull - 2 * (s * s) @ p - spent
        across = np.outer(root, root) * by_matrix - 4 * both * s + np.outer(by_pull, p) + np.outer(p, by_pull)
        price = 4 * bound * both * self._distances
        return bound, p * (along_points - p @ along_points) / scale, across / scale, price / scale

    def certified(self, p, s):
        """Return the bound reduced by what rounding may have added to it.

        Parameters
        ----------
        p : ndarray of shape (n,)
            Weights of the points.
        s : ndarray of shape (n, n)
            Signed weights of the pairs.

        Returns
        -------
        float
        """
        matrix, _, pull = self._matrix(p, s)
        values = np.linalg.eigvalsh(matrix)
        # The entries of both terms are weighted by square roots of p_i p_j, whose squares sum to 1.
        moved = self._rounding * (np.abs(values).max() + np.abs(self._products).max() + np.abs(s).max())
        rest = values[: -self._k]
        tail = np.square(np.maximum(np.abs(rest) - moved, 0.0)).sum()
        trace = max(abs(rest.sum() + pull.sum() / 2) - len(p) * moved, 0.0)
        gain = 4 * (tail + trace**2 / (self._k + 1)) - (1 + self._rounding) * (pull @ pull + p @ (s * s) @ p)
        return self._root(gain, p, s)[0] if gain > 0 else 0.0


def signed_pairs_bound(points, squared_distances, n_components, log_weights, max_evaluations):
    """Ascend the weights of points and pairs together, from those of points alone.

    Parameters
    ----------
    points : ndarray of shape (n, r)
        As in ``SignedPairs``.
    squared_distances : ndarray of shape (n, n)
        Likewise.
    n_components : int
        Dimension ``k`` of the images, below ``n``.
    log_weights : ndarray of shape (n,)
        Logarithms of the points' weights at the start, up to a constant.
    max_evaluations : int
        Spectra of an n x n matrix computed, at least 2.

    Returns
    -------
    float
        The bound at the weights found, reduced by a margin for rounding; at least 0.

    Notes
    -----
    The sign of a pair's weight is that of its slope at the start, where the pair would be stretched or shrunk: with it
    fixed the sizes have bounds and no kinks, and none was missed for it. It is not verified that the weights are
    optimal.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_derand.problems.signed_pairs import signed_pairs_bound
    >>> points = np.random.RandomState(0).standard_normal((12, 6))
    >>> distances = ((points[:, None] - points) ** 2).sum(axis=2)
    >>> points, distances = points / distances.max() ** 0.5, distances / distances.max()
    >>> few, many = (signed_pairs_bound(points, distances, 2, np.zeros(12), budget) for budget in (2, 50))
    >>> bool(0.25 < few < many < 0.3)
    True
    """
    n = len(points)
    bound = SignedPairs(points, squared_distances, n_components)
    first, second = np.nonzero(np.triu(squared_distances > 0, 1))
    value, _, across, _ = bound.slopes(softmax(log_weights), np.zeros((n, n)))
    sign = np.where(across < 0, -1.0, 1.0)[first, second]
    units = np.repeat([np.sqrt(n), SIZE * value], [n, len(first)])
    best = 0.0, softmax(log_weights), np.zeros((n, n))

    def negative_log(scaled):
        nonlocal best
        weighed = units * scaled
        p, s = softmax(weighed[:n]), np.zeros((n, n))
        s[first, second] = sign * weighed[n:]
        s += s.T
        value, along_points, across, price = bound.slopes(p, s)
        if not value > 0:
            return 1e3, np.zeros_like(scaled)
        best = max(best, (value, p, s), key=lambda found: found[0])
        along_pairs = sign * across[first, second] - price[first, second]
        return -np.log(value), -units * np.concatenate([along_points, along_pairs]) / value

    minimize(
        negative_log,
        np.concatenate([log_weights / np.sqrt(n), np.zeros(len(first))]),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(np.repeat([-np.inf, 0.0], [n, len(first)]), np.inf),
        options={"maxfun": max_evaluations - 2, "maxiter": max_evaluations},
    )
    return bound.certified(*best[1:])
