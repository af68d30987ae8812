"""From the Gaussian law to one map by the failure probability: fewer failures than one, then at a smaller ``eps``."""

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.optimize import minimize

from sklearn_derand.estimators._jl_dimension import POWER
from sklearn_derand.estimators._jl_path import SHARE

FAILURE_POINTS = 200
"""Most points: 20,000 pairs, a step over which takes seconds."""

FIRST_EPS = 0.8
"""Largest ``eps`` to begin with. At 1 and above only stretching fails, and all pairs might vanish."""

GAPS = (0.2, 0.1, 0.05, 0.025)
"""Shares of the largest distortion by which ``eps`` is put below it, and by which smoothing blurs a pair: closer ones
are only worth while once wider ones bring nothing. Half the smoothing ended 5 % worse on unit vectors and 27 % on
digits; going on from maps that were no better brought nothing."""

ROUNDS, STEPS = 8, 30
GAINED = 0.1
"""A gap is used again where it took off so much of itself."""

AT_REST = 8.6
"""In units of the smoothing, beside the root of the dimension: the Gaussian part of a map stretches no further, but for
1e-17."""


@dataclass
class FailureDescent:
    """Where the path stands: the map with the smallest largest distortion so far.

    Attributes
    ----------
    pose : callable
        ``eps, smoothing -> DistortionProbability``.
    objective : DistortionProbability
        The present one.
    params : Tensor
        Its flat parameters, at the best map.
    scales : Tensor of shape (r,)
        Units of the map's columns.
    solution : Solution or None
        The engine's last answer.
    """

    pose: object
    objective: object
    params: object
    scales: object
    solution: object = None
    n_iter: int = 0
    rows: dict[str, list] = field(default_factory=dict)

    def maps(self):
        """Return the map on an orthonormal basis of the points' span, in numpy."""
        return (self.objective.maps(self.params) / self.scales).cpu().numpy()

    def glide(self, max_iter, with_noise=False):
        """Descend by scipy's L-BFGS-B, without a certificate, the map alone or with its noise.

        Parameters
        ----------
        max_iter : int
            Most steps.
        with_noise : bool, default=False
            Whether the noise is a variable; else it is as it was.

        Returns
        -------
        Tensor
            The parameters it came to, without noise.
        """
        import torch

        values, norms, noises, latest = [], [], [], [0.0]
        free = self.params.numel() if with_noise else -1

        def at(flat):
            return torch.cat([torch.as_tensor(flat, device=self.params.device), self.params[free:]])

        def value_and_gradient(flat):
            params = at(flat).requires_grad_(True)
            with torch.enable_grad():
                value = self.objective.value(params)
                (slope,) = torch.autograd.grad(value, params)
            latest[0] = torch.linalg.norm(slope[:free]).item()
            return value.item(), slope[:free].cpu().numpy()

        def record(intermediate_result):
            values.append(intermediate_result.fun)
            norms.append(latest[0])
            noises.append(self.objective.noise(at(intermediate_result.x)).item())

        found = minimize(
            value_and_gradient,
            self.params[:free].cpu().numpy(),
            jac=True,
            method="L-BFGS-B",
            callback=record,
            options={"maxiter": max_iter, "ftol": 1e-9, "gtol": 0.0},
        )
        self._record(found.nit, value=values, gradient_norm=norms, noise=noises)
        params = at(found.x)
        params[-1] = 0.0
        return params

    def certify(self, run):
        """Let the engine look at the present point."""
        self.solution = run(self.objective, self.params, max_iter=0)
        self._record(0, **{name: self.solution.history[name] for name in ("value", "gradient_norm", "noise")})

    def _record(self, n_iter, **columns):
        self.n_iter += n_iter
        columns["eps"] = np.full(len(columns["value"]), self.objective.eps)
        for name, column in columns.items():
            self.rows.setdefault(name, []).append(np.asarray(column))

    def history(self):
        """Return one array for each quantity, over the whole path."""
        return {name: np.concatenate(parts) for name, parts in self.rows.items()}


