"""Rows as the lemma wants them: centred, isotropic, in float64; and the way back to the user's units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sklearn_derand.estimators._magnitude import check_magnitude
from sklearn_derand.estimators._memory import check_memory

if TYPE_CHECKING:
    from sklearn_derand.problems.ranks import Ranks

NEGLIGIBLE_VARIANCE = 1e-10
"""Principal variances of the correlation matrix below this are rounding (constant or duplicated columns)."""


@dataclass(frozen=True)
class StudentData:
    """Whitened rows, scaled targets and the maps back.

    ``inputs = (X - mean) @ whitening`` and ``prediction = shift + scale * network(inputs)``.

    Attributes
    ----------
    inputs : ndarray of shape (n_samples, n_features)
        Whitened rows.
    targets : ndarray of shape (n_samples, n_outputs)
        In the units in which the loss sees them.
    weights : ndarray of shape (n_samples,)
        Positive, summing to 1.
    mean : ndarray of shape (n_features,)
        Weighted mean of X.
    whitening : ndarray of shape (n_features, n_features)
        Map from centred to whitened rows; singular where X is.
    shift, scale : ndarray of shape (n_outputs,)
        Units of the prediction.
    ranks : Ranks
        Processes over which the rows are spread; inputs, targets and weights are those of this rank.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    mean: np.ndarray
    whitening: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    ranks: Ranks

    def sample(self, size: int, seed: int) -> StudentData:
        """Return this many rows of all ranks, drawn without replacement; all where there are no more.

        Parameters
        ----------
        size : int
            Rows wanted.
        seed : int
            Seed of the draw.

        Returns
        -------
        StudentData
            In the same units.
        """
        n_samples = self.n_samples()
        return self if size >= n_samples else self.own(np.random.RandomState(seed).permutation(n_samples)[:size])

    def rows(self, chosen: np.ndarray) -> StudentData:
        """Return the same data with only the chosen rows, their weights again summing to 1.

        Parameters
        ----------
        chosen : ndarray of int or bool
            Rows to keep.

        Returns
        -------
        StudentData
            In the same units.
        """
        weights = self.weights[chosen]
        weights = weights / self.ranks.sum(weights.sum())
        return replace(self, inputs=self.inputs[chosen], targets=self.targets[chosen], weights=weights)

    def own(self, chosen: np.ndarray) -> StudentData:
        """Return the data with only the chosen rows, which are numbered through all ranks."""
        return self.rows(self.ranks.own(chosen, len(self.inputs)))

    def n_samples(self) -> int:
        """Return the number of rows on all ranks."""
        return int(self.ranks.sum(len(self.inputs)))


def whitening_map(X: np.ndarray, weights: np.ndarray, ranks) -> tuple[np.ndarray, np.ndarray]:
    """Mean and whitening matrix ``diag(1/s) R^(-1/2)``, s the standard deviations and R the correlations.

    The symmetric root is a continuous function of the data, so that equal data in another order or with
    repeated rows for weights give the same coordinates, signs included, and uncorrelated columns are only
    scaled. Directions without variance map to 0.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    weights : ndarray of shape (n_samples,)
        Summing to 1.
    ranks : Ranks
        Over which the rows are spread.

    Returns
    -------
    mean : ndarray of shape (n_features,)
        Weighted mean.
    whitening : ndarray of shape (n_features, n_features)
        ``(X - mean) @ whitening`` has weighted covariance the identity, on the range of X.
    """
    mean = ranks.sum(weights @ X)
    centred = X - mean
    deviation = np.sqrt(ranks.sum(weights @ centred**2))
    constant = deviation <= 1e-10 * np.maximum(np.abs(mean), np.finfo(np.float64).tiny)
    inverse = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))
    scaled = centred * inverse
    values, vectors = np.linalg.eigh(ranks.sum((scaled.T * weights) @ scaled))
    kept = values > NEGLIGIBLE_VARIANCE * max(values[-1], 1.0)
    root = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    return mean, inverse[:, None] * root


