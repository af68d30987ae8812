"""Average gradient outer product ``sum_i w_i J(x_i)' J(x_i)`` of a student, J its Jacobian.

Its range is the span of the directions in which the student varies (Samarov 1993; Radhakrishnan et al.
2024 give it this name). Where the gradient leaves the top ``k`` eigenvectors is the number of indices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sklearn_derand.problems.student_network import StudentNetwork


def average_gradient_outer_product(network: StudentNetwork, params: Tensor, inputs: Tensor, weights: Tensor) -> Tensor:
    """Evaluate ``W_1' (sum_i w_i sum_o s_io s_io') W_1``, s_io the gradient of output o in ``z_i = W_1 x_i + b_1``.

    Costs as much as one gradient of the risk for each output: the Jacobian in the inputs is never formed.

    Parameters
    ----------
    network : StudentNetwork
        The student.
    params : Tensor of shape (network.n_params,)
        Its parameters.
    inputs : Tensor of shape (n_samples, n_inputs)
        Rows to average over.
    weights : Tensor of shape (n_samples,)
        Weights of the rows, summing to 1.

    Returns
    -------
    Tensor of shape (n_inputs, n_inputs)
        Symmetric and positive semi-definite.

    Examples
    --------
    >>> network = StudentNetwork(n_inputs=2, n_outputs=1, hidden_layer_sizes=(3,), rank=1)
    >>> params = network.initial(torch.Generator().manual_seed(0))
    >>> x = torch.ones(4, 2, dtype=torch.float64)
    >>> agop = average_gradient_outer_product(network, params, x, torch.full((4,), 0.25, dtype=torch.float64))
    >>> int(torch.linalg.matrix_rank(agop))
    1
    """
    params = params.detach()
    preactivations = network.preactivations(params, inputs).requires_grad_()
    prediction = network.readout(params, preactivations)
    width = preactivations.shape[1]
    spread = torch.zeros(width, width, dtype=params.dtype, device=params.device)
    for output in prediction.unbind(dim=1):
        (slope,) = torch.autograd.grad(output.sum(), preactivations, retain_graph=True)
        spread += slope.T @ (weights[:, None] * slope)
    first = network.first_layer(params)
    agop = first.T @ spread @ first
    return 0.5 * (agop + agop.T)
