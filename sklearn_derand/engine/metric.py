r"""A claim about the smallest eigenvalue, had in coordinates in which the operator is close to the identity.

For an invertible ``L``, ``H + s I >= 0`` exactly when ``M = L^-1 (H + s I) L^-T >= 0`` (Sylvester's law of inertia).
Where ``L L'`` resembles ``H + s I`` the spectrum of ``M`` gathers about 1, far above 0, and the Lanczos theorem of
``eigenvalue``, which asks nothing of ``M`` but its products, claims ``lambda_min(M) >= 0`` after a few of them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_derand.engine.eigenvalue import EigenvalueBound, smallest_eigenvalue
from sklearn_derand.engine.lanczos import Lanczos
from sklearn_derand.engine.objective import Objective
from sklearn_derand.engine.tensors import norm

QUOTIENT_STEPS = 10
"""Most products spent on the estimate of the least eigenvalue, once its bound is claimed."""


class Metric(Protocol):
    """A factor ``B = L L'`` of a positive definite approximation of the Hessian; scaled steps are ``u = L' x``."""

    def scale_gradient(self, gradient: Tensor) -> Tensor:
        """Return ``L^-1 g``."""
        ...

    def scale_step(self, step: Tensor) -> Tensor:
        """Return ``L' s``."""
        ...

    def unscale_step(self, step: Tensor) -> Tensor:
        """Return ``L'^-1 u``."""
        ...


@runtime_checkable
class HasMetric(Protocol):
    """An objective that knows coordinates in which its curvature is even."""

    def metric(self, params: Tensor, shift: float) -> Metric | None:
        """Return ``L`` with ``L L'`` close to ``Hess f(params) + shift I``, or None where there is none to be had."""
        ...


def least_curvature(
    objective: Objective,
    params: Tensor,
    product: Callable[[Tensor], Tensor],
    *,
    generator: Generator,
    curvature_tol: float,
    failure_probability: float,
    max_products: int,
    dense_limit: int,
) -> EigenvalueBound:
    """Bound the smallest Hessian eigenvalue: in the objective's metric where it has one and that is enough.

    Parameters
    ----------
    objective : Objective
        With or without a method ``metric(params, shift)``.
    params : Tensor of shape (n,)
        The point.
    product : callable
        ``v -> H v`` there.
    generator : torch.Generator
        Source of the random starts.
    curvature_tol : float
        What is to be claimed is ``lambda_min(H) >= -curvature_tol``.
    failure_probability : float
        Probability that the bound returned is false, whichever way it was had.
    max_products : int
        Budget of each way.
    dense_limit : int
        Order up to which the matrix is formed.

    Returns
    -------
    EigenvalueBound
    """
    n = params.numel()
    metric = objective.metric(params, curvature_tol) if n > dense_limit and isinstance(objective, HasMetric) else None
    least, share = None, failure_probability
    if metric is not None:
        share /= 2
        # Both may begin alike, for the sum of two probabilities bounds that of either; what leaves a saddle is then the
        # same with a metric as without.
        alike = generator.clone_state()
        least = claim_in_metric(
            product, metric, n, generator=alike, shift=curvature_tol, failure_probability=share,
            max_products=max_products, dtype=params.dtype, device=params.device,
        )  # fmt: skip
    if least is None:
        least = smallest_eigenvalue(
            product, n, generator=generator, threshold=-curvature_tol, failure_probability=share,
            max_products=max_products, dense_limit=dense_limit, dtype=params.dtype, device=params.device,
        )  # fmt: skip
    return least if metric is None else replace(least, failure_probability=failure_probability)


def claim_in_metric(
    product: Callable[[Tensor], Tensor],
    metric: Metric,
    n: int,
    *,
    generator: Generator,
    shift: float,
    failure_probability: float,
    max_products: int = 1000,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
) -> EigenvalueBound | None:
    """Claim ``lambda_min(H) >= -shift``, or nothing.

    Parameters
    ----------
    product : callable
        ``v -> H v`` for a tensor of shape (n,).
    metric : Metric
        Any invertible ``L``; how well ``L L'`` resembles ``H + shift I`` decides how many products it takes, not
        whether the claim is true.
    n : int
        Order of ``H``.
    generator : torch.Generator
        Source of the random start.
    shift : float
        Positive.
    failure_probability : float
        Probability that a claim is false.
    max_products : int, default=1000
        Budget.
    dtype, device
        Of the vectors.

    Returns
    -------
    EigenvalueBound or None
        With ``bound = -shift``; None where it is not so, or rounding or the budget do not allow to say it.
    """

    def congruent(vector: Tensor) -> Tensor:
        step = metric.unscale_step(vector)
        return metric.scale_gradient(torch.add(product(step), step, alpha=shift))

    start = torch.randn(n, generator=generator, dtype=dtype).to(device)
    process = Lanczos(congruent, start / start.norm(), failure_probability, 0.0)
    while not process.certifies():
        if process.crossed or process.hopeless or process.exhausted or process.n_products >= max_products:
            return None
        process.step()
    vector, value, n_products = _descend_quotient(product, metric, _least_in_span(process, metric), accuracy=shift)
    if not value >= -shift:
        return None
    n_products += process.n_products
    return EigenvalueBound(
        value, -shift, vector, vector, value, "lanczos", failure_probability, n_products, value + shift
    )


def _least_in_span(process: Lanczos, metric: Metric) -> Tensor:
    """Return the unit vector of least curvature in the span of ``L^-T`` times the basis."""
    values, _, vectors = process.ritz_pairs()
    # Ritz vectors over the roots of their values: M is the identity there, and (H + s I) the least where ||L^-T u|| is
    # the largest.
    even = vectors(np.arange(len(values)))
    even = even / torch.as_tensor(np.sqrt(values)).to(even)[:, None]
    steps = torch.stack([metric.unscale_step(row) for row in even])
    vector = torch.linalg.eigh(steps @ steps.T).eigenvectors[:, -1] @ steps
    return vector / vector.norm()


def _descend_quotient(
    product: Callable[[Tensor], Tensor], metric: Metric, vector: Tensor, accuracy: float
) -> tuple[Tensor, float, int]:
    """Lower the Rayleigh quotient until an eigenvalue is as near as ``accuracy``; return vector, quotient, products."""
    # Each step is the least in the span of the vector, the residual in the metric and the last step: LOBPCG (Knyazev,
    # SIAM J. Sci. Comput. 23, 2001).
    trial, images = vector[None], product(vector)[None]
    for n_products in range(1, QUOTIENT_STEPS):
        basis, triangle = torch.linalg.qr(trial.T)
        images = torch.linalg.solve_triangular(triangle.T, images, upper=False)
        small = images @ basis
        weights = torch.linalg.eigh(0.5 * (small + small.T)).eigenvectors[:, 0]
        vector, image = basis @ weights, weights @ images
        value = torch.dot(vector, image).item()
        residual = torch.sub(image, vector, alpha=value)
        if not norm(residual) > accuracy or n_products == QUOTIENT_STEPS - 1:
            break
        towards = metric.unscale_step(metric.scale_gradient(residual))
        towards /= towards.norm()
        step, its_image = basis[:, 1:] @ weights[1:], weights[1:] @ images[1:]
        along = step.norm()
        trial, images = torch.stack([vector, towards]), torch.stack([image, product(towards)])
        if along > 0:
            trial, images = torch.cat([trial, step[None] / along]), torch.cat([images, its_image[None] / along])
    # The image was put together from those of the steps: what is reported is recomputed
    return vector, torch.dot(vector, product(vector)).item(), n_products + 1
