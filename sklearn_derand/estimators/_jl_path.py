"""From the Gaussian law to one good map: descend to no noise at a fixed exponent, then sharpen the maximum."""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

SHARE = 0.5
"""Part of the Gaussian law's variance that the start draws into the map (``a`` of ``split_law``)."""

DERANDOMISE_STEPS = 15
TIGHTEN_STEPS = 140
MEMORY = 10
RAISE = 3.0
"""Factor between exponents."""

WINDOW, GAIN, LEAST_GAIN = 8, 8.5e-5, 1.2e-5
"""A stage ends when so many steps lowered ``(1/t) log F_t`` by less than this share of it, or than this: the next gains
more. How long a stage pays differs between data by a factor of ten. (With 2e-5 in 10 steps, and no less than that, the
distortion is .1 to .5 % less, and the time 5 to 30 % more: measured on digits, texts and unit vectors.)"""

LOOSE = (0.25, 1.0)
LOOSE_STEPS = 150
"""Shares of the bound's exponent visited before it is raised: a flatter maximum leads to a better basin (on random unit
vectors 4 % less distortion for a fifth more steps; twice as many exponents on the way up, or thrice the steps at each,
come to no less)."""

SLACK = 0.01
"""The exponent rises until ``(1/t) log F_t`` exceeds the largest distortion by this share of it at most. The last stage
is short: on random unit vectors it takes 3 % of the steps and half a per cent off the distortion."""

LARGEST_EXPONENT = 1e5
PASSING = 1e3
"""Curvature tolerance on the way: any point will do, only the last is to be certified."""


@dataclass
class Descent:
    """Where a path stands, and how it came there.

    Attributes
    ----------
    objective : PairDistortion
        At the present exponent.
    params : Tensor
        Its flat parameters.
    scales : Tensor of shape (r,)
        Units of the map's columns: the parameters are the map on an orthonormal basis times these.
    solution : Solution or None
        The engine's last answer.
    kept_bound : bool
        Whether ``F_t`` without noise came out no larger than that of the Gaussian law, at the exponent of the bound.
    """

    objective: object
    params: object
    scales: object
    solution: object = None
    kept_bound: bool = False
    n_iter: int = 0
    rows: dict[str, list] = field(default_factory=dict)

    @classmethod
    def isometry(cls, objective, scales):
        """Start at a map that keeps all distances, for at least as many components as the points' span has."""
        import torch

        k, r = objective.n_components, scales.numel()
        maps = torch.eye(k, r, dtype=scales.dtype, device=scales.device) * scales
        return cls(objective, objective.pack(maps, 0.0), scales, kept_bound=True)

    @classmethod
    def at_map(cls, objective, maps):
        """Start at a map without noise, in unscaled coordinates, at its best scale."""
        import torch

        from sklearn_derand.engine.tensors import as_tensor

        points = objective.points
        params = objective.pack(as_tensor(maps, device=points.device), 0.0)
        ones = torch.ones(points.shape[1], dtype=points.dtype, device=points.device)
        return cls(objective, params * objective.balance(params), ones)

    def maps(self):
        """Return the map on an orthonormal basis of the points' span, in numpy."""
        return (self.objective.maps(self.params) / self.scales).cpu().numpy()

    def advance(self, run, **settings):
        """Descend the present objective; values are recorded in units of the distortion."""
        t = self.objective.t
        self.solution = run(self.objective, self.params, **settings)
        self.params = self.solution.params
        self.n_iter += self.solution.n_iter
        history = self.solution.history
        for name, factor in (("value", t), ("gradient_norm", t), ("noise", 1.0)):
            self.rows.setdefault(name, []).append(history[name] * factor)
        self.rows.setdefault("t", []).append(np.full_like(history["value"], t))
        loose = settings.pop("curvature_tol", None) is not None
        # Where two images meet, |M u|^2 has no slope: the worst pair of all does not pull, and only curvature tells.
        if loose and self.solution.certificate.holds and self.objective.largest(self.params) >= 1 - 1e-6:
            self.advance(run, **settings)

    def glide(self, max_iter, gain=0.0):
        """Descend the map alone by scipy's L-BFGS-B: passing stages need no engine, and this costs half of it.

        After a callback has stopped the engine nothing is done.

        Parameters
        ----------
        max_iter : int
            Most steps.
        gain : float, default=0.0
            Stop where ``WINDOW`` steps lower the value by less than this share of it; 0 for never.
        """
        import torch

        from sklearn_derand.engine import Status

        if self.solution is not None and self.solution.status is Status.STOPPED:
            return
        objective, points, t = self.objective, self.objective.points, self.objective.t
        values, norms, latest = [], [], [0.0]

        def value_and_gradient(flat):
            maps = torch.as_tensor(flat, device=points.device).view(objective.n_components, -1)
            value, slope = objective.slope(maps)
            gradient = slope.cpu().numpy().ravel() / t
            latest[0] = np.linalg.norm(gradient)
            return value / t, gradient

        def record(intermediate_result):
            values.append(intermediate_result.fun)
            norms.append(latest[0])
            least = max(gain * values[-1], LEAST_GAIN) if gain else 0.0
            if len(values) > WINDOW and values[-1 - WINDOW] - values[-1] < least:
                raise StopIteration

        start = self.still()[:-1].cpu().numpy()
        options = {"maxiter": max_iter, "maxcor": MEMORY, "ftol": 1e-10, "gtol": 0.0}
        found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options, callback=record)
        self.params = torch.cat([torch.as_tensor(found.x, device=points.device), self.params.new_zeros(1)])
        self.n_iter += found.nit
        for name, column in (("value", values), ("gradient_norm", norms)):
            self.rows.setdefault(name, []).append(np.array(column))
        for name, constant in (("noise", 0.0), ("t", t)):
            self.rows.setdefault(name, []).append(np.full(len(values), constant))

    def still(self):
        """Return the present parameters with the noise set to exactly 0."""
        params = self.params.clone()
        params[-1] = 0.0
        return params

    def excess(self):
        """Return ``(1/t) log F_t`` and the largest distortion, both without noise."""
        params = self.still()
        return self.objective.log_moment(params) / self.objective.t, self.objective.largest(params)

    def history(self):
        """Return one array for each quantity, over the whole path."""
        return {name: np.concatenate(parts) for name, parts in self.rows.items()}


