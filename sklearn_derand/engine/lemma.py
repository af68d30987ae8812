"""What a second-order stationary point says of the noise: the derandomisation lemma, a posteriori.

For ``f(W, b) = E[g(W x + b)] + lam ||W||^2``, ``x`` standard normal, Stein's lemma gives ``df/dW = (H_b + 2 lam I) W``
with ``H_b`` the Hessian in ``b``. So ``||W|| <= ||df/dW|| / (2 lam + lambda_min(H_b))`` wherever the denominator is
positive (Lemma 3.1 of arXiv 2510.19382 without its constant K).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from sklearn_derand.engine.eigenvalue import smallest_eigenvalue


@dataclass(frozen=True)
class NoiseBlocks:
    """Where the lemma's ``W`` and ``b`` are among the parameters.

    Attributes
    ----------
    weights, biases : Tensor of int64
        Positions of ``W`` and of ``b`` in ``params``.
    penalty : float
        ``lam``, the coefficient of ``||W||^2``.
    """

    weights: Tensor
    biases: Tensor
    penalty: float


@runtime_checkable
class HasNoiseBlocks(Protocol):
    """An objective of the lemma's form in the coordinates themselves."""

    def noise_blocks(self) -> NoiseBlocks:
        """Return the positions of ``W`` and ``b``, and ``lam``."""
        ...


def noise_bound(
    blocks: NoiseBlocks,
    gradient: Tensor,
    product: Callable[[Tensor], Tensor],
    generator: Generator,
    failure_probability: float,
) -> tuple[float, float]:
    """Return the lemma's bound of ``||W||_F`` at a point, and the probability that it is false.

    Parameters
    ----------
    blocks : NoiseBlocks
        Positions and penalty.
    gradient : Tensor of shape (n,)
        At the point.
    product : callable
        ``v -> H v`` at the point.
    generator : torch.Generator
        Source of the random start.
    failure_probability : float
        Allowed to a Lanczos bound of ``lambda_min(H_b)``.

    Returns
    -------
    bound : float
        ``inf`` where the denominator is not known to be positive.
    failure_probability : float
        0.0 where the block is small enough for a factorisation.
    """

    def on_biases(vector: Tensor) -> Tensor:
        whole = torch.zeros_like(gradient)
        whole[blocks.biases] = vector
        return product(whole)[blocks.biases]

    least = smallest_eigenvalue(
        on_biases, blocks.biases.numel(), generator=generator, threshold=-blocks.penalty,
        failure_probability=failure_probability, dtype=gradient.dtype, device=gradient.device,
    )  # fmt: skip
    denominator = 2 * blocks.penalty + least.bound
    if not denominator > 0:
        return float("inf"), least.failure_probability
    return gradient[blocks.weights].norm().item() / denominator, least.failure_probability
