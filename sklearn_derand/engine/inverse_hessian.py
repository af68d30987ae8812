"""A limited-memory inverse Hessian whose initial matrix may hold a part of the spectrum exactly."""

import math
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
    """``H = H0 + [S, H0 Y] M [S, H0 Y]'`` of the last ``memory`` pairs, ``H0 = A + gamma B``.

    ``A`` and ``B`` are the two parts of ``Deflation.split``; without one ``A = 0`` and ``B = I``. ``gamma`` is
    the usual ``s'By / y'By`` of the last pair. The pairs are a window of rows that moves through arrays of twice its
    length: one contiguous matrix without a copy for each step. What is of order ``memory`` is numpy's, whose calls
    cost a fraction of torch's.
    """

    def __init__(self, memory: int, like: Tensor):
        self._memory = memory
        self._steps = like.new_empty((2 * memory, like.numel()))  # S
        self._changes = torch.empty_like(self._steps)  # Y
        self._window = slice(0, 0)
        self.deflate(None)

    @property
    def is_identity(self) -> bool:
        """Whether nothing has been learnt."""
        return self._window.stop == 0 and self._deflation is None

    def clear(self) -> None:
        """Forget everything."""
        self._window = slice(0, 0)
        self.deflate(None)

    def deflate(self, found: Deflation | None) -> None:
        """Take in another initial matrix, and keep the pairs."""
        self._deflation, window = found, self._window
        self._images = [self._changes]  # B Y, and with a deflation A Y
        if found is not None:
            self._images = [torch.empty_like(self._changes) for _ in range(2)]
            self._images[1][window], self._images[0][window] = found.split(self._changes[window])
        self._grams = np.zeros((1 + len(self._images), 2 * self._memory, 2 * self._memory))  # S'Y, Y'BY, Y'AY
        for gram, block in zip(self._grams, [self._steps, *self._images], strict=True):
            gram[window, window] = (block[window] @ self._changes[window].T).cpu().numpy()

    def append(self, step: Tensor, change: Tensor) -> None:
        """Take in a pair, unless its curvature is not safely positive."""
        curvature = torch.dot(step, change).item()
        lengths = torch.dot(step, step).item() * torch.dot(change, change).item()
        if not curvature > 1e-14 * math.sqrt(lengths):
            return
        if self._window.stop == len(self._steps):
            self._rewind()
        slot = self._window.stop
        self._window = slice(max(0, slot + 1 - self._memory), slot + 1)
        self._steps[slot], self._changes[slot] = step, change
        if self._deflation is not None:
            self._images[1][slot], self._images[0][slot] = self._deflation.split(change)
        for gram, products in zip(self._grams, self._times(change), strict=True):
            gram[self._window, slot] = products
        self._grams[1:, slot, self._window] = self._grams[1:, self._window, slot]

    def _rewind(self) -> None:
        """Move all pairs but the oldest to the beginning of the arrays."""
        kept, old = slice(0, self._memory - 1), slice(self._memory + 1, 2 * self._memory)
        for block in {id(block): block for block in (self._steps, self._changes, *self._images)}.values():
            block[kept] = block[old]
        self._grams[:, kept, kept] = self._grams[:, old, old]
        self._window = kept

    def _times(self, vector: Tensor) -> list[np.ndarray]:
        """Return the products of all blocks with a vector."""
        return [torch.mv(block[self._window], vector).cpu().numpy() for block in (self._steps, *self._images)]

    def direction(self, gradient: Tensor) -> Tensor:
        """Return ``-H gradient``."""
        settled, rest = (None, gradient) if self._deflation is None else self._deflation.split(gradient)
        gamma, weights = 1.0, list[np.ndarray]()
        if self._window.stop:
            gamma, weights = self._weights(gradient)
        elif self._deflation is not None:
            gamma = 1.0 / self._deflation.curvatures.min().item()
        out = torch.mul(rest, -gamma)
        if settled is not None:
            out -= settled
        for block, weight in zip((self._steps, *self._images), weights, strict=False):
            out.addmv_(block[self._window].T, torch.as_tensor(weight, device=out.device), alpha=-1)
        return out

    def _weights(self, gradient: Tensor) -> tuple[float, list[np.ndarray]]:
        """Return ``gamma`` and the weights of each block in ``(H - H0) gradient``."""
        window = self._window
        upper, *grams = self._grams[:, window, window]  # LAPACK reads the upper triangle alone
        products, *images = self._times(gradient)
        gamma = self._scaling(window.stop - 1)
        inner = dtrtrs(upper, products)[0]
        middle = upper.diagonal() * inner
        weights = []
        for scale, gram, image in zip((gamma, 1.0), grams, images, strict=False):  # B and A in H0
            middle += scale * (gram @ inner - image)
            weights.append(-scale * inner)
        return gamma, [dtrtrs(upper, middle, trans=1)[0], *weights]

    def _scaling(self, last: int) -> float:
        below = self._grams[1, last, last]
        if not below > 0:
            return 1.0
        if self._deflation is None:
            return self._grams[0, last, last] / below
        # B is a projection and may take away most of the pair.
        gamma = torch.dot(self._steps[last], self._images[0][last]).item() / below
        return gamma if gamma > 0 else 1.0 / self._deflation.curvatures.min().item()