def derandomise(run, objective, log_bound, scales, n_axes, seed, max_iter):
    """Descend at the bound's own exponent until the noise is gone and the bound is kept.

    Parameters
    ----------
    run : callable
        ``(objective, params, **settings) -> Solution``.
    objective : PairDistortion
        At the exponent that minimises the bound.
    log_bound : float
        ``log F_t`` of the Gaussian law.
    scales : Tensor of shape (r,)
        Units of the map's columns.
    n_axes : int
        Leading principal axes that take the place of Gaussian columns in the part of the law drawn into the map.
    seed : int
        Of the start.
    max_iter : int
        Most steps.

    Returns
    -------
    Descent
        Without noise.
    """
    import torch

    from sklearn_derand.problems.johnson_lindenstrauss import split_law

    k, generator = objective.n_components, torch.Generator().manual_seed(seed)

    def draw(generator):
        entries = torch.randn(k, scales.numel(), generator=generator, dtype=torch.float64) / k**0.5
        entries[:, :n_axes] = torch.eye(k, n_axes, dtype=torch.float64)
        return entries.to(scales.device) * scales

    start = split_law(draw, objective, log_bound, SHARE, generator)
    descent = Descent(objective, start, scales)
    while True:
        steps = min(DERANDOMISE_STEPS, max_iter - descent.n_iter)
        descent.advance(run, max_iter=steps, curvature_tol=PASSING)
        descent.kept_bound = objective.log_moment(descent.still()) <= log_bound
        if descent.kept_bound or descent.n_iter >= max_iter or descent.solution.n_iter < steps:
            break
    descent.params = descent.still()
    return descent


def loosen(descent, max_iter):
    """Visit flatter maxima, briefly, and come back.

    Parameters
    ----------
    descent : Descent
        Without noise; changed in place.
    max_iter : int
        Most steps of the whole path.
    """
    t = descent.objective.t
    for share in LOOSE:
        descent.objective = descent.objective.at(share * t)
        descent.glide(min(LOOSE_STEPS, max(0, max_iter - descent.n_iter)), GAIN)
    descent.objective = descent.objective.at(t)


def tighten(descent, max_iter, slack=SLACK, enough=0.0):
    """Raise the exponent until ``(1/t) log F_t`` is the largest distortion but for a small share.

    Parameters
    ----------
    descent : Descent
        Without noise; changed in place.
    max_iter : int
        Most steps of the whole path.
    slack : float, default=SLACK
        The share.
    enough : float, default=0.0
        Stop where no distortion is above this.
    """
    last = False
    while not last:
        soft, hard = descent.excess()
        if hard <= enough:
            break
        # The excess falls like 1/t.
        spent = descent.n_iter >= max_iter or descent.objective.t * RAISE > LARGEST_EXPONENT
        last = spent or soft - hard <= RAISE * slack * hard
        descent.objective = descent.objective.at(RAISE * descent.objective.t)
        descent.glide(min(TIGHTEN_STEPS, max(0, max_iter - descent.n_iter)), GAIN)
