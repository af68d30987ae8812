"""Histogram of squared-distance ratios of an embedding, beside a random projection of the same size."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.random_projection import GaussianRandomProjection
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class DistortionDisplay:
    """How an embedding changes squared distances: a histogram of ``||z_i - z_j||^2 / ||x_i - x_j||^2``.

    It is recommended to use :meth:`from_estimator` or :meth:`from_embeddings`. All parameters are stored as
    attributes. Pairs of equal points have no ratio and are left out.

    Parameters
    ----------
    ratios : dict of str to ndarray of shape (n_pairs,)
        One curve a name.
    eps : float or None, default=None
        Half the width of the band around 1 that is drawn: a distortion.

    Attributes
    ----------
    patches_ : dict of str to list of matplotlib artists
        One filled outline a name.
    band_ : matplotlib artist or None
        The band ``[1 - eps, 1 + eps]``.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_derand import DerandJLEmbedding
    >>> from sklearn_derand.displays import DistortionDisplay
    >>> X = load_digits().data[:50]
    >>> embedding = DerandJLEmbedding(n_components=8, random_state=0).fit(X)
    >>> display = DistortionDisplay.from_estimator(embedding, X, random_state=1)
    """

    def __init__(self, *, ratios: dict[str, np.ndarray], eps: float | None = None):
        self.ratios = ratios
        self.eps = eps

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike | sp.sparray,
        *,
        compare: bool = True,
        max_pairs: int = 200_000,
        random_state: int | np.random.RandomState | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Plot the ratios of a fitted embedding on given points.

        Parameters
        ----------
        estimator : fitted transformer with ``components_``
            :class:`~sklearn_derand.DerandJLEmbedding`, or any linear map.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Points: those fitted, or new ones.
        compare : bool, default=True
            Also draw one :class:`~sklearn.random_projection.GaussianRandomProjection` of the same size.
        max_pairs : int, default=200000
            Above it, as many pairs are drawn at random.
        random_state : int, RandomState instance or None, default=None
            Draws the pairs and the random projection.
        ax : matplotlib Axes or None, default=None
            Where to draw; a new figure if ``None``.

        Returns
        -------
        DistortionDisplay
        """
        check_is_fitted(estimator, "components_")
        random_state = check_random_state(random_state)
        embeddings = {type(estimator).__name__: np.asarray(estimator.transform(X))}
        if compare:
            n_components = len(estimator.components_)
            peer = GaussianRandomProjection(n_components, random_state=random_state).fit(X)
            embeddings[type(peer).__name__] = peer.transform(X)
        # The band is what the fit certified for the points it saw.
        eps = getattr(estimator, "distortion_", None)
        return cls(ratios=_ratios(X, embeddings, max_pairs, random_state), eps=eps).plot(ax=ax)

    @classmethod
    def from_embeddings(
        cls,
        X: ArrayLike | sp.sparray,
        embeddings: dict[str, ArrayLike],
        *,
        eps: float | None = None,
        max_pairs: int = 200_000,
        random_state: int | np.random.RandomState | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Plot the ratios of embeddings that come from anywhere.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Points.
        embeddings : dict of str to array-like of shape (n_samples, n_components)
            Their images, by name.
        eps : float or None, default=None
            Half the width of the band drawn.
        max_pairs : int, default=200000
            Above it, as many pairs are drawn at random.
        random_state : int, RandomState instance or None, default=None
            Draws the pairs.
        ax : matplotlib Axes or None, default=None
            Where to draw; a new figure if ``None``.

        Returns
        -------
        DistortionDisplay
        """
        images = {name: np.asarray(image, dtype=float) for name, image in embeddings.items()}
        ratios = _ratios(X, images, max_pairs, check_random_state(random_state))
        return cls(ratios=ratios, eps=eps).plot(ax=ax)

    def plot(self, ax: "Axes | None" = None, *, bins: int = 100) -> Self:
        """Draw the histograms.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; a new figure if ``None``.
        bins : int, default=100
            Bins over the range of all curves.

        Returns
        -------
        DistortionDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        edges = np.histogram_bin_edges(np.concatenate(list(self.ratios.values())), bins=bins)
        self.patches_: dict[str, Any] = {}
        for name, ratios in self.ratios.items():
            worst = np.abs(ratios - 1).max()
            _, _, patches = ax.hist(
                ratios,
                bins=edges.tolist(),
                density=True,
                histtype="stepfilled",
                alpha=0.5,
                label=f"{name}: worst {worst:.3g}",
            )
            self.patches_[name] = patches
        self.band_ = None
        if self.eps is not None:
            label = f"1 ± {self.eps:.3g}"
            self.band_ = ax.axvspan(1 - self.eps, 1 + self.eps, color="0.5", alpha=0.2, zorder=0, label=label)
        ax.axvline(1.0, color="k", linewidth=0.8)
        ax.set(xlabel="squared distance after / before", ylabel="density of pairs")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _ratios(
    X: ArrayLike | sp.sparray, embeddings: dict[str, np.ndarray], max_pairs: int, random_state: np.random.RandomState
) -> dict[str, np.ndarray]:
    X = sp.csr_array(X) if sp.issparse(X) else np.asarray(X, dtype=float)
    n = X.shape[0]
    if n * (n - 1) // 2 <= max_pairs:
        left, right = np.triu_indices(n, k=1)
    else:
        left = random_state.randint(n, size=max_pairs)
        right = (left + random_state.randint(1, n, size=max_pairs)) % n
    before = _squared_distances(X, left, right)
    distinct = before > 0
    return {
        name: _squared_distances(image, left, right)[distinct] / before[distinct] for name, image in embeddings.items()
    }


def _squared_distances(
    X: np.ndarray | sp.csr_array, left: np.ndarray, right: np.ndarray, block: int = 20_000
) -> np.ndarray:
    """Subtract first, so that near pairs keep their digits; in blocks, so that memory stays bounded."""
    parts = []
    for start in range(0, len(left), block):
        difference = X[left[start : start + block]] - X[right[start : start + block]]
        squared = difference.multiply(difference) if sp.issparse(X) else difference**2
        parts.append(np.asarray(squared.sum(axis=1), dtype=float).ravel())
    return np.concatenate(parts) if parts else np.empty(0)
