"""A limited-memory inverse Hessian whose initial matrix may hold a part of the spectrum exactly."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg.lapack import dtrtrs
from torch import Tensor

from sklearn_derand.engine.lanczos import Lanczos

CONVERGED = 0.3
"""A Ritz pair is used if its residual is below this share of ``|theta|``."""
WORTH = 3.0
"""Least ``sqrt(|theta_1| / |theta_k+1|)``, the factor by which steps should fall, at which deflation is used."""


@dataclass(frozen=True)
class Deflation:
    """Orthonormal rows ``V`` and positive ``curvatures``; the rest of the space is left to a scalar."""

    vectors: Tensor
    curvatures: Tensor

    def split(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``V' diag(1 / curvatures) V x`` and ``x - V'V x``; rows where ``x`` is a matrix of them."""
        coefficients = vector @ self.vectors.T
        both = torch.stack([coefficients / self.curvatures, coefficients]) @ self.vectors
        return both[0], vector - both[1]


def deflation(product: Callable[[Tensor], Tensor], gradient: Tensor, n_products: int) -> Deflation | None:
    """Return the converged extreme eigenpairs of a Lanczos process from the gradient, if they are worth having.

    Parameters
    ----------
    product : callable
        ``v -> H v``.
    gradient : Tensor of shape (n,)
        Not zero; the start.
    n_products : int
        Products spent.

    Returns
    -------
    Deflation or None
        ``|theta|`` stands for the curvature: directions of negative curvature are left, not approached.
    """
    process = Lanczos(product, gradient / gradient.norm(), failure_probability=0.5)
    while process.n_products < min(n_products, gradient.numel()) and not process.exhausted:
        process.step()
    values, residuals, vectors = process.ritz_pairs()
    order = np.argsort(-np.abs(values))
    unsettled = np.flatnonzero(residuals[order] > CONVERGED * np.abs(values[order]))
    kept = order[: unsettled[0]] if len(unsettled) else order
    if len(kept) == 0:
        return None
    if len(unsettled) and np.sqrt(abs(values[order[0]] / values[order[unsettled[0]]])) < WORTH:
        return None
    kept = kept[np.abs(values[kept]) > 1e-12 * abs(values[order[0]])]
    return Deflation(vectors(kept), torch.as_tensor(np.abs(values[kept])).to(gradient))


class InverseHessian:
    """``H = H0 + [S, H0 Y] M [S, H0 Y]'`` in a ring of ``memory`` pairs, ``H0 = A + gamma B``.

    ``A`` and ``B`` are the two parts of ``Deflation.split``; without one ``A = 0`` and ``B = I``. ``gamma`` is
    the usual ``s'By / y'By`` of the last pair.
    """

    def __init__(self, memory: int, like: Tensor):
        self._memory = memory
        self._changes = like.new_zeros((memory, like.numel()))
        self._deflation: Deflation | None = None
        self._pairs = like.new_zeros((2, memory, like.numel()))  # S and B Y, and with a deflation A Y
        self._grams = np.zeros((2, memory, memory))  # S'Y and Y'BY, and with a deflation Y'AY
        self._order: list[int] = []

    @property
    def is_identity(self) -> bool:
        """Whether nothing has been learnt."""
        return not self._order and self._deflation is None

    def clear(self) -> None:
        """Forget everything."""
        self._order = []
        self.deflate(None)

    def deflate(self, found: Deflation | None) -> None:
        """Take in another initial matrix, and keep the pairs."""
        self._deflation = found
        blocks = [self._pairs[0], self._changes]
        if found is not None:
            settled, rest = found.split(self._changes)
            blocks = [self._pairs[0], rest, settled]
        self._pairs = torch.stack(blocks)
        self._grams = (self._pairs @ self._changes.T).cpu().numpy()

    def append(self, step: Tensor, change: Tensor) -> None:
        """Take in a pair, unless its curvature is not safely positive."""
        curvature = torch.dot(step, change).item()
        if not curvature > 1e-14 * step.norm().item() * change.norm().item():
            return
        slot = self._order.pop(0) if len(self._order) == self._memory else len(self._order)
        self._order.append(slot)
        self._changes[slot] = change
        self._pairs[0, slot] = step
        if self._deflation is None:
            self._pairs[1, slot] = change
        else:
            self._pairs[2, slot], self._pairs[1, slot] = self._deflation.split(change)
        products = self._times(change)
        self._grams[:, :, slot] = products
        self._grams[1:, slot, :] = products[1:]

    def _times(self, vector: Tensor) -> np.ndarray:
        """Return the products of all blocks with a vector, one row a block."""
        flat = self._pairs.view(-1, self._pairs.shape[2]) @ vector
        return flat.cpu().numpy().reshape(-1, self._memory)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return ``-H gradient``."""
        settled, rest = (None, gradient) if self._deflation is None else self._deflation.split(gradient)
        gamma, weights = 1.0, None
        if self._order:
            gamma, weights = self._weights(gradient)
        elif self._deflation is not None:
            gamma = 1.0 / self._deflation.curvatures.min().item()
        out = gamma * rest
        if settled is not None:
            out += settled
        if weights is not None:
            flat = torch.as_tensor(weights.reshape(-1), dtype=gradient.dtype).to(gradient.device)
            out += flat @ self._pairs.view(-1, self._pairs.shape[2])
        return -out

    def _weights(self, gradient: Tensor) -> tuple[float, np.ndarray]:
        """Return ``gamma`` and the weights of all blocks in ``(H - H0) gradient``."""
        order, last = self._order, self._order[-1]
        gamma = 1.0
        if self._grams[1, last, last] > 0:
            gamma = self._scaling(last)
        scales = np.array([gamma, 1.0])[: len(self._grams) - 1]  # of B and A in H0
        grams = self._grams[:, order][:, :, order]
        products = self._times(gradient)[:, order]
        upper = grams[0]  # of which LAPACK reads the upper triangle alone
        inner = dtrtrs(upper, products[0])[0]
        middle = upper.diagonal() * inner + scales @ (grams[1:] @ inner - products[1:])
        weights = np.zeros((len(self._grams), self._memory))
        weights[0, order] = dtrtrs(upper, middle, trans=1)[0]
        weights[1:, order] = -scales[:, None] * inner
        return gamma, weights

    def _scaling(self, last: int) -> float:
        # s'By: B is symmetric and, as a projection, may take away most of the pair.
        along = torch.dot(self._pairs[0, last], self._pairs[1, last]).item()
        gamma = along / self._grams[1, last, last]
        if gamma > 0:
            return gamma
        return 1.0 if self._deflation is None else 1.0 / self._deflation.curvatures.min().item()
