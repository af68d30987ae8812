"""Starts of the maps for new points: random rows, some of them replaced by principal axes."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

FRAME_STEPS = 10
"""Of the alternating projections: rows are then orthogonal to 1e-12 at 64 x 5,000, to 1e-3 at 10 x 30."""


@dataclass(frozen=True)
class Recipe:
    """What a map for new points starts from.

    Attributes
    ----------
    axes : float
        Share of the components along principal axes, each with a random image of all other directions added.
    outside : float
        What the random rows are multiplied by outside the span of the fitted points.
    even : bool
        Whether all columns of the random rows are equally long.
    """

    axes: float
    outside: float
    even: bool

    @classmethod
    def of(cls, X):
        """Return what did best on images, digits and genes (dense), or on texts (sparse)."""
        return cls(axes=0.0, outside=1.0, even=True) if sparse.issparse(X) else cls(axes=0.5, outside=0.85, even=False)

    def random_rows(self, k, d, seed):
        """Draw scaled orthogonal rows, shape (k, d); of more rows than columns the last are 0."""
        rows = np.zeros((k, d))
        basis = linalg.qr(np.random.RandomState(seed).standard_normal((d, min(k, d))), mode="economic")[0].T
        rows[: len(basis)] = (_tight_frame(basis) if self.even else basis) * np.sqrt(d / k)
        return rows

    def start(self, coordinates, rows):
        """Return a map on the span, shape (k, r), and what remains of the random rows outside, shape (k, d)."""
        k = len(rows)
        maps = coordinates.inside(rows)
        outside = self.outside * (rows - coordinates.to_features(maps))
        # As many axes as the span has keep all distances.
        n_axes = coordinates.rank if coordinates.rank <= k else round(self.axes * k)
        # The sign of an axis is arbitrary; tied to the random rows it is the same in all splits, and so is the map.
        maps[:, :n_axes] = np.eye(k, n_axes) * np.where(maps.diagonal()[:n_axes] < 0, -1.0, 1.0)
        return maps, outside


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
