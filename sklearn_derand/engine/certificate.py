"""Evidence that a point is second-order stationary; it knows no solver."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_derand.engine.arguments import as_generator, check_params, check_tolerances
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.eigenvalue import DENSE_LIMIT, EigenvalueBound
from sklearn_derand.engine.lemma import HasNoiseBlocks, noise_bound
from sklearn_derand.engine.lipschitz import third_derivative_norm
from sklearn_derand.engine.metric import least_curvature
from sklearn_derand.engine.objective import Objective, noise_norm


@dataclass(frozen=True)
class Certificate:
    """Evidence that ``params`` is a second-order stationary point to within the tolerances.

    It says: in float64, of *this* objective (this sample, this smoothing, these pairs),
    ``||grad f|| <= tol`` and ``lambda_min(Hess f) >= -curvature_tol``. It says nothing of other samples, nor that
    the minimum is global.

    Attributes
    ----------
    value : float
        ``f`` at the point.
    initial_value : float
        ``f`` at the law that the descent started from; ``nan`` where not given.
    gradient_norm : float
        Euclidean norm of the gradient.
    min_eigenvalue : float
        Best estimate of the smallest Hessian eigenvalue, an upper bound: a recomputed Rayleigh quotient.
    min_eigenvalue_bound : float
        Lower bound of it; this is what is compared with ``-curvature_tol``.
    failure_probability : float
        Probability that ``min_eigenvalue_bound`` is false: 0.0 for a dense factorisation, delta for Lanczos
        from a random start.
    tol : float
        Bound asked of the gradient norm (rho in the text).
    curvature_tol : float
        Bound asked of the negative curvature (tau = sqrt(K rho) in the text).
    gradient_mismatch : float
        How far values a short random step away depart from the second-order Taylor polynomial, per unit of step
        and beyond what rounding explains. Compared with ``tol``: a kink at the point shows here.
    method : {"dense", "lanczos"}
        Source of the lower bound.
    n_params : int
        Dimension of the problem.
    params_norm : float
        Norm of the point: far out, small derivatives mean little.
    n_hvp : int
        Hessian-vector products that the certificate took.
    rounding_floor : float
        A lower bound closer to ``min_eigenvalue`` than this is out of reach of this precision.
    dtype : str
        Type that all of this was computed in.
    lipschitz_measured : float
        Lower estimate of the Hessian's Lipschitz constant at the point; ``nan`` where it was not asked for.
    noise_norm : float
        ``||W||_F`` where the objective names its noise, else ``nan``.
    noise_bound : float
        The lemma's bound of it, ``||df/dW|| / (2 lam + lambda_min(H_b))``, where the objective names its blocks;
        ``inf`` where the denominator is not positive, ``nan`` where nothing is named.
    """

    value: float
    initial_value: float
    gradient_norm: float
    min_eigenvalue: float
    min_eigenvalue_bound: float
    failure_probability: float
    tol: float
    curvature_tol: float
    gradient_mismatch: float
    method: str
    n_params: int
    params_norm: float
    n_hvp: int
    rounding_floor: float = 0.0
    dtype: str = "float64"
    lipschitz_measured: float = float("nan")
    noise_norm: float = float("nan")
    noise_bound: float = float("nan")

    @property
    def holds(self) -> bool:
        """Whether all that is asked was shown."""
        return bool(
            self.gradient_norm <= self.tol
            and self.min_eigenvalue_bound >= -self.curvature_tol
            and self.gradient_mismatch <= self.tol
            and np.isfinite(self.value)
        )

    @property
    def lipschitz(self) -> float:
        """Hessian-Lipschitz constant ``K = curvature_tol^2 / tol`` that the two tolerances imply."""
        return self.curvature_tol**2 / self.tol

    @property
    def reason(self) -> str:
        """What holds, or the first thing that does not, in words."""
        if not np.isfinite(self.value):
            return f"the objective is {self.value} at the point"
        if self.gradient_norm > self.tol:
            return f"gradient norm {self.gradient_norm:.3g} is above tol={self.tol:.3g}"
        if self.gradient_mismatch > self.tol:
            return (
                f"values near the point depart from its gradient by {self.gradient_mismatch:.3g} per unit of step "
                f"(tol={self.tol:.3g}): the objective is not smooth there"
            )
        if self.min_eigenvalue < -self.curvature_tol:
            return (
                f"negative curvature {self.min_eigenvalue:.3g} is below "
                f"-curvature_tol={-self.curvature_tol:.3g}: a saddle"
            )
        if not self.min_eigenvalue_bound >= -self.curvature_tol:
            if self.min_eigenvalue + self.curvature_tol <= self.rounding_floor:
                return (
                    f"curvature_tol={self.curvature_tol:.3g} is below what the rounding of {self.dtype} can carry here,"
                    f" {self.rounding_floor - self.min_eigenvalue:.2g}"
                )
            return (
                f"the smallest curvature is only known to be above {self.min_eigenvalue_bound:.3g}, and "
                f"-curvature_tol={-self.curvature_tol:.3g} was asked"
            )
        source = (
            "a dense factorisation"
            if self.method == "dense"
            else f"Lanczos from a random start, wrong with probability at most {self.failure_probability:.1g}"
        )
        return (
            f"gradient norm {self.gradient_norm:.2g} <= {self.tol:.2g} and smallest curvature >= "
            f"{self.min_eigenvalue_bound:.2g} >= {-self.curvature_tol:.2g} by {source}"
        )

    def __str__(self) -> str:
        return ("Certified: " if self.holds else "Not certified: ") + self.reason + "."


def certify(
    objective: Objective | Callable[[Tensor], Tensor],
    params: Tensor,
    *,
    tol: float = 1e-5,
    curvature_tol: float = 1e-3,
    failure_probability: float = 1e-6,
    random_state: int | Generator | None = None,
    initial_value: float = float("nan"),
    max_products: int = 1000,
    dense_limit: int = DENSE_LIMIT,
    measure_lipschitz: bool = False,
) -> Certificate:
    """Examine a point, however it was found.

    Parameters
    ----------
    objective : Objective or callable
        ``f``.
    params : Tensor of shape (n,)
        The point, in float64.
    tol : float, default=1e-5
        Bound asked of the gradient norm.
    curvature_tol : float, default=1e-3
        Bound asked of the negative curvature.
    failure_probability : float, default=1e-6
        Allowed probability that a Lanczos bound is false; a dense one has none.
    random_state : int, torch.Generator or None, default=None
        Source of the random start. A fixed integer makes the result repeatable; the guarantee is then over the
        choice of that integer, which must not depend on the objective.
    initial_value : float, default=nan
        Recorded as it is.
    max_products : int, default=1000
        Most Hessian-vector products of a Lanczos bound.
    dense_limit : int, default=64
        Number of parameters up to which the Hessian is formed and factorised, so that nothing is left to chance.
    measure_lipschitz : bool, default=False
        Also estimate the Hessian's Lipschitz constant from below, by third derivatives.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        If a tolerance is not positive, a probability not in (0, 1), or ``params`` not a flat float64 tensor.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.engine import certify
    >>> saddle = lambda p: p[0] ** 2 - p[1] ** 2
    >>> print(certify(saddle, torch.zeros(2, dtype=torch.float64)))
    Not certified: negative curvature -2 is below -curvature_tol=-0.001: a saddle.
    """
    check_tolerances(tol, curvature_tol, failure_probability)
    check_params(params)
    derivatives = Derivatives(objective)
    generator = as_generator(random_state)
    certificate, _ = examine(
        derivatives,
        params,
        tol=tol,
        curvature_tol=curvature_tol,
        failure_probability=failure_probability,
        generator=generator,
        initial_value=initial_value,
        max_products=max_products,
        dense_limit=dense_limit,
    )
    if measure_lipschitz:
        measured = third_derivative_norm(derivatives, params, generator)
        certificate = replace(certificate, lipschitz_measured=measured)
    return certificate


def examine(
    derivatives: Derivatives,
    params: Tensor,
    *,
    tol: float,
    curvature_tol: float,
    failure_probability: float,
    generator: Generator,
    initial_value: float,
    max_products: int = 1000,
    dense_limit: int = DENSE_LIMIT,
) -> tuple[Certificate, EigenvalueBound | None]:
    """Return the certificate of a point and what it knows of the least curvature there."""
    before = derivatives.n_hvp
    params = params.detach()
    value, gradient, product = derivatives.all_orders(params)
    n = params.numel()
    finite = np.isfinite(value) and bool(torch.isfinite(gradient).all())
    least = None
    if finite:
        least = least_curvature(
            derivatives.objective,
            params,
            product,
            generator=generator,
            curvature_tol=curvature_tol,
            failure_probability=failure_probability,
            max_products=max_products,
            dense_limit=dense_limit,
        )
    noise, bound, more = _noise(derivatives, params, gradient, product, generator, failure_probability, finite)
    certificate = Certificate(
        value=value,
        initial_value=float(initial_value),
        gradient_norm=gradient.norm().item(),
        min_eigenvalue=least.value if least else float("nan"),
        min_eigenvalue_bound=least.bound if least else -float("inf"),
        failure_probability=min(1.0, least.failure_probability + more) if least else 1.0,
        tol=float(tol),
        curvature_tol=float(curvature_tol),
        gradient_mismatch=_gradient_mismatch(derivatives, params, value, gradient, product, generator),
        method=least.method if least else "dense",
        n_params=n,
        params_norm=params.norm().item(),
        n_hvp=derivatives.n_hvp - before,
        rounding_floor=least.rounding_floor if least else float("nan"),
        dtype=str(params.dtype).removeprefix("torch."),
        noise_norm=noise,
        noise_bound=bound,
    )
    return certificate, least


def _noise(
    derivatives: Derivatives,
    params: Tensor,
    gradient: Tensor,
    product: Callable[[Tensor], Tensor],
    generator: Generator,
    failure_probability: float,
    finite: bool,
) -> tuple[float, float, float]:
    """Return the norm of the noise, the lemma's bound of it, and the probability that this bound is false."""
    objective = derivatives.objective
    norm = noise_norm(objective, params)
    if not finite or not isinstance(objective, HasNoiseBlocks):
        return norm, float("nan"), 0.0
    blocks = objective.noise_blocks()
    return params[blocks.weights].norm().item(), *noise_bound(blocks, gradient, product, generator, failure_probability)


def _gradient_mismatch(
    derivatives: Derivatives,
    params: Tensor,
    value: float,
    gradient: Tensor,
    product: Callable[[Tensor], Tensor],
    generator: Generator,
) -> float:
    """Depart a short step both ways and compare with the Taylor polynomial, less what rounding may do."""
    direction = torch.randn(params.numel(), generator=generator, dtype=params.dtype).to(params.device)
    direction /= direction.norm()
    step = 1e-6 * max(1.0, params.norm().item())
    slope = torch.dot(gradient, direction).item()
    curvature = torch.dot(direction, product(direction)).item()
    rounding = 1e3 * torch.finfo(params.dtype).eps * abs(value)
    worst = 0.0
    for signed in (step, -step):
        predicted = value + signed * slope + 0.5 * signed**2 * curvature
        departure = abs(derivatives.value(params + signed * direction) - predicted)
        worst = max(worst, (departure - rounding) / step)
    return worst if np.isfinite(worst) else float("inf")
