"""The loop that every solver shares: descend, certify, escape; the solver proposes, the certificate disposes."""

import logging
import math
from collections.abc import Callable

from torch import Generator, Tensor

from sklearn_derand.engine.arguments import as_generator, check_params, check_tolerances
from sklearn_derand.engine.certificate import Certificate, examine
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.eigenvalue import EigenvalueBound
from sklearn_derand.engine.growing_batches import check_batches, descend_on_batches
from sklearn_derand.engine.hessian_descent import HessianDescent
from sklearn_derand.engine.lbfgs import LBFGS
from sklearn_derand.engine.objective import Objective, as_objective, initial_params
from sklearn_derand.engine.perturbed_gradient import PerturbedGradient
from sklearn_derand.engine.solution import Solution, Status
from sklearn_derand.engine.solver import Point, Progress, Solver
from sklearn_derand.engine.tensors import norm
from sklearn_derand.engine.trust_region import TrustRegion

logger = logging.getLogger(__name__)

SOLVERS = {
    "lbfgs": LBFGS,
    "trust_region": TrustRegion,
    "perturbed_gradient": PerturbedGradient,
    "hessian_descent": HessianDescent,
}


def minimize(
    objective: Objective | Callable[[Tensor], Tensor],
    params: Tensor | None = None,
    *,
    solver: str | Solver = "lbfgs",
    tol: float = 1e-5,
    curvature_tol: float = 1e-3,
    max_iter: int = 10_000,
    max_escapes: int = 50,
    failure_probability: float = 1e-6,
    random_state: int | Generator | None = None,
    callback: Callable[[Solution], object] | None = None,
    batch_size: int | None = None,
) -> Solution:
    """Descend a smooth function to a certified second-order stationary point.

    A solver goes down until ``||grad f|| <= tol``. A certificate, which does not know the solver, then bounds the
    smallest Hessian eigenvalue from below. Where it proves negative curvature the solver leaves the saddle for a lower
    point, and all begins again. Accepted points never rise by more than rounding.

    Parameters
    ----------
    objective : Objective or callable
        ``f``: an object with ``value(params)``, or a function of one flat tensor, twice differentiable by torch.
    params : Tensor of shape (n,) or None, default=None
        The start, in float64, on any device; ``None`` asks ``objective.initial(generator)``.
    solver : {"lbfgs", "trust_region", "perturbed_gradient", "hessian_descent"} or Solver, default="lbfgs"
        What descends.
    tol : float, default=1e-5
        Bound asked of the gradient norm (rho; Jin et al. call it epsilon).
    curvature_tol : float, default=1e-3
        Bound asked of the negative curvature (tau = sqrt(K rho)).
    max_iter : int, default=10000
        Most accepted steps, over all escapes.
    max_escapes : int, default=50
        Most saddles left.
    failure_probability : float, default=1e-6
        Allowed probability that the certificate is false, split over the escapes; see ``Certificate``.
    random_state : int, torch.Generator or None, default=None
        Source of all randomness.
    callback : callable or None, default=None
        ``callback(solution_so_far)`` after each accepted step; a true result stops.
    batch_size : int or None, default=None
        Number of terms of the first batch, at least 8, for an objective that is a sum (``n_terms`` and ``batch``, see
        ``Objective``): it is first descended on growing batches. Each counts as one accepted step, and only where the
        whole objective is lower at its end. What follows, and every certificate, is of all terms.

    Returns
    -------
    Solution
        ``solution.status`` says why it stopped, ``solution.certificate`` what is proven.

    Raises
    ------
    ValueError
        If a tolerance, ``params``, ``batch_size`` or the name of the solver is not usable.

    Examples
    --------
    From an exact saddle, where the gradient is zero:

    >>> import torch
    >>> from sklearn_derand.engine import minimize
    >>> def f(p):
    ...     return 0.25 * (p[0] ** 2 - 1) ** 2 + 0.5 * p[1] ** 2
    >>> solution = minimize(f, torch.zeros(2, dtype=torch.float64), random_state=0)
    >>> solution.status.name, round(abs(solution.params[0].item()), 6), solution.n_escapes
    ('CERTIFIED', 1.0, 1)
    """
    check_tolerances(tol, curvature_tol, failure_probability)
    if max_iter < 0 or max_escapes < 0:
        raise ValueError(f"max_iter and max_escapes must not be negative; got {max_iter} and {max_escapes}.")
    objective = as_objective(objective)
    check_batches(objective, batch_size)
    generator = as_generator(random_state)
    params = initial_params(objective, generator) if params is None else params
    check_params(params)
    run = _Run(objective, _as_solver(solver), tol, curvature_tol, failure_probability, generator)
    return run(params.detach().clone(), max_iter, max_escapes, callback, batch_size)


