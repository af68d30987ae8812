"""Where a linear map should put what its fitted points do not show: where their images have little energy.

Let ``u`` be the difference of two new points, of length 1, with a share ``a`` of its squared length outside the span of
the fitted ones. What a map ``M`` does inside is settled by the fit; outside it is random, with columns of covariance
``Q``, ``tr Q = 1``. Then ``|M u|^2 = |A|^2 + 2 A.B + |B|^2``, where ``B`` has covariance ``a Q``, and given ``A``

    Var |M u|^2 = 4 a A^T Q A + 2 a^2 tr Q^2.

The first term is by far the larger where ``a`` is small: with ``Q = I / k``, ``a = .1`` and ``k = 128``, .053^2 against
.012^2. Both are least for a ``Q`` that shares its eigenvectors with the mean of ``A A^T``, and with eigenvalues that
fill the energies ``p_i`` of the images up to a level, as power fills the channels of least noise (water filling: Cover
and Thomas, *Elements of Information Theory*, section 9.4). Of new points as of fitted ones, images have most of their
energy in few directions; what was not seen before goes into the others.

Within the span, a map is fitted to what the points differ by, and new points differ from their nearest neighbours by
more of what no map has been fitted to. :func:`beyond_neighbours` makes up for some of that.
"""

import numpy as np

from sklearn_derand.metrics._distortion import squared_distances


def water_filling(energies, weight):
    """Return the ``q`` on the simplex that minimises ``sum_i q_i^2 + 2 weight energies_i q_i``.

    Parameters
    ----------
    energies : ndarray of shape (k,)
        Nonnegative.
    weight : float
        Nonnegative, finite.

    Returns
    -------
    ndarray of shape (k,)
        ``max(0, level - weight energies)``.
    """
    # Only differences count; above the least one a level of 1 is not lost beside a large weight.
    heights = weight * (energies - energies.min())
    lowest = np.sort(heights)
    levels = (1 + np.cumsum(lowest)) / np.arange(1, lowest.size + 1)
    level = levels[np.flatnonzero(levels > lowest)[-1]]
    return np.maximum(level - heights, 0.0)


def cross_weight(shares):
    """Return ``E[a (1 - a)] / E[a^2]``, what a unit of cross term weighs beside one of ``tr Q^2``.

    Parameters
    ----------
    shares : ndarray
        ``a`` of many differences, in [0, 1].

    Returns
    -------
    float or None
        None where nothing lies outside.
    """
    square = np.mean(shares**2) if shares.size else 0.0
    return float(np.mean(shares * (1 - shares)) / square) if square > 0 else None


def spread_out(images, inverse_distances, weight):
    """Return the matrix that gives random columns of covariance ``I / k`` the covariance ``Q``.

    Parameters
    ----------
    images : ndarray of shape (n, k)
        Of the fitted points. Only differences count, but far from the origin they have lost digits.
    inverse_distances : ndarray of shape (n, n)
        Symmetric; 0 for pairs that do not count.
    weight : float or None
        What ``cross_weight`` returned.

    Returns
    -------
    ndarray of shape (k, k)
        Symmetric; the identity where there is nothing to go by.
    """
    k = images.shape[1]
    if weight is None:
        return np.eye(k)
    # The sum over all pairs of the outer products of differences of images, over squared distances.
    energy = images.T @ (inverse_distances.sum(axis=1)[:, None] * images - inverse_distances @ images)
    total = np.trace(energy)
    if not total > 0:
        return np.eye(k)
    values, vectors = np.linalg.eigh(energy / total)
    return (vectors * np.sqrt(k * water_filling(np.maximum(values, 0.0), weight))) @ vectors.T


def beyond_neighbours(coordinates, share):
    """Move every point away from its nearest neighbour, by a share of their distance.

    Parameters
    ----------
    coordinates : SpanCoordinates
        Of the fitted points.
    share : float
        In [0, 1/2): squared distances then change by factors in ``[(1 - 2 share)^2, (1 + 2 share)^2]``, since no pair
        is closer than either point is to its nearest neighbour.

    Returns
    -------
    points : ndarray of shape (n, r)
        ``x_i + share (x_i - x_j)``; points that equal all others stay.
    inverse_distances : ndarray of shape (n, n)
        Of these; 0 for pairs that do not count.
    """
    points, counted = coordinates.points, coordinates.inverse_distances > 0
    nearest = coordinates.inverse_distances.argmax(axis=1)
    moved = points + share * (points - points[nearest])
    distances = squared_distances(moved)
    return moved, np.divide(1.0, distances, out=np.zeros_like(distances), where=counted)
