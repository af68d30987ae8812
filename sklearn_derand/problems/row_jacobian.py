"""Jacobian of a student in its parameters, row by row, and the derivatives of the loss in its prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sklearn_derand.problems.student_network import ACTIVATIONS, StudentNetwork

if TYPE_CHECKING:
    from sklearn_derand.problems.multi_index import StudentRisk


def row_jacobian(network: StudentNetwork, params: Tensor, inputs: Tensor, *, directions: Tensor | None = None):
    """Evaluate the prediction and its derivatives in every parameter.

    Parameters
    ----------
    network : StudentNetwork
        The student.
    params : Tensor of shape (network.n_params,)
        The point.
    inputs : Tensor of shape (n_samples, n_inputs)
        Rows.
    directions : Tensor of shape (n_directions, n_inputs) or None
        Of a first layer without a rank only the columns along these, in place of all width times n_inputs.

    Returns
    -------
    prediction : Tensor of shape (n_samples, n_outputs)
        What the network returns.
    jacobian : Tensor of shape (n_outputs, n_samples, n_columns)
        In the layout of the parameters, the first layer as its product with the directions.
    slopes : Tensor of shape (n_outputs, n_samples, width)
        Derivatives in the first preactivations.
    """
    indices, layers, biases = network.unpack(params.detach())
    activation = ACTIVATIONS[network.activation]
    with torch.enable_grad():
        preactivations = [network.preactivations(params.detach(), inputs).requires_grad_()]
        for weight, bias in zip(layers[1:], biases[1:], strict=True):
            preactivations.append(torch.addmm(bias, activation(preactivations[-1]), weight.T))
        prediction = preactivations[-1]
        slopes = [
            torch.autograd.grad(output.sum(), preactivations, retain_graph=True) for output in prediction.unbind(dim=1)
        ]
    spanned = directions if indices is None else indices
    projected = inputs if spanned is None else inputs @ spanned.T
    arrived = [projected, *(activation(p.detach()) for p in preactivations[:-1])]
    jacobian = []
    for per_layer in slopes:
        blocks = [] if indices is None else [_outer(per_layer[0] @ layers[0], inputs)]
        blocks.append(_outer(per_layer[0], projected))
        if network.train_bias:
            blocks.append(per_layer[0])
        for slope, values in zip(per_layer[1:], arrived[1:], strict=True):
            blocks += [_outer(slope, values), slope]
        jacobian.append(torch.cat(blocks, dim=1))
    return prediction.detach(), torch.stack(jacobian), torch.stack([per_layer[0] for per_layer in slopes])


def loss_derivatives(risk: StudentRisk, prediction: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """First and second derivative of each row's loss in the raw prediction.

    Parameters
    ----------
    risk : StudentRisk
        Holds the loss and its units.
    prediction : Tensor of shape (n_samples, n_outputs)
        What the network returns.
    targets : Tensor of shape (n_samples, n_outputs)
        Of the same rows.

    Returns
    -------
    slope, curvature : Tensor of shape (n_samples, n_outputs)
        Row sums of the second derivative where the loss couples outputs.
    """
    part = replace(risk, targets=targets)
    with torch.enable_grad():
        prediction = prediction.detach().requires_grad_()
        (slope,) = torch.autograd.grad(part.losses(prediction).sum(), prediction, create_graph=True)
        if not slope.requires_grad:
            return slope.detach(), torch.zeros_like(slope)
        (curvature,) = torch.autograd.grad(slope.sum(), prediction)
    return slope.detach(), curvature


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return (left[:, :, None] * right[:, None, :]).flatten(1)
