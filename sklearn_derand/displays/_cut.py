"""A cut, seen in its weight matrix or its points."""

from typing import TYPE_CHECKING, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_derand.metrics import cut_value

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from sklearn_derand import DerandMaxCut


class CutDisplay:
    """A bipartition: points coloured by side, or the weight matrix with one side put before the other.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All parameters are stored as
    attributes.

    Parameters
    ----------
    labels : ndarray of shape (n_nodes,)
        Side of each node, 0 or 1.
    weights : {ndarray, sparse matrix} of shape (n_nodes, n_nodes) or None, default=None
        Drawn in blocks: what is cut lies off the diagonal.
    points : ndarray of shape (n_nodes, 2) or None, default=None
        Drawn instead of the weights where given.
    value, upper_bound : float or None, default=None
        Shown in the title.

    Attributes
    ----------
    artist_ : matplotlib artist
        The image, the markers of a sparse matrix, or the scatter of points.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(
        self,
        *,
        labels: ArrayLike,
        weights: ArrayLike | sp.sparray | None = None,
        points: np.ndarray | None = None,
        value: float | None = None,
        upper_bound: float | None = None,
    ):
        self.labels = labels
        self.weights = weights
        self.points = points
        self.value = value
        self.upper_bound = upper_bound

    @classmethod
    def from_estimator(cls, estimator: "DerandMaxCut", X: ArrayLike | sp.sparray, *, ax: "Axes | None" = None) -> Self:
        """Plot the cut of a fitted :class:`~sklearn_derand.DerandMaxCut`.

        Parameters
        ----------
        estimator : DerandMaxCut
            Fitted on ``X``.
        X : array-like or sparse matrix
            What it was fitted on: weights for ``metric="precomputed"``, else points, of which the first two
            columns are drawn.
        ax : matplotlib Axes or None, default=None
            Where to draw; a new figure if ``None``.

        Returns
        -------
        CutDisplay
        """
        check_is_fitted(estimator, "labels_")
        told = {"value": estimator.cut_value_, "upper_bound": estimator.upper_bound_}
        if estimator.metric == "precomputed":
            return cls(labels=estimator.labels_, weights=X, **told).plot(ax=ax)
        points = sp.csr_array(X).toarray() if sp.issparse(X) else np.asarray(X, dtype=float)
        points = np.column_stack([points, np.zeros(len(points))])[:, :2]
        return cls(labels=estimator.labels_, points=points, **told).plot(ax=ax)

    @classmethod
    def from_predictions(cls, weights: ArrayLike | sp.sparray, labels: ArrayLike, *, ax: "Axes | None" = None) -> Self:
        """Plot a cut that comes from anywhere.

        Parameters
        ----------
        weights : {array-like, sparse matrix} of shape (n_nodes, n_nodes)
            Symmetric edge weights.
        labels : array-like of shape (n_nodes,)
            Two different values.
        ax : matplotlib Axes or None, default=None
            Where to draw; a new figure if ``None``.

        Returns
        -------
        CutDisplay
        """
        return cls(labels=np.asarray(labels), weights=weights, value=cut_value(weights, labels)).plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the cut.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; a new figure if ``None``.

        Returns
        -------
        CutDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        if self.points is not None:
            self.artist_: Artist = ax.scatter(
                self.points[:, 0], self.points[:, 1], c=np.asarray(self.labels), cmap="coolwarm", s=20
            )
            ax.set(xlabel="feature 0", ylabel="feature 1")
        else:
            self.artist_ = self._draw_blocks(ax)
        title = "" if self.value is None else f"cut {self.value:g}"
        if self.upper_bound is not None:
            title += f", no cut above {self.upper_bound:.6g}"
        ax.set_title(title)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_blocks(self, ax: "Axes") -> "Artist":
        order = np.argsort(self.labels, kind="stable")
        border = int(np.sum(np.asarray(self.labels) == np.asarray(self.labels)[order[0]])) - 0.5
        if sp.issparse(self.weights):
            blocks = sp.csr_array(self.weights)[order][:, order]
            artist = ax.spy(blocks, markersize=max(0.2, 60 / len(order)), color="0.3")
        else:
            weights = np.asarray(self.weights, dtype=float)
            largest = np.abs(weights).max() or 1.0
            artist = ax.imshow(weights[np.ix_(order, order)], cmap="coolwarm", vmin=-largest, vmax=largest)
        ax.axhline(border, color="k", linewidth=0.8)
        ax.axvline(border, color="k", linewidth=0.8)
        ax.set(xlabel="nodes, by side", ylabel="nodes, by side")
        return artist
