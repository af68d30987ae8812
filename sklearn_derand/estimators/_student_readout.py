"""What a fit publishes of a student: its layers as in ``MLPRegressor``, and its directions with their gauge fixed."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np
from scipy.special import expit, ndtr

from sklearn_derand.estimators._student_data import StudentData
from sklearn_derand.estimators._student_ensemble import as_one
from sklearn_derand.estimators._student_search import orthonormal_rows

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "gelu": lambda x: x * ndtr(x),
    "softplus": lambda x: np.logaddexp(0.0, x),
    "silu": lambda x: x * expit(x),
    "smooth_relu": lambda x: np.logaddexp(0.0, 10.0 * x) / 10.0,
}


def hidden_widths(hidden_layer_sizes) -> tuple[int, ...]:
    """Return the parameter of that name as a tuple of integers.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        The estimator's parameter.

    Returns
    -------
    tuple of int
        At least one width.

    Raises
    ------
    ValueError
        If there is none, or one is not a positive integer.
    """
    sizes = (hidden_layer_sizes,) if isinstance(hidden_layer_sizes, Integral) else tuple(hidden_layer_sizes)
    if not sizes or any(not isinstance(size, Integral) or size < 1 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} must hold at least one width, each an integer >= 1; "
            "for a linear model use Ridge."
        )
    return tuple(int(size) for size in sizes)


def layers_of(network, params) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights as (inputs, outputs) and biases of a network, the first layer multiplied out.

    Parameters
    ----------
    network : StudentNetwork
        The student.
    params : Tensor
        Its parameters.

    Returns
    -------
    coefs, intercepts : list of ndarray
        Copies.
    """
    _, weights, biases = network.unpack(params)
    weights = [network.first_layer(params), *weights[1:]]
    return [w.T.cpu().numpy().copy() for w in weights], [b.cpu().numpy().copy() for b in biases]


def packed(network, coefs, intercepts):
    """Return the parameters of a network without a rank: the inverse of `layers_of`.

    Parameters
    ----------
    network : StudentNetwork
        The student.
    coefs, intercepts : list of ndarray
        Its layers, perhaps of another shape.

    Returns
    -------
    Tensor or None
        None where the shapes are not the network's.
    """
    from sklearn_derand.engine.tensors import as_tensor

    sizes = [network.n_inputs, *network.hidden_layer_sizes, network.n_outputs]
    if [coef.shape for coef in coefs] != list(zip(sizes[:-1], sizes[1:], strict=True)):
        return None
    return network.pack(None, [as_tensor(coef.T) for coef in coefs], [as_tensor(bias) for bias in intercepts])


def user_layers(data: StudentData, risk, params) -> dict[str, object]:
    """Return what ``predict`` needs, weights and biases in the units of the user's inputs and targets.

    Parameters
    ----------
    data : StudentData
        Holds the units.
    risk : StudentRisk
        Of the student.
    params : Tensor
        Its parameters, in whitened coordinates.

    Returns
    -------
    dict
        ``coefs_`` and ``intercepts_`` as in ``MLPRegressor``, and ``activation_``.
    """
    risk, params = as_one(risk, params)
    coefs, intercepts = layers_of(risk.network, params)
    coefs[0] = data.whitening @ coefs[0]
    intercepts[0] = intercepts[0] - data.mean @ coefs[0]
    coefs[-1], intercepts[-1] = coefs[-1] * data.scale, intercepts[-1] * data.scale + data.shift
    return {"coefs_": coefs, "intercepts_": intercepts, "activation_": risk.network.activation}


def network_output(X: np.ndarray, coefs, intercepts, activation: str) -> np.ndarray:
    """Evaluate a student as it was published.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Inputs.
    coefs, intercepts : list of ndarray
        Its layers.
    activation : str
        A key of ``ACTIVATIONS``.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs)
        The output of the last layer.
    """
    hidden = X @ coefs[0] + intercepts[0]
    for coef, intercept in zip(coefs[1:], intercepts[1:], strict=True):
        hidden = ACTIVATIONS[activation](hidden) @ coef + intercept
    return hidden


def fix_gauge(span: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Orthonormal rows of a span: the eigenvectors within it of a gradient outer product, signs fixed.

    Parameters
    ----------
    span : ndarray of shape (k, n_features)
        Rows.
    gradient : ndarray of shape (n_features, n_features)
        Average gradient outer product in the same coordinates.

    Returns
    -------
    ndarray of shape (k, n_features)
        By decreasing share of the gradient, the largest entry of each row positive.
    """
    basis = orthonormal_rows(span)
    values, vectors = np.linalg.eigh(basis @ gradient @ basis.T)
    rows = vectors[:, np.argsort(-values, kind="stable")].T @ basis
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    return rows * np.where(largest < 0, -1.0, 1.0)[:, None]
