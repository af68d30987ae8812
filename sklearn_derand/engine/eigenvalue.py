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
from torch import Generator, Tensor

from sklearn_derand.engine.lanczos import Lanczos

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
    mixture : Tensor of shape (n,)
        Unit vector in the span of all directions of negative curvature found, each by the root of its curvature;
        ``vector`` where none was found.
    mixture_value : float
        Its Rayleigh quotient.
    method : {"dense", "lanczos"}
        Where the bound comes from.
    failure_probability : float
        0.0 for a factorisation, ``delta`` for a random start.
    n_products : int
        Matrix-vector products used.
    rounding_floor : float
        A bound closer to ``value`` than this is out of reach of this precision.
    """

    value: float
    bound: float
    vector: Tensor
    mixture: Tensor
    mixture_value: float
    method: str
    failure_probability: float
    n_products: int
    rounding_floor: float


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
    device: str | torch.device = "cpu",
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
        columns = torch.stack([product(row) for row in identity])
        return dense_smallest_eigenvalue(columns, _inaccuracy(product, columns))
    start = torch.randn(n, generator=generator, dtype=dtype).to(device)
    process = Lanczos(product, start / start.norm(), failure_probability, threshold)
    last = max_products
    while process.n_products < last and not process.exhausted:
        process.step()
        if threshold is None:
            theta = process.least_ritz_value() if process.n_products % 10 == 0 else np.inf
            if np.isfinite(theta) and theta - process.lower_bound(theta) <= accuracy:
                break
        elif process.crossed:  # a few products more make a better direction
            last = min(last, process.crossed + max(4, process.crossed // 4))
        elif process.certifies() or process.hopeless:
            break
    value, bound, vector = process.result()
    values, _, vectors = process.ritz_pairs()
    mixture, mixture_value = _mix(values, vectors, vector, value)
    return EigenvalueBound(
        value, bound, vector, mixture, mixture_value, "lanczos", failure_probability, process.n_products,
        process.rounding_floor,
    )  # fmt: skip


def _inaccuracy(product: Callable[[Tensor], Tensor], columns: Tensor) -> float:
    """Estimate the norm of what the columns miss, from a vector that mixes them: products may be of less precision."""
    n = len(columns)
    probe = torch.cos(torch.arange(n, dtype=columns.dtype, device=columns.device) ** 2)
    probe /= probe.norm()
    departure = (product(probe) - probe @ columns).norm().item()
    rounding = 4 * n * torch.finfo(columns.dtype).eps * torch.linalg.norm(columns).item()
    return n**0.5 * max(0.0, departure - rounding)


def dense_smallest_eigenvalue(hessian: Tensor, inaccuracy: float = 0.0) -> EigenvalueBound:
    """Bound the smallest eigenvalue of a matrix that is symmetric up to rounding.

    Parameters
    ----------
    hessian : Tensor of shape (n, n)
        As computed; half the norm of its antisymmetric part is charged to the bound.
    inaccuracy : float, default=0.0
        Norm of what its entries may miss, charged as well.

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
            bound = value - slack - gamma / (1 - gamma) * torch.trace(shifted).item() - asymmetry - inaccuracy
            break
    values = eigenvalues.cpu().numpy()
    mixture, mixture_value = _mix(values, lambda chosen: eigenvectors.T[torch.as_tensor(chosen)], vector, value)
    return EigenvalueBound(value, bound, vector, mixture, mixture_value, "dense", 0.0, n, value - bound)


def _mix(
    values: np.ndarray, vectors: Callable[[np.ndarray], Tensor], least: Tensor, value: float
) -> tuple[Tensor, float]:
    """Return the mixture of all directions whose curvature is at least a tenth of the most negative, and its own."""
    negative = np.flatnonzero(values < 0.1 * min(value, 0.0))
    if value >= 0 or len(negative) < 2:
        return least, value
    curvatures = -values[negative]
    weights = torch.as_tensor(np.sqrt(curvatures / curvatures.sum())).to(least)
    return weights @ vectors(negative), -float((curvatures**2).sum() / curvatures.sum())