def check_possible(estimator, n_points, n_ranks):
    """Raise where the estimator asks for what goes with the other objective only.

    Parameters
    ----------
    estimator : DerandJLEmbedding
        Its parameters.
    n_points : int
        Points whose pairs are looked at.
    n_ranks : int
        Processes.

    Raises
    ------
    ValueError
        With the parameter and the remedy.
    """
    with_it = 'cannot be had with objective="failure_probability"'
    if estimator.n_components == "auto":
        raise ValueError(f'n_components="auto" {with_it}; give a number, or set objective="chernoff".')
    if estimator.validation_fraction is not None:
        raise ValueError(
            f"validation_fraction={estimator.validation_fraction} {with_it}; set it to None, or objective to "
            '"chernoff".'
        )
    if n_ranks > 1:
        raise ValueError(f'Points spread over ranks {with_it}; set distributed=False, or objective="chernoff".')
    if n_points > FAILURE_POINTS:
        most = FAILURE_POINTS * (FAILURE_POINTS - 1) // 2
        raise ValueError(
            f"X has {n_points} rows, and pairs of more than {FAILURE_POINTS} {with_it}: set "
            f'max_pairs={most} to look at a random subset of the rows, or objective="chernoff".'
        )


def descend_failures(run, tensors, coordinates, init, seed, max_iter, eps, k):
    """Descend the expected number of failed pairs from the Gaussian law to a map, at smaller and smaller ``eps``.

    Parameters
    ----------
    run, tensors, coordinates, init, seed, max_iter : object
        As of ``descend_at``.
    eps : float
        Once no pair fails at this the map is good enough.
    k : int
        Dimension of the images.

    Returns
    -------
    FailureDescent or None
        None where there is no pair.
    """
    import torch

    from sklearn_derand.problems.distortion_bounds import gaussian_bound
    from sklearn_derand.problems.distortion_probability import DistortionProbability

    if coordinates.n_pairs == 0:
        return None
    scales = coordinates.lengths() ** POWER
    first, second = np.nonzero(np.triu(coordinates.inverse_distances, 1))
    inverse = coordinates.inverse_distances[first, second]
    points, first, second, inverse, scales = tensors(coordinates.points / scales, first, second, inverse, scales)

    def pose(eps, smoothing=1e-3):
        return DistortionProbability(points, first.long(), second.long(), inverse, k, eps, smoothing=smoothing)

    def reconstruct(params):
        maps = params[:-1].reshape(k, -1) / scales
        return {"components_": coordinates.to_features(maps.cpu().numpy())}

    run = partial(run, reconstruct=reconstruct)
    r, generator = coordinates.rank, torch.Generator().manual_seed(seed)
    maps = torch.randn(k, r, generator=generator, dtype=torch.float64) / k**0.5
    n_axes = min(k, r) if init == "pca+gaussian" or k >= r else 0
    maps[:, :n_axes] = torch.eye(k, n_axes, dtype=torch.float64)
    maps = maps.to(scales.device) * scales
    objective = pose(min(gaussian_bound(coordinates.n_pairs, k)[0], FIRST_EPS))
    if k >= r:  # the axes alone are an isometry
        descent = FailureDescent(pose, objective, objective.pack(maps, 0.0), scales)
    else:
        start = objective.pack(math.sqrt(SHARE) * maps, (1 - SHARE) / k)
        descent = FailureDescent(pose, objective, start, scales)
        descent.params = descent.glide(min(2 * STEPS, max_iter), with_noise=True)
        narrow(descent, max_iter, eps)
    rest(descent, run, eps)
    return descent


def narrow(descent, max_iter, eps):
    """Put ``eps`` below the largest distortion, drive the failures out, and so on at closer and closer gaps.

    Parameters
    ----------
    descent : FailureDescent
        Without noise; changed in place.
    max_iter : int
        Most steps of the whole path.
    eps : float
        Where to stop.
    """
    largest = descent.objective.largest(descent.params)
    for gap in GAPS:
        for _ in range(ROUNDS):
            steps = min(STEPS, max_iter - descent.n_iter)
            if largest <= eps or steps <= 0:
                return
            descent.objective = descent.pose(max((1 - gap) * largest, eps), gap * largest / 2)
            params = descent.glide(steps)
            before, found = largest, descent.objective.largest(params)
            if found < largest:
                largest, descent.params = found, params
            if before - largest <= GAINED * gap * before:
                break


def rest(descent, run, eps):
    """Certify the map at an ``eps`` that no pair fails, with so little smoothing that none is likely to.

    Parameters
    ----------
    descent : FailureDescent
        Finished; changed in place.
    run : callable
        ``(objective, params, **settings) -> Solution``.
    eps : float
        The one asked for; where the map distorts more, a little above its largest distortion.
    """
    largest = descent.objective.largest(descent.params)
    level = max(eps, 1.02 * largest)
    room = math.sqrt(1 + level) - math.sqrt(1 + largest)
    smoothing = min(1e-3, room / (2 * (math.sqrt(descent.objective.n_components) + AT_REST)))
    descent.objective = descent.pose(level, smoothing)
    descent.certify(run)
