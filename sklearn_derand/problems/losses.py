"""Smooth losses of one row, ``l(prediction, target)``, each with unit curvature where it is least.

``squared_error``, ``pseudo_huber`` and ``log_cosh`` all behave as ``r**2 / 2`` for a small residual
``r``; ``poisson`` is the negative log-likelihood of a Poisson count whose log mean is the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Half the squared residual, summed over outputs.

    Parameters
    ----------
    prediction, target : Tensor of shape (n_samples, n_outputs)
        What the network says and what was seen.

    Returns
    -------
    Tensor of shape (n_samples,)
        Loss of each row.
    """
    return 0.5 * (prediction - target).square().sum(dim=1)


def pseudo_huber(prediction: Tensor, target: Tensor) -> Tensor:
    """Charbonnier's ``sqrt(1 + r**2) - 1``: quadratic near 0, linear far away.

    Parameters
    ----------
    prediction, target : Tensor of shape (n_samples, n_outputs)
        What the network says and what was seen.

    Returns
    -------
    Tensor of shape (n_samples,)
        Loss of each row.
    """
    return ((1.0 + (prediction - target).square()).sqrt() - 1.0).sum(dim=1)


def log_cosh(prediction: Tensor, target: Tensor) -> Tensor:
    """``log cosh r``, written so that no exponential overflows.

    Parameters
    ----------
    prediction, target : Tensor of shape (n_samples, n_outputs)
        What the network says and what was seen.

    Returns
    -------
    Tensor of shape (n_samples,)
        Loss of each row.
    """
    residual = prediction - target
    return (residual + torch.nn.functional.softplus(-2.0 * residual) - math.log(2.0)).sum(dim=1)


def poisson(prediction: Tensor, target: Tensor) -> Tensor:
    """``exp(p) - t p``: the Poisson negative log-likelihood with a log link, up to a constant.

    Parameters
    ----------
    prediction : Tensor of shape (n_samples, n_outputs)
        Log of the mean.
    target : Tensor of shape (n_samples, n_outputs)
        Counts, or any non-negative numbers.

    Returns
    -------
    Tensor of shape (n_samples,)
        Loss of each row.
    """
    return (prediction.exp() - target * prediction).sum(dim=1)


LOSSES: dict[str, Loss] = {
    "squared_error": squared_error,
    "pseudo_huber": pseudo_huber,
    "log_cosh": log_cosh,
    "poisson": poisson,
}
