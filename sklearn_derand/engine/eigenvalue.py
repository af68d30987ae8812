r"""Smallest eigenvalue of a symmetric operator, with a lower bound that can be believed.

Two sources, and no third. *Dense*: a Cholesky factorisation that runs to completion (Rump, "Verification of
positive definiteness", BIT 46, 2006). *Lanczos from a random start*, with a probability of failure:

**Theorem.** ``H`` symmetric n x n, ``q1`` uniform on the sphere and independent of ``H``; ``p_0 = 1, p_1, ...`` the
orthonormal Lanczos polynomials, ``q_{j+1} = p_j(H) q1``; ``theta_k`` the least Ritz value after ``k`` products;
``w`` the ``delta``-quantile of Beta(1/2, (n-1)/2). If at some ``k``, chosen in any way, ``theta_k > x`` and
``sum_{j<=k} p_j(x)^2 >= 1/w``, claim ``lambda_min >= x``. The claim is false with probability at most ``delta``.

*Proof.* Let ``H u = lam u``, ``||u|| = 1``, ``lam < x``. Then ``u'q_{j+1} = p_j(lam) u'q1`` and Bessel's inequality
give ``(u'q1)^2 sum_j p_j(lam)^2 <= 1``. The zeros of ``p_j`` are the Ritz values of step ``j``, by interlacing all at
least ``theta_k > x``, so ``p_j(lam)^2 >= p_j(x)^2``. A false claim therefore needs ``(u'q1)^2 <= w``, an event that
does not mention ``k`` or ``x`` and has probability ``delta`` by rotation invariance. []

*Rounding.* With ``F = H Q - Q T - beta_k q_{k+1} e_k'`` and ``e = ||F|| / (theta_k - x)`` the same lines, solved for
``Q'u``, ask for ``(1 + e) / sqrt(sum_j p_j(x)^2) + e <= sqrt(w)``.

"Ritz value minus residual" is not a lower bound: a small residual places *some* eigenvalue, not the smallest.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from scipy.special import betaincinv
from torch import Generator, Tensor

DENSE_LIMIT = 64
"""Largest order at which the matrix is formed; above it a random start is cheaper."""


@dataclass(frozen=True)
class EigenvalueBound:
    """The smallest eigenvalue, from above and from below.

    Attributes
    ----------
    value : float
        Rayleigh quotient of ``vector``, recomputed: an upper bound, up to rounding.
    bound : float
        Lower bound; false with probability at most ``failure_probability``. ``-inf`` where none was reached.
    vector : Tensor of shape (n,)
        Unit vector that attains ``value``.
    method : {"dense", "lanczos"}
        Where the bound comes from.
    failure_probability : float
        0.0 for a factorisation, ``delta`` for a random start.
    n_products : int
        Matrix-vector products used.
    """

    value: float
    bound: float
    vector: Tensor
    method: str
    failure_probability: float
    n_products: int


def smallest_eigenvalue(
    product: Callable[[Tensor], Tensor],
    n: int,
    *,
    generator: Generator,
    threshold: float | None = None,
    accuracy: float = 0.0,
    failure_probability: float = 1e-6,
    max_products: int = 1000,
    dense_limit: int = DENSE_LIMIT,
    dtype: torch.dtype = torch.float64,
    device="cpu",
) -> EigenvalueBound:
    """Bound the smallest eigenvalue of a symmetric operator from both sides.

    Parameters
    ----------
    product : callable
        ``v -> H v`` for a tensor of shape (n,).
    n : int
        Order of ``H``.
    generator : torch.Generator
        Source of the random start; fresh for each call.
    threshold : float or None, default=None
        Stop as soon as ``bound >= threshold``, or ``value < threshold`` is proven and the vector is fair.
        ``None``: stop when ``value - bound <= accuracy``.
    accuracy : float, default=0.0
        Only used without ``threshold``.
    failure_probability : float, default=1e-6
        ``delta`` of the theorem above.
    max_products : int, default=1000
        Budget of the random start; without success the bound reached so far is returned.
    dense_limit : int, default=64
        Order up to which the matrix is formed, by ``n`` products.
    dtype, device
        Of the vectors.

    Returns
    -------
    EigenvalueBound

    Notes
    -----
    Symmetry of ``H`` is not verified, but its loss is measured and charged to the bound.
    """
    if n <= dense_limit:
        identity = torch.eye(n, dtype=dtype, device=device)
        return dense_smallest_eigenvalue(torch.stack([product(row) for row in identity]))
    start = torch.randn(n, generator=generator, dtype=dtype).to(device)
    process = _Lanczos(product, start / start.norm(), failure_probability)
    crossed = None
    while process.n_products < max_products and not process.exhausted:
        process.step()
        theta = process.least_ritz_value()
        if threshold is None:
            if process.n_products % 10 == 0 and theta - process.lower_bound(theta) <= accuracy:
                break
        elif theta < threshold:
            crossed = crossed or process.n_products
            if process.n_products >= crossed + max(4, crossed // 4):
                break
        elif process.certifies(threshold, theta):
            return process.result(claimed=threshold)
    return process.result()


def dense_smallest_eigenvalue(hessian: Tensor) -> EigenvalueBound:
    """Bound the smallest eigenvalue of a matrix that is symmetric up to rounding.

    Parameters
    ----------
    hessian : Tensor of shape (n, n)
        As computed; half the norm of its antisymmetric part is charged to the bound.

    Returns
    -------
    EigenvalueBound
        ``bound`` holds because the Cholesky factorisation of ``H - s I`` ran to completion (Rump 2006,
        theorem 2.3): then ``lambda_min >= s - c`` with ``c = gamma_{n+1} / (1 - gamma_{n+1}) trace(H - s I)``.
    """
    n = hessian.shape[0]
    symmetric = 0.5 * (hessian + hessian.T)
    asymmetry = torch.linalg.norm(hessian - symmetric).item()
    eigenvalues, eigenvectors = torch.linalg.eigh(symmetric)
    vector = eigenvectors[:, 0]
    value = torch.dot(vector, symmetric @ vector).item()
    eps = torch.finfo(hessian.dtype).eps
    gamma = (n + 1) * eps / (1 - (n + 1) * eps)
    scale = max(eigenvalues.abs().max().item(), torch.finfo(hessian.dtype).tiny)
    identity = torch.eye(n, dtype=hessian.dtype, device=hessian.device)
    bound = -np.inf
    for slack in (4 * n * eps * scale * 4.0**power for power in range(8)):
        shifted = symmetric - (value - slack) * identity
        if torch.linalg.cholesky_ex(shifted).info.item() == 0:
            bound = value - slack - gamma / (1 - gamma) * torch.trace(shifted).item() - asymmetry
            break
    return EigenvalueBound(value, bound, vector, "dense", 0.0, n)


class _Lanczos:
    """Lanczos with full reorthogonalisation, its departure from exact arithmetic measured as it goes."""

    def __init__(self, product, start: Tensor, failure_probability: float):
        self._product = product
        self._basis = start.new_empty((32, start.numel()))
        self._basis[0] = start
        self._alpha: list[float] = []
        self._beta: list[float] = []
        self._error_squared = 0.0
        self._delta = failure_probability
        self._sqrt_w = float(np.sqrt(betaincinv(0.5, (start.numel() - 1) / 2, failure_probability)))
        self._eps = torch.finfo(start.dtype).eps
        self._scale = 0.0
        self.n_products = 0
        self.exhausted = False

    def step(self) -> None:
        """Multiply once and extend the basis."""
        k = self.n_products
        if k + 1 == self._basis.shape[0]:
            self._basis = torch.cat([self._basis, torch.empty_like(self._basis)])
        basis = self._basis[: k + 1]
        vector = self._product(basis[k])
        self.n_products += 1
        self._scale = max(self._scale, vector.norm().item())
        coefficients = basis @ vector
        residual = vector - coefficients @ basis
        correction = basis @ residual
        residual -= correction @ basis
        coefficients += correction
        beta = residual.norm().item()
        self._alpha.append(coefficients[k].item())
        # What an exactly symmetric operator in exact arithmetic would leave at zero is the error.
        coefficients[k] = 0.0
        if k > 0:
            coefficients[k - 1] -= self._beta[k - 1]
        self._error_squared += coefficients.square().sum().item() + (8 * self._eps * self._scale) ** 2
        n = basis.shape[1]
        if beta <= 16 * self._eps * self._scale or k + 1 == n:
            self._error_squared += beta**2
            self.exhausted = True
            beta = 0.0
        else:
            self._basis[k + 1] = residual / beta
        self._beta.append(beta)

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

    def _sufficient(self, points: np.ndarray, theta: float) -> np.ndarray:
        """Tell for each ``x < theta`` whether the theorem, with rounding, certifies ``lambda_min >= x``."""
        previous, current = np.zeros_like(points), np.ones_like(points)
        total = np.ones_like(points)
        for j, (alpha, beta) in enumerate(zip(self._alpha, self._beta, strict=True)):
            if beta == 0.0:
                total[:] = np.inf
                break
            before = self._beta[j - 1] if j else 0.0
            growing = total < 1e200  # far beyond 1/w: stop before the recurrence overflows
            following = np.where(growing, ((points - alpha) * current - before * previous) / beta, current)
            previous, current = current, following
            total += np.where(growing, current**2, 0.0)
        error = np.sqrt(self._error_squared) / (theta - points)
        return (1 + error) / np.sqrt(total) + error <= self._sqrt_w

    def certifies(self, threshold: float, theta: float) -> bool:
        """Tell whether ``lambda_min >= threshold`` may be claimed now."""
        return theta > threshold and bool(self._sufficient(np.array([threshold]), theta)[0])

    def lower_bound(self, theta: float) -> float:
        """Return the largest ``x`` that may be claimed now, to a relative 1e-3 of its distance from ``theta``."""
        widest = 4 * self._scale + abs(theta) + np.finfo(float).tiny
        distances = np.geomspace(widest * 1e-14, widest, 256)
        sufficient = self._sufficient(theta - distances, theta)
        if not sufficient.any():
            return -np.inf
        # Claims hold for every x below a claimed one; the first success in this order is the tightest.
        first = int(np.argmax(sufficient))
        if first > 0:
            distances = np.geomspace(distances[first - 1], distances[first], 128)
            first = int(np.argmax(self._sufficient(theta - distances, theta)))
        return float(theta - distances[first])

    def result(self, claimed: float = -np.inf) -> EigenvalueBound:
        """Return both bounds; the upper one from a product of its own."""
        theta = self.least_ritz_value()
        if self.n_products == 1:
            weights = np.ones(1)
        else:
            _, vectors = eigh_tridiagonal(self._alpha, self._beta[:-1], select="i", select_range=(0, 0))
            weights = vectors[:, 0]
        basis = self._basis[: self.n_products]
        vector = torch.as_tensor(weights, dtype=basis.dtype).to(basis.device) @ basis
        vector /= vector.norm()
        value = torch.dot(vector, self._product(vector)).item()
        self.n_products += 1
        bound = max(claimed, self.lower_bound(theta))
        return EigenvalueBound(value, min(bound, value), vector, "lanczos", self._delta, self.n_products)
