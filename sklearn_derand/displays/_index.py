"""The target against each learned index, with the learned link."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

    from sklearn_derand import MultiIndexStudentRegressor


class IndexDisplay:
    """A sufficient summary plot: ``y`` against each index ``z_j = (x - mean_) @ components_[j]``.

    The line is the prediction along index ``j`` with all other indices at the training mean: for an additive link it is
    the link up to a constant, otherwise a slice of it.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    indices : ndarray of shape (n_samples, n_components)
        ``transform(X)``.
    y : ndarray of shape (n_samples,)
        Observed target.
    grid, link : ndarray of shape (n_components, n_grid)
        Values of each index and the prediction there.

    Attributes
    ----------
    scatters_, lines_ : list of matplotlib artists
        One an index.
    axes_ : ndarray of matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, *, indices: np.ndarray, y: np.ndarray, grid: np.ndarray, link: np.ndarray):
        self.indices = indices
        self.y = y
        self.grid = grid
        self.link = link

    @classmethod
    def from_estimator(
        cls,
        estimator: "MultiIndexStudentRegressor",
        X: ArrayLike,
        y: ArrayLike,
        *,
        output: int = 0,
        n_grid: int = 200,
        ax: "Axes | Sequence[Axes] | np.ndarray | None" = None,
    ) -> Self:
        """Plot data against the indices of a fitted :class:`~sklearn_derand.MultiIndexStudentRegressor`.

        Parameters
        ----------
        estimator : MultiIndexStudentRegressor
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Data to draw.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        output : int, default=0
            Which output, where there are several.
        n_grid : int, default=200
            Points of the line.
        ax : array of matplotlib Axes or None, default=None
            One an index; a new figure if ``None``.

        Returns
        -------
        IndexDisplay
        """
        check_is_fitted(estimator, "components_")
        indices = np.asarray(estimator.transform(X))
        y = np.asarray(y).reshape(len(indices), -1)[:, output]
        grid = np.linspace(indices.min(axis=0), indices.max(axis=0), n_grid).T
        link = []
        for direction, values in zip(estimator.components_, grid, strict=True):
            along = estimator.mean_ + values[:, None] * direction
            link.append(estimator.predict(_like(X, along)).reshape(n_grid, -1)[:, output])
        return cls(indices=indices, y=y, grid=grid, link=np.array(link)).plot(ax=ax)

    def plot(self, ax: "Axes | Sequence[Axes] | np.ndarray | None" = None) -> Self:
        """Draw one panel an index.

        Parameters
        ----------
        ax : array of matplotlib Axes or None, default=None
            One an index; a new figure if ``None``.

        Returns
        -------
        IndexDisplay

        Raises
        ------
        ValueError
            If ``ax`` does not hold one Axes an index.
        """
        import matplotlib.pyplot as plt

        n_components = self.indices.shape[1]
        if ax is None:
            _, ax = plt.subplots(
                1, n_components, figsize=(1.5 + 3.5 * n_components, 4), sharey=True, squeeze=False, layout="constrained"
            )
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) != n_components:
            raise ValueError(f"ax must hold one Axes an index, {n_components}; got {len(axes)}.")
        self.scatters_: list[PathCollection] = []
        self.lines_: list[Line2D] = []
        for j, panel in enumerate(axes):
            self.scatters_.append(panel.scatter(self.indices[:, j], self.y, s=6, alpha=0.4, label="data"))
            (line,) = panel.plot(
                self.grid[j], self.link[j], color="C1", label="learned link, other indices at the mean"
            )
            self.lines_.append(line)
            panel.set_xlabel(f"index {j}")
        axes[0].set_ylabel("target")
        axes[0].legend(loc="best", fontsize="small")
        self.axes_, self.figure_ = axes, axes[0].figure
        return self


def _like(X: Any, array: np.ndarray) -> ArrayLike:
    """Return ``array`` as a data frame with the columns of ``X`` where ``X`` is one, so that names are not lost."""
    return type(X)(dict(zip(X.columns, array.T, strict=True))) if hasattr(X, "columns") else array
