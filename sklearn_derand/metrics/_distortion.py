"""How far an embedding moves squared distances: over all pairs, in float64, by blocks of rows."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import check_array, check_consistent_length

Matrix: TypeAlias = np.ndarray | sparse.csr_array

BLOCK = 4_000_000
"""Pairs in one block."""

CANCELLATION = 1e-6
"""Share of ``|x|^2 + |y|^2`` below which a squared distance is recomputed from the difference ``x - y``."""


def distortions(X: ArrayLike | sparse.sparray, Z: ArrayLike) -> np.ndarray:
    """Relative change of every pairwise squared distance: ``|z_i - z_j|^2 / |x_i - x_j|^2 - 1``.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The points.
    Z : array-like of shape (n_samples, n_components)
        Their images.

    Returns
    -------
    changes : ndarray of shape (n_samples * (n_samples - 1) / 2,)
        In the order of ``scipy.spatial.distance.pdist``. For a pair of equal points: 0 where the images are equal up
        to the rounding of ``Z``, ``inf`` where they are not.

    See Also
    --------
    max_distortion : The largest absolute value, without the memory.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_derand.metrics import distortions
    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> distortions(X, X[:, :1]).round(12) + 0.0
    array([ 0. , -1. , -0.8])
    """
    X, Z = _checked(X, Z)
    n = X.shape[0]
    out = np.empty(n * (n - 1) // 2)
    for start, block in _blocks(X, Z):
        for i, row in enumerate(block, start):
            out[i * (2 * n - i - 1) // 2 :][: n - 1 - i] = row[i + 1 - start :]
    return out


def max_distortion(X: ArrayLike | sparse.sparray, Z: ArrayLike) -> float:
    """Largest ``| |z_i - z_j|^2 / |x_i - x_j|^2 - 1 |`` over all pairs.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The points.
    Z : array-like of shape (n_samples, n_components)
        Their images.

    Returns
    -------
    distortion : float
        As ``eps`` of ``johnson_lindenstrauss_min_dim`` means it; 0 where there is no pair, ``inf`` where equal
        points have different images.

    Notes
    -----
    Works by blocks of rows in ``O(n^2 d)`` time and a fixed amount of memory beside the input.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_derand.metrics import max_distortion
    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> max_distortion(X, 1.1 * X) < 0.2101
    True
    """
    X, Z = _checked(X, Z)
    return _largest(X, Z)


def max_distortion_of_map(X: Matrix, Z: np.ndarray, components: np.ndarray) -> float:
    """Return ``max_distortion`` of ``Z = X @ components.T``, whose rounding is that of the products.

    Parameters
    ----------
    X : {ndarray, csr} of shape (n_samples, n_features)
        The points.
    Z : ndarray of shape (n_samples, n_components)
        Their images: far from the origin shorter than the products that they sum.
    components : ndarray of shape (n_components, n_features)
        The map.

    Returns
    -------
    float
    """
    products = squared_norms(X.astype(np.float64)) * float(np.square(components, dtype=np.float64).sum())
    X, Z = _checked(X, Z)
    return _largest(X, Z, products)


def squared_distances(X: Matrix, rows: slice = slice(None), squares: np.ndarray | None = None) -> np.ndarray:
    """Squared distances from some rows of ``X`` to all, small ones free of cancellation.

    Parameters
    ----------
    X : {ndarray, csr} of shape (n_samples, n_features)
        In float64.
    rows : slice, default=slice(None)
        With explicit start and stop unless it is everything.
    squares : ndarray of shape (n_samples,) or None, default=None
        Squared norms, if they are known.

    Returns
    -------
    ndarray of shape (n_rows, n_samples)
    """
    squares = squared_norms(X) if squares is None else squares
    return cross_distances(X[rows], X, squares[rows], squares)


def cross_distances(left: Matrix, right: Matrix, left_squares: np.ndarray, right_squares: np.ndarray) -> np.ndarray:
    """Squared distances from each row of one matrix to each row of another, small ones free of cancellation.

    Parameters
    ----------
    left, right : {ndarray, csr} of shape (n_left, n_features), (n_right, n_features)
        In float64.
    left_squares, right_squares : ndarray of shape (n_left,), (n_right,)
        Their squared norms.

    Returns
    -------
    ndarray of shape (n_left, n_right)
    """
    products = left @ right.T
    out = products if isinstance(products, np.ndarray) else products.toarray()
    out *= -2
    out += left_squares[:, None]
    out += right_squares
    near_i, near_j = np.nonzero(out < CANCELLATION * (left_squares[:, None] + right_squares))
    for part in np.array_split(np.arange(near_i.size), 1 + near_i.size * left.shape[1] // BLOCK):
        difference = left[near_i[part]] - right[near_j[part]]
        out[near_i[part], near_j[part]] = squared_norms(difference)
    return out


def relative_changes(before: np.ndarray, after: np.ndarray, negligible: np.ndarray) -> np.ndarray:
    """Change of squared distances relative to those before.

    Parameters
    ----------
    before, after : ndarray of shape (m, n)
        Squared distances.
    negligible : ndarray of shape (m, n)
        Squared distances of images that are rounding: a product's rows may separate the images of equal points.

    Returns
    -------
    ndarray of shape (m, n)
        For equal points 0 where the images are equal, ``inf`` where they are not.
    """
    equal = before == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        change = after / before - 1
    change[equal] = np.where(after[equal] <= negligible[equal], 0.0, np.inf)
    return change


def squared_norms(X: Matrix) -> np.ndarray:
    """Return the squared norm of each row of a dense or csr matrix."""
    if isinstance(X, np.ndarray):
        return np.einsum("ij,ij->i", X, X)
    return np.asarray(X.multiply(X).sum(axis=1)).ravel()


def negligible(left_squares: np.ndarray, right_squares: np.ndarray, epsilon: float) -> np.ndarray:
    """Return the squared distances below which images are equal up to rounding, given their squared norms."""
    return (32 * epsilon) ** 2 * (left_squares[:, None] + right_squares)


def _checked(X: ArrayLike | sparse.sparray, Z: ArrayLike) -> tuple[Matrix, tuple[np.ndarray, float]]:
    X = check_array(X, accept_sparse="csr", dtype=np.float64, input_name="X")
    precision = getattr(Z, "dtype", np.dtype(np.float64))
    Z = check_array(Z, dtype=np.float64, input_name="Z")
    check_consistent_length(X, Z)
    if not sparse.issparse(X):
        X = X - X.mean(axis=0)
    epsilon = np.finfo(precision if precision in (np.float32, np.float16) else np.float64).eps
    return X, (Z, float(epsilon))


def _largest(X: Matrix, images: tuple[np.ndarray, float], products: np.ndarray | None = None) -> float:
    return max((float(np.abs(block).max()) for _, block in _blocks(X, images, products)), default=0.0)


def _blocks(
    X: Matrix, images: tuple[np.ndarray, float], products: np.ndarray | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield ``(start, changes)`` for blocks of rows against the points from the first of them on; 0 on the diagonal."""
    Z, epsilon = images
    n = X.shape[0]
    squares, image_squares = squared_norms(X), squared_norms(Z)
    rounded = image_squares if products is None else products
    step = max(1, BLOCK // n)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        before = cross_distances(X[rows], X[start:], squares[rows], squares[start:])
        after = cross_distances(Z[rows], Z[start:], image_squares[rows], image_squares[start:])
        yield start, relative_changes(before, after, negligible(rounded[rows], rounded[start:], epsilon))
