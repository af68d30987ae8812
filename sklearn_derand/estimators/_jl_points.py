"""The fitted points in coordinates of their own span: what a linear map can do to them, and no more."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from sklearn_derand.metrics._distortion import CANCELLATION, squared_distances, squared_norms

EPS = float(np.finfo(float).eps)

FAITHFUL = 1e-3
"""A pair so close that rounding changes its squared distance by more than this share is left out of the objective
(but not out of ``distortion_``)."""

SHORT, MOST_NUMBERS = 1e-4, 20_000_000
"""Sparse points of more columns than rows with an axis shorter than this share of the longest are made dense after all,
unless that takes more numbers: then such axes are left out."""

MOST_COLUMNS = 3000
"""Columns up to which a sample is put into the coordinates of all points, not of its own span."""

MOST_PAIRS = 200_000_000
"""Above so many pairs (20,000 points) ``max_pairs`` must be given."""


@dataclass(frozen=True)
class SpanCoordinates:
    """Points, their squared distances, and the way back from a map on the span to one on the features.

    Attributes
    ----------
    points : ndarray of shape (n, r)
        Centred points in an orthonormal basis of their span, axes by decreasing variance, in units in which the
        mean squared singular value is 1. Linear maps only see differences, so centring loses nothing.
    inverse_distances : ndarray of shape (n, n)
        One over the squared distances in the same units; 0 for pairs of (nearly) equal points.
    basis : ndarray of shape (r, d) or None
        Orthonormal rows spanning the differences; None where ``dual`` is used instead.
    dual : ndarray of shape (r, n) or None
        With ``basis = dual @ X``, for sparse ``X`` of many features, which stays sparse.
    X : {ndarray, csr}
        The data.
    unit : float
        Square of the unit of length.
    spread : ndarray of shape (r,) or None
        Of a sample: norms that the columns of ``points`` would have if all points were as many; None for their own.
    ranks : Ranks or None
        Processes over which the points are spread: ``points``, ``X`` and the rows of ``inverse_distances`` are then
        those of this rank. None where it has all.
    """

    points: np.ndarray
    inverse_distances: np.ndarray
    basis: np.ndarray | None
    dual: np.ndarray | None
    X: object
    unit: float
    spread: np.ndarray | None = None
    ranks: object = None

    @classmethod
    def of(cls, X, among=None):
        """Compute the coordinates of the rows of ``X``, dense or csr, float64, in the span of those of ``among``."""
        n, d = X.shape
        narrow = d <= n or (among is not None and d <= MOST_COLUMNS)
        if sparse.issparse(X) and narrow:  # no larger than the distances, and exact far from the origin
            X = X.toarray()
        centred = X if sparse.issparse(X) else _centred(X)
        distances = squared_distances(centred)
        basis = dual = spread = None
        if narrow:
            spanning = centred if among is None else _centred(among)
            values, vectors = spectrum(spanning.T @ spanning)
            if among is not None:
                spread = np.sqrt(values * (n / len(spanning)))
            basis = vectors.T
            points = centred @ vectors
            points -= points.mean(axis=0)
        else:
            # -1/2 J D J is the centred Gram matrix, D being free of cancellation.
            gram = distances - distances.mean(axis=0)
            gram -= gram.mean(axis=1)[:, None]
            # Sparse rows are not centred: far from the origin their distances have lost digits.
            norms = squared_norms(centred).max() if sparse.issparse(X) else 0.0
            lost = norms / max(distances.mean(), CANCELLATION * norms, np.finfo(float).tiny)
            large = sparse.issparse(X) and n * d > MOST_NUMBERS
            values, vectors = spectrum(-0.5 * gram, max(10 * EPS * lost, SHORT**2 * large))
            points = vectors * np.sqrt(values)
            dual = (vectors / np.sqrt(values)).T
            # Short axes hold rounding of the long ones, to the cube of the ratio; orthogonalised in turn they do not,
            # nor do coordinates along them.
            if sparse.issparse(X) and values.size and values[-1] < SHORT**2 * values[0]:
                centred = _centred(X)
            if not sparse.issparse(centred):
                basis, dual = linalg.qr((dual @ centred).T, mode="economic", check_finite=False)[0].T, None
                points = centred @ basis.T
        unit = np.mean(np.einsum("ij,ij->j", points, points)) if points.size else 1.0
        squares = np.einsum("ij,ij->i", points, points)
        seen = squares[:, None] + squares - 2 * points @ points.T
        counted = np.abs(seen - distances) < FAITHFUL * distances
        np.fill_diagonal(counted, False)
        inverse = np.divide(unit, distances, out=np.zeros_like(distances), where=counted)
        spread = None if spread is None else spread / np.sqrt(unit)
        return cls(points / np.sqrt(unit), inverse, basis, dual, X, float(unit), spread)

    @property
    def n_pairs(self):
        """Pairs of distinct points."""
        return int(self._over_ranks(np.count_nonzero(self.inverse_distances))) // 2

    def lengths(self):
        """Return the norms of the columns of ``points``, or those of all points for a sample of them."""
        if self.spread is not None:
            return self.spread
        return np.sqrt(self._over_ranks((self.points * self.points).sum(axis=0)))

    def _over_ranks(self, share):
        return share if self.ranks is None else self.ranks.sum(share)

    @property
    def rank(self):
        """Dimension of the span of the differences."""
        return self.points.shape[1]

    def squared_distances(self):
        """Return the squared distances in the units of ``points``, 0 where they are negligible."""
        inverse = self.inverse_distances
        return np.divide(1.0, inverse, out=np.zeros_like(inverse), where=inverse > 0)

    def to_features(self, maps):
        """Return ``maps @ basis``: a map on the span as one on the features."""
        return maps @ self.basis if self.dual is None else np.asarray((maps @ self.dual) @ self.X)

    def inside(self, rows):
        """Return rows on the features, dense or csr, as rows on the span."""
        if self.dual is None:
            return np.asarray(rows @ self.basis.T)
        products = self.X @ rows.T
        return (products.toarray() if sparse.issparse(products) else products).T @ self.dual.T

    def outside(self, rows):
        """Remove from rows on the features all that the differences can see."""
        return rows - self.to_features(self.inside(rows))


def _centred(X):
    X = X.toarray() if sparse.issparse(X) else X
    # Less the first row, equal rows are exactly 0 however far they lie from the origin.
    centred = X - X[0]
    centred -= centred.mean(axis=0)
    return centred


def spectrum(gram, least=0.0):
    """Return the eigenvalues above rounding and ``least`` times the largest, decreasing, and their eigenvectors."""
    values, vectors = linalg.eigh(gram, check_finite=False)
    kept = values > max(least, 4 * gram.shape[0] * EPS) * max(values[-1], 0.0)
    return values[kept][::-1], vectors[:, kept][:, ::-1]


def rows_within_reach(n_points, max_pairs, seed):
    """Return the rows whose pairs are looked at, and the number of their pairs.

    Parameters
    ----------
    n_points : int
        Rows of X.
    max_pairs : int or None
        Pairs that may be looked at. Where there are more, the rows are a random subset.
    seed : int
        Of the subset.

    Returns
    -------
    rows : slice or ndarray
        Into X.
    n_pairs : int
        Of these rows.

    Raises
    ------
    ValueError
        If there are too many pairs and no ``max_pairs``.
    """
    n_pairs = n_points * (n_points - 1) // 2
    if max_pairs is None and n_pairs > MOST_PAIRS:
        raise ValueError(
            f"X has {n_points} rows, which make {n_pairs:.2g} pairs, above {MOST_PAIRS:.0e}: set max_pairs to "
            f"look at the pairs of a random subset of the rows, or fit fewer rows."
        )
    if max_pairs is None or n_pairs <= max_pairs:
        return slice(None), n_pairs
    size = max(2, int((1 + np.sqrt(1 + 8 * max_pairs)) / 2))
    return np.sort(np.random.RandomState(seed).permutation(n_points)[:size]), size * (size - 1) // 2