def target_units(y: np.ndarray, weights: np.ndarray, loss, ranks) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale of the prediction: mean and standard deviation, or log mean and 1 for a log link.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_outputs)
        Targets.
    weights : ndarray of shape (n_samples,)
        Summing to 1.
    loss : str or callable
        The estimator's parameter.
    ranks : Ranks
        Over which the rows are spread.

    Returns
    -------
    shift, scale : ndarray of shape (n_outputs,)
        Units.

    Raises
    ------
    ValueError
        If y is constant, or negative for the Poisson loss.
    """
    mean = ranks.sum(weights @ y)
    deviation = np.sqrt(ranks.sum(weights @ (y - mean) ** 2))
    constant = deviation <= 1e-12 * np.abs(mean)
    if constant.all():
        raise ValueError(
            f"y is constant ({y[0].tolist()}) on the rows of positive weight: there is no index to find. "
            "Check the target, or use DummyRegressor."
        )
    if loss == "poisson":
        smallest = -ranks.max(-y.min(initial=np.inf))
        if smallest < 0:
            raise ValueError(
                f"loss='poisson' needs y >= 0 (counts or rates); the smallest y is {smallest:.6g}. "
                "Use loss='squared_error' for signed targets."
            )
        return np.log(np.maximum(mean, np.finfo(np.float64).tiny)), np.ones_like(mean)
    return mean, np.where(constant, 1.0, deviation)


def check_network_memory(hidden: tuple[int, ...], n_samples: int, n_features: int) -> None:
    """Refuse a network whose weights and activations this machine has no room for.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers.
    n_samples, n_features : int
        Shape of X.
    """
    weights = sum(below * above for below, above in zip((n_features, *hidden), hidden, strict=False))
    check_memory(
        # Each with its gradient and its product with the Hessian.
        24 * (weights + n_samples * sum(hidden)),
        f"hidden_layer_sizes={hidden}: the weights and the activations of {n_samples} rows",
        "Use narrower layers, or fewer rows.",
    )


def prepare_data(X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray, loss, ranks) -> StudentData:
    """Drop rows of weight 0, whiten X, and put y in the units of the loss.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Validated rows.
    y : ndarray of shape (n_samples, n_outputs)
        Validated targets.
    sample_weight : ndarray of shape (n_samples,)
        Non-negative, not all zero.
    loss : str or callable
        The estimator's parameter. A callable and "poisson" see targets in the user's units.
    ranks : Ranks
        Over which the rows are spread.

    Returns
    -------
    StudentData
        What the searches work on.
    """
    n_features = X.shape[1]
    check_memory(
        24 * n_features**2,
        f"X has {n_features} features: their correlations, eigenvectors and whitening map",
        "Select fewer features first, or reduce them by DerandJLEmbedding.",
    )
    kept = sample_weight > 0
    X, y = X[kept].astype(np.float64), y[kept].astype(np.float64)
    with ranks.together():
        check_magnitude(X, "X", each_column=True)
        check_magnitude(y, "y", each_column=True)
    weights = sample_weight[kept].astype(np.float64)
    weights = weights / ranks.sum(weights.sum())
    mean, whitening = whitening_map(X, weights, ranks)
    shift, scale = target_units(y, weights, loss, ranks)
    targets = y if loss == "poisson" or callable(loss) else (y - shift) / scale
    return StudentData((X - mean) @ whitening, targets, weights, mean, whitening, shift, scale, ranks)


def check_rank(n_components: int, n_samples: int, n_features: int) -> None:
    """Refuse more indices than the data have columns or rows.

    Parameters
    ----------
    n_components : int
        The estimator's parameter.
    n_samples, n_features : int
        Of the data, all ranks together.

    Raises
    ------
    ValueError
        Naming which of the two is exceeded.
    """
    if n_components > n_features:
        raise ValueError(
            f"n_components={n_components} exceeds the {n_features} features of X; "
            "ask for at most n_features indices, or use n_components='auto'."
        )
    if n_components > n_samples:
        raise ValueError(
            f"n_components={n_components} exceeds the {n_samples} rows of X; give more rows or ask for fewer indices."
        )