def _as_solver(solver: str | Solver) -> Solver:
    if not isinstance(solver, str):
        return solver
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {sorted(SOLVERS)} or a Solver; got {solver!r}.")
    return SOLVERS[solver]()


class _Run:
    """One call of ``minimize``: the tolerances and what is shared by its rounds."""

    def __init__(
        self,
        objective: Objective,
        solver: Solver,
        tol: float,
        curvature_tol: float,
        failure_probability: float,
        generator: Generator,
    ):
        self.derivatives = Derivatives(objective)
        self.solver, self.generator = solver, generator
        self.tol, self.curvature_tol, self.failure_probability = tol, curvature_tol, failure_probability

    def __call__(
        self,
        params: Tensor,
        max_iter: int,
        max_escapes: int,
        callback: Callable[[Solution], object] | None,
        batch_size: int | None,
    ) -> Solution:
        progress = Progress(self.derivatives, max_iter, callback)
        point = Point.at(self.derivatives, params)
        first = point
        point.status = progress.start(point)
        if batch_size is not None:
            point = descend_on_batches(
                self.derivatives, point, batch_size=batch_size, generator=self.generator, progress=progress
            )
        while True:
            if point.status is None:
                point = self._descend(point, progress)
            if point.status is None:
                point = self._pull_back(point, first, progress)
            certificate, least = self._examine(point, first.value, progress.n_escapes)
            logger.debug("%s after %d steps: %s", type(self.solver).__name__, progress.n_iter, certificate)
            status = point.status or self._judge(certificate)
            if status is not Status.RUNNING or least is None:
                return progress.solution(point, status, certificate)
            if progress.n_escapes >= max_escapes:
                return progress.solution(point, Status.MAX_ESCAPES, certificate)
            progress.n_escapes += 1
            point = self.solver.escape(
                self.derivatives, point, least=least, tol=self.tol, generator=self.generator, progress=progress,
            )  # fmt: skip

    def _descend(self, point: Point, progress: Progress) -> Point:
        point = self.solver.descend(self.derivatives, point, tol=self.tol, progress=progress)
        if point.gradient_norm <= self.tol and point.status is Status.MAX_ITER:
            point.status = None  # the last step allowed was enough
        return point

    def _examine(
        self, point: Point, initial_value: float, n_escapes: int
    ) -> tuple[Certificate, EigenvalueBound | None]:
        # The union bound over all rounds: sum over c of 6 delta / (pi (c + 1))^2 is delta.
        delta = 6 * self.failure_probability / (math.pi * (n_escapes + 1)) ** 2
        return examine(
            self.derivatives, point.params, tol=self.tol, curvature_tol=self.curvature_tol,
            failure_probability=delta, generator=self.generator, initial_value=initial_value,
        )  # fmt: skip

    @staticmethod
    def _judge(certificate: Certificate) -> Status:
        if certificate.holds:
            return Status.CERTIFIED
        if certificate.min_eigenvalue < -certificate.curvature_tol:
            return Status.RUNNING
        return Status.NOT_SMOOTH if certificate.gradient_mismatch > certificate.tol else Status.UNRESOLVED

    def _pull_back(self, point: Point, first: Point, progress: Progress) -> Point:
        # A scale-invariant objective looks flat far out: its Hessian falls as the inverse square of the norm, and a
        # saddle there would pass. Scaling back to the norm of the start costs such an objective nothing.
        length, home = norm(point.params), max(1.0, norm(first.params))
        if length <= 3 * home:
            return point
        nearer = Point.at(self.derivatives, point.params * (home / length))
        if not (nearer.finite and nearer.value <= point.value + point.rounding):
            return point
        nearer.status = progress.accept(nearer)
        if nearer.status is None:
            nearer = self._descend(nearer, progress)
        return nearer
