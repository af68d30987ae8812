"""Algorithm 1 of arXiv 2510.19382: perturbed gradient descent (Jin, Ge, Netrapalli, Kakade and Jordan, 2017).

Two departures. The published constants (an episode of ``chi / (eta sqrt(K rho))`` gradients with a large ``chi``) are
meant for proofs; the defaults here are practical ones. And an episode that does not end lower is rolled back, so that
accepted points are monotone; whether the point is second-order stationary is for the certificate to say, not for the
failure of an episode.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.eigenvalue import EigenvalueBound
from sklearn_derand.engine.gradient_descent import GradientDescent, gradient_step
from sklearn_derand.engine.solution import Status
from sklearn_derand.engine.solver import Point, Progress, Record


@dataclass
class PerturbedGradient:
    """Gradient descent that leaves saddles by a random kick.

    Parameters
    ----------
    step : float, default=1.0
        First step size of the gradient steps.
    radius : float, default=1e-2
        Radius of the ball that the perturbation is uniform in.
    episode : int, default=1000
        Gradient steps after a kick before it counts as failed.
    max_kicks : int, default=5
        Kicks tried at one point.
    """

    step: float = 1.0
    radius: float = 1e-2
    episode: int = 1000
    max_kicks: int = 5

    @classmethod
    def from_theory(
        cls, n: int, *, smoothness: float, lipschitz: float, tol: float, gap: float, delta: float = 0.1, c: float = 1.0
    ) -> "PerturbedGradient":
        """Return the constants that the theorem of Jin et al. (2017, algorithm 2) asks for; expect millions of steps.

        Parameters
        ----------
        n : int
            Number of parameters.
        smoothness, lipschitz : float
            Lipschitz constants of the gradient and of the Hessian, ``l`` and ``K``.
        tol : float
            Bound asked of the gradient norm.
        gap : float
            ``f(x_0) - min f``, or more.
        delta : float, default=0.1
            Allowed probability of failure.
        c : float, default=1.0
            The theorem's constant; it only says that a small enough one will do.

        Returns
        -------
        PerturbedGradient
            ``step = c / l``, ``radius = sqrt(c) tol / (chi^2 l)``, ``episode = chi l / (c^2 sqrt(K tol))``, one kick,
            with ``chi = 3 max(log(n l gap / (c tol^2 delta)), 4)``.

        Examples
        --------
        >>> from sklearn_derand.engine import PerturbedGradient
        >>> PerturbedGradient.from_theory(550, smoothness=5.0, lipschitz=10.0, tol=1e-5, gap=10.0).episode
        53326
        """
        chi = 3 * max(math.log(n * smoothness * gap / (c * tol**2 * delta)), 4.0)
        return cls(
            step=c / smoothness,
            radius=math.sqrt(c) * tol / (chi**2 * smoothness),
            episode=math.ceil(chi * smoothness / (c**2 * math.sqrt(lipschitz * tol))),
            max_kicks=1,
        )

    def descend(self, derivatives: Derivatives, point: Point, *, tol: float, progress: Record) -> Point:
        """Go down until ``||gradient|| <= tol``."""
        return GradientDescent(self.step).descend(derivatives, point, tol=tol, progress=progress)

    def escape(
        self,
        derivatives: Derivatives,
        point: Point,
        *,
        least: EigenvalueBound,
        tol: float,
        generator: Generator,
        progress: Progress,
    ) -> Point:
        """Kick and descend; the direction that the certificate found is not used."""
        n = point.params.numel()
        # A fall that the curvature explains: half of |theta| r^2 / n is what the kick has along the bad direction.
        asked = 0.5 * abs(least.value) * self.radius**2 / n
        for _ in range(self.max_kicks):
            kick = torch.randn(n, generator=generator, dtype=point.params.dtype)
            shell = torch.rand((), generator=generator, dtype=point.params.dtype) ** (1 / n)
            kick *= self.radius * shell / kick.norm()
            trial, eta = Point.at(derivatives, point.params + kick.to(point.params.device)), self.step
            for _ in range(self.episode):
                if not trial.finite or trial.status is not None:
                    break
                if trial.value < point.value - asked:
                    trial.status = progress.accept(trial)
                    return trial
                if trial.gradient_norm <= 1e-3 * tol:
                    break
                trial, eta = gradient_step(derivatives, trial, eta)
        return point.ended(Status.MAX_ESCAPES)
