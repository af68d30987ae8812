"""Which solver descends a student."""

from __future__ import annotations

from functools import partial

MAX_MATRIX = 1500
"""Above this order the Gauss-Newton matrix costs more than it saves, and the engine's own L-BFGS descends."""

DAMPING = {"full": 1e-2, "refined": 3e-4}
"""Multiple of the identity added to the Gauss-Newton matrix. A free first layer is far from quadratic at first: bolder
steps end in worse minima (measured)."""


def student_solver(name: str, risk, whole: bool = False):
    """Return what descends a student: for "lbfgs" the Gauss-Newton metric, where its matrix is small.

    A squared error is descended with the last layer projected out.

    Parameters
    ----------
    name : str
        The estimator's parameter.
    risk : StudentRisk
        The objective; the shape of its network decides the order of the matrix.
    whole : bool
        Keep a free first layer in the matrix where that is small: for descents from a student that is nearly there.

    Returns
    -------
    str or Solver
        For ``engine.minimize``.
    """
    from sklearn_derand.engine import MetricLBFGS, VariableProjection
    from sklearn_derand.problems.gauss_newton import gauss_newton_factor
    from sklearn_derand.problems.reduced_risk import ReducedRisk, is_separable

    network = risk.network
    order = network.n_params
    if network.rank is None:
        order -= network.n_inputs * network.hidden_layer_sizes[0]
    if name != "lbfgs" or order > MAX_MATRIX:
        return name
    factored = network.rank is None and not (whole and network.n_params <= MAX_MATRIX)
    damping = DAMPING["full" if factored else "refined"]
    on_all = MetricLBFGS(partial(gauss_newton_factor, risk, damping=damping, factored=factored))
    if not is_separable(risk):
        return on_all
    reduced = ReducedRisk(risk)
    metric = partial(reduced.metric, damping=damping, factored=factored)
    on_reduced = MetricLBFGS(metric, refresh=25 if factored else 15, finish=False)
    return VariableProjection(reduced, on_reduced, on_all)
