"""Which solver descends a student."""

from __future__ import annotations

from functools import partial

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
    risk : StudentRisk or StudentEnsembleRisk
        The objective; the shape of its network decides the order of the matrix.
    whole : bool
        Keep a free first layer in the matrix where that is small: for descents from a student that is nearly there.

    Returns
    -------
    str or Solver
        For ``engine.minimize``.
    """
    from sklearn_derand.engine import MetricLBFGS, VariableProjection
    from sklearn_derand.problems.gauss_newton import MAX_ORDER, gauss_newton_factor, matrix_order
    from sklearn_derand.problems.reduced_risk import ReducedRisk, is_separable
    from sklearn_derand.problems.student_ensemble import StudentEnsembleRisk

    several = isinstance(risk, StudentEnsembleRisk)
    network = risk.risk.network if several else risk.network
    if name != "lbfgs" or matrix_order(network) > MAX_ORDER:
        return name
    factored = network.rank is None and not (whole and network.n_params <= MAX_ORDER)
    damping = DAMPING["full" if factored else "refined"]
    kept = 0 if factored else network.n_inputs
    factor = risk.factor if several else partial(gauss_newton_factor, risk)
    on_all = MetricLBFGS(partial(factor, damping=damping, n_directions=kept))
    if several or not is_separable(risk):
        return on_all
    reduced = ReducedRisk(risk)
    metric = partial(reduced.metric, damping=damping, n_directions=kept)
    on_reduced = MetricLBFGS(metric, refresh=25 if factored else 15, finish=False)
    return VariableProjection(reduced, on_reduced, on_all)
