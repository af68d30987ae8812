"""A lower estimate of the Hessian's Lipschitz constant, by power iteration on the third derivative."""

import torch
from torch import Generator, Tensor

from sklearn_derand.engine.derivatives import Derivatives


def third_derivative_norm(derivatives: Derivatives, params: Tensor, generator: Generator, n_iter: int = 20) -> float:
    """Return ``|D^3 f(x)[v, v, v]|`` at the best unit ``v`` of a higher-order power iteration.

    For a symmetric form the maximum over ``[u, v, w]`` is attained at ``u = v = w`` (Banach 1938), so this is a lower
    estimate of ``K`` in ``||Hess f(x) - Hess f(y)|| <= K ||x - y||``. It is the safe side for nothing but a warning: a
    ``K`` implied by two tolerances that lies below it is refuted.

    Parameters
    ----------
    derivatives : Derivatives
        The objective.
    params : Tensor of shape (n,)
        Where.
    generator : torch.Generator
        Source of the start.
    n_iter : int, default=20
        Iterations, of three gradients each.

    Returns
    -------
    float
        0.0 for a quadratic.
    """
    second_slope = derivatives.second_slope(params)
    direction = torch.randn(params.numel(), generator=generator, dtype=params.dtype).to(params.device)
    direction /= direction.norm()
    best = 0.0
    for _ in range(n_iter):
        third = second_slope(direction)
        best = max(best, abs(torch.dot(third, direction).item()))
        norm = third.norm().item()
        if not norm > 0:
            break
        direction = third / norm
    return best
