"""Lanczos from a random start, with the bound that its polynomials prove; the theorem is in ``eigenvalue``."""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from scipy.special import betaincinv
from torch import Tensor

from sklearn_derand.engine.tensors import norm


class Lanczos:
    """The Lanczos process with full reorthogonalisation, its departure from exact arithmetic measured as it goes.

    Parameters
    ----------
    product : callable
        ``v -> H v``.
    start : Tensor of shape (n,)
        Unit vector, uniform on the sphere and independent of ``H``.
    failure_probability : float
        ``delta`` of the theorem.
    threshold : float or None
        A value of which ``crossed`` and ``certifies`` speak, followed at a cost of O(1) a step.
    """

    def __init__(
        self,
        product: Callable[[Tensor], Tensor],
        start: Tensor,
        failure_probability: float,
        threshold: float | None = None,
    ):
        self._product = product
        self._basis = start.new_empty((32, start.numel()))
        self._basis[0] = start
        self._alpha: list[float] = []
        self._beta: list[float] = []
        self._error_squared = 0.0
        self._sqrt_w = float(np.sqrt(betaincinv(0.5, (start.numel() - 1) / 2, failure_probability)))
        self._eps = torch.finfo(start.dtype).eps
        self._scale = 0.0
        self._threshold = threshold
        self._pivot = self._square = self._total = 1.0
        self._claimed = False
        self.n_products = 0
        self.exhausted = False
        self.crossed = 0
        self.hopeless = False

    def step(self) -> None:
        """Multiply once and extend the basis."""
        k = self.n_products
        if k + 1 == self._basis.shape[0]:
            self._basis = torch.cat([self._basis, torch.empty_like(self._basis)])
        basis = self._basis[: k + 1]
        vector = self._product(basis[k])
        self.n_products += 1
        alpha = torch.dot(basis[k], vector).item()
        vector = torch.sub(vector, basis[k], alpha=alpha)
        if k:
            vector.sub_(basis[k - 1], alpha=self._beta[k - 1])
        # What is left along the basis is rounding, so that one pass against all of it is enough.
        coefficients = basis @ vector
        vector = torch.addmv(vector, basis.T, coefficients, alpha=-1)
        beta = norm(vector)
        excess = coefficients.cpu().numpy()
        self._scale = max(self._scale, math.hypot(alpha, beta, self._beta[k - 1] if k else 0.0))  # ||H q_k||
        self._alpha.append(alpha + excess[k])
        self._charge(excess[:k], k, basis.shape[1])
        if beta <= 16 * self._eps * self._scale or k + 1 == basis.shape[1]:
            self._error_squared += beta**2
            self.exhausted = True
            beta = 0.0
        else:
            torch.div(vector, beta, out=self._basis[k + 1])
        self._beta.append(beta)
        if self._threshold is not None:
            self._follow(self._threshold)

    def _charge(self, excess: np.ndarray, k: int, n: int) -> None:
        """Add to ``||F||^2`` what this product departs from a symmetric operator in exact arithmetic."""
        squared = float(excess @ excess)
        # The error of a product is seen only in the span of the basis; its share outside is taken to be alike.
        outside = squared * (n - k) / k if k >= 8 else 0.0
        self._error_squared += squared + max(outside, (8 * self._eps * self._scale) ** 2)

    def _follow(self, threshold: float) -> None:
        """Advance the pivots of ``T - x I`` (all positive: theta > x) and the sum of ``p_j(x)^2`` by one step."""
        k = self.n_products - 1
        before = self._beta[k - 1] if k else 0.0
        self._pivot = self._alpha[k] - threshold - before**2 / self._pivot
        if not self._pivot > 0:
            self.crossed = self.crossed or self.n_products
            self._pivot = self._eps * max(self._scale, np.finfo(float).tiny)
        elif self._beta[k] == 0.0:
            self._total = np.inf
        elif self._total < 1e200:
            # Where H is all but zero the ratio overflows when squared; a smaller one claims less.
            growth = self._pivot / self._beta[k] if self._pivot < 1e50 * self._beta[k] else 1e50
            self._square *= growth**2
            self._total += self._square

    def certifies(self) -> bool:
        """Tell whether ``lambda_min >= threshold`` may be claimed now; sets ``hopeless`` where rounding forbids it."""
        if self._threshold is None or self.crossed or self._total * self._sqrt_w**2 < 1:
            return False
        theta = self.least_ritz_value()
        error = float(self._error(theta, self._threshold))
        self.hopeless = not error < self._sqrt_w  # it never falls, for ||F|| grows and theta decreases
        self._claimed = not self.hopeless and (1 + error) / np.sqrt(self._total) + error <= self._sqrt_w
        return self._claimed

    @property
    def rounding_floor(self) -> float:
        """Distance below the least Ritz value within which rounding forbids a claim."""
        return float(np.sqrt(self._error_squared) / self._sqrt_w)

    def _error(self, theta: float, points: float | np.ndarray) -> np.ndarray:
        """Return ``||F|| / (theta - x)``; infinite where ``x`` is not below ``theta``."""
        gap = np.maximum(theta - points, 0.0)
        with np.errstate(divide="ignore"):
            return np.sqrt(self._error_squared) / gap

    def least_ritz_value(self) -> float:
        """Return ``theta_k``."""
        if self.n_products == 1:
            return self._alpha[0]
        return float(
            eigh_tridiagonal(
                self._alpha,
                self._beta[:-1],
                eigvals_only=True,
                select="i",
                select_range=(0, 0),
                check_finite=False,
            )[0]
        )

    def ritz_pairs(self) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], Tensor]]:
        """Return all Ritz values, their residual norms, and a function that makes the vectors asked for, as rows."""
        values, weights = np.array(self._alpha), np.ones((1, 1))
        if len(self._alpha) > 1:
            values, weights = eigh_tridiagonal(self._alpha, self._beta[:-1], check_finite=False)
        basis = self._basis[: len(self._alpha)]

        def vectors(chosen: np.ndarray) -> Tensor:
            return torch.as_tensor(weights[:, chosen].T.copy(), dtype=basis.dtype).to(basis.device) @ basis

        weights *= np.where(weights[0] < 0, -1.0, 1.0)  # signs of the random start
        return values, self._beta[-1] * np.abs(weights[-1]), vectors

    def _sufficient(self, points: np.ndarray, theta: float) -> np.ndarray:
        """Tell for each ``x < theta`` whether the theorem, with rounding, certifies ``lambda_min >= x``."""
        pivots, square = np.ones_like(points), np.ones_like(points)
        total = np.ones_like(points)
        for j, (alpha, beta) in enumerate(zip(self._alpha, self._beta, strict=True)):
            pivots = alpha - points - (self._beta[j - 1] ** 2 / pivots if j else 0.0)
            if beta == 0.0:
                total[:] = np.inf
                break
            square = np.where(total < 1e200, square * (pivots / beta) ** 2, 0.0)
            total += square
        error = self._error(theta, points)
        return (1 + error) / np.sqrt(total) + error <= self._sqrt_w

    def lower_bound(self, theta: float) -> float:
        """Return the largest ``x`` that may be claimed now, to a relative 1e-3 of its distance from ``theta``."""
        widest = 4 * self._scale + abs(theta) + np.finfo(float).tiny
        distances = np.geomspace(widest * 1e-14, widest, 64)
        sufficient = self._sufficient(theta - distances, theta)
        if not sufficient.any():
            return -np.inf
        # Claims hold for every x below a claimed one; the first success in this order is the tightest.
        first = int(np.argmax(sufficient))
        if first > 0:
            distances = np.geomspace(distances[first - 1], distances[first], 512)
            first = int(np.argmax(self._sufficient(theta - distances, theta)))
        return float(theta - distances[first])

    def result(self) -> tuple[float, float, Tensor]:
        """Return the upper bound, by a product of its own, the lower bound, and the unit vector of the upper one."""
        theta = self.least_ritz_value()
        weights = np.ones(1)
        if self.n_products > 1:
            _, vectors = eigh_tridiagonal(self._alpha, self._beta[:-1], select="i", select_range=(0, 0))
            weights = vectors[:, 0]
        basis = self._basis[: self.n_products]
        vector = torch.as_tensor(weights, dtype=basis.dtype).to(basis.device) @ basis
        vector /= vector.norm()
        value = torch.dot(vector, self._product(vector)).item()
        self.n_products += 1
        bound = self.lower_bound(theta)
        if self._threshold is not None and self._claimed:
            bound = max(self._threshold, bound)
        return value, min(bound, value), vector
