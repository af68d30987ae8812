"""How a fit came down: value, gradient norm and noise at each accepted point."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    from sklearn_derand.engine import Certificate


class DescentDisplay:
    """The descent of a fit, on a logarithmic scale, shaded where the certificate holds.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    history : dict of str to ndarray of shape (n_points,)
        ``value``, ``gradient_norm`` and, where it is known, ``noise``.
    certificate : Certificate
        Of the last point.
    estimator_name : str or None, default=None
        Shown in the title.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        One line a quantity.
    bound_ : matplotlib Line2D
        Marks how negative the curvature of the last point may be, beside the line of ``curvature_tol``; empty where the
        bound is positive or not known.
    shade_ : matplotlib artist or None
        The stretch of accepted points, up to the certified one, whose gradient norm is within ``tol``.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_derand import DerandJLEmbedding
    >>> from sklearn_derand.displays import DescentDisplay
    >>> embedding = DerandJLEmbedding(n_components=8, random_state=0).fit(load_digits().data[:50])
    >>> display = DescentDisplay.from_estimator(embedding)
    """

    def __init__(
        self, *, history: dict[str, np.ndarray], certificate: "Certificate", estimator_name: str | None = None
    ):
        self.history = history
        self.certificate = certificate
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, ax: "Axes | None" = None, line_kwargs: dict[str, Any] | None = None
    ) -> Self:
        """Plot the ``history_`` and ``certificate_`` of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator of this package
            With ``history_`` and ``certificate_``.
        ax : matplotlib Axes or None, default=None
            Where to draw; a new figure if ``None``.
        line_kwargs : dict or None, default=None
            Passed to every line.

        Returns
        -------
        DescentDisplay
        """
        check_is_fitted(estimator, ["history_", "certificate_"])
        display = cls(
            history=estimator.history_,
            certificate=estimator.certificate_,
            estimator_name=type(estimator).__name__,
        )
        return display.plot(ax=ax, line_kwargs=line_kwargs)

    def plot(self, ax: "Axes | None" = None, *, line_kwargs: dict[str, Any] | None = None) -> Self:
        """Draw the descent.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; a new figure if ``None``.
        line_kwargs : dict or None, default=None
            Passed to every line.

        Returns
        -------
        DescentDisplay
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        steps = np.arange(len(self.history["value"]))
        series = {"value above its end": self.history["value"] - self.history["value"][-1]}
        series["gradient norm"] = self.history["gradient_norm"]
        if "noise" in self.history:
            series["noise"] = self.history["noise"]
        self.lines_ = {}
        for label, numbers in series.items():
            positive = np.where(numbers > 0, numbers, np.nan)  # a logarithm has no zero: the line ends there
            (self.lines_[label],) = ax.plot(steps, positive, label=label, **(line_kwargs or {}))
        ax.axhline(self.certificate.tol, color="0.5", linestyle=":", label=f"tol = {self.certificate.tol:.0e}")
        self.bound_ = self._draw_bound(ax, steps)
        self.shade_ = self._shade(ax, steps)
        ax.set(yscale="log", xlabel="accepted step", ylabel="value, gradient norm, noise, curvature")
        name = f"{self.estimator_name}: " if self.estimator_name else ""
        verdict = "certified" if self.certificate.holds else "not certified"
        ax.set_title(f"{name}{verdict}, smallest curvature >= {self.certificate.min_eigenvalue_bound:.1e}")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_bound(self, ax: "Axes", steps: np.ndarray) -> "Line2D":
        """Draw how negative the curvature may be, which is nothing where its lower bound is positive."""
        allowed = self.certificate.curvature_tol
        ax.axhline(allowed, color="0.5", linestyle="--", label=f"curvature_tol = {allowed:.0e}")
        negative = -self.certificate.min_eigenvalue_bound
        shown = 0 < negative < np.inf
        place, label = ([steps[-1]], [negative]) if shown else ([], []), "negative curvature, at most"
        (marker,) = ax.plot(*place, "v", color="C3", label=label if shown else "_nolegend_")
        return marker

    def _shade(self, ax: "Axes", steps: np.ndarray) -> "Rectangle | None":
        if not self.certificate.holds:
            return None
        within = self.history["gradient_norm"] <= self.certificate.tol
        first = len(within) - int(np.argmin(within[::-1])) if not within.all() else 0
        first = min(first, len(within) - 1)
        return ax.axvspan(first - 0.5, steps[-1] + 0.5, color="C2", alpha=0.15, label="certified")
