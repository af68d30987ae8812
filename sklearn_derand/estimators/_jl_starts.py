"""Starts of the recipes for new points: random rows, principal axes, and what lies between."""

import numpy as np
from scipy import linalg

AXES = (0.0, 0.5, 1.0)
"""Share of the components that start along principal axes, each with a random image of all other directions added."""

HALF_AXES = AXES.index(0.5)
"""Of the starts, the one with half of the components along axes."""

FRAME_STEPS = 10
"""Of the alternating projections: rows are then orthogonal to 1e-12 at 64 x 5,000, to 1e-3 at 10 x 30."""


def random_rows(k, d, seed, *, even):
    """Draw the random part of each start: scaled orthogonal rows, the same for all splits.

    Parameters
    ----------
    k, d : int
        Rows and columns. Of more rows than columns the last are 0.
    seed : int
        Of the draws.
    even : bool
        Whether all columns are to be equally long.

    Returns
    -------
    list of ndarray of shape (k, d)
        One for each share of principal axes.
    """
    random = np.random.RandomState(seed)
    drawn = [np.zeros((k, d)) for _ in AXES]
    for rows in drawn:
        basis = linalg.qr(random.standard_normal((d, min(k, d))), mode="economic")[0].T
        rows[: len(basis)] = (_tight_frame(basis) if even else basis) * np.sqrt(d / k)
    return drawn


def starts(coordinates, drawn):
    """Yield maps on the span and outside: random rows, with more and more principal axes, and the axes alone."""
    k, d = drawn[0].shape
    for share, rows in zip(AXES, drawn, strict=True):
        maps = coordinates.inside(rows)
        outside = rows - coordinates.to_features(maps)
        n_axes = min(round(share * k), coordinates.rank)
        # The sign of an axis is arbitrary; tied to the random rows it is the same in all splits, and so is the map.
        maps[:, :n_axes] = np.eye(k, n_axes) * np.where(maps.diagonal()[:n_axes] < 0, -1.0, 1.0)
        yield maps, outside
    yield np.eye(k, coordinates.rank), np.zeros((k, d))


def _tight_frame(rows):
    """Turn orthonormal rows into nearly orthogonal ones whose columns are all equally long."""
    # A random map with columns of length 1 moves the squared length of u, of length 1, by a variance of
    # 2 / k (1 - sum_j u_j^4), one with Gaussian columns by 2 / k: the difference of two documents of few words, the
    # worst pair, gains most. With orthogonal rows as well it is a unit-norm tight frame (Benedetto and Fickus 2003),
    # found here by alternating projections (Tropp, Dhillon, Heath and Strohmer 2005).
    for _ in range(FRAME_STEPS):
        values, vectors = linalg.eigh(rows @ rows.T)
        rows = (vectors / np.sqrt(values)) @ (vectors.T @ rows)
        rows = rows * np.sqrt(len(rows) / rows.shape[1]) / np.linalg.norm(rows, axis=0)
    return rows
