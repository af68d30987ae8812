"""Which solver descends a student."""

from __future__ import annotations

from functools import partial

MAX_MATRIX = 1500
"""Above this order the Gauss-Newton matrix costs more than it saves, and the engine's own L-BFGS descends."""


def student_solver(name: str, risk):
    """Return what descends a student: for "lbfgs" the Gauss-Newton metric, where its matrix is small.

    Parameters
    ----------
    name : str
        The estimator's parameter.
    risk : StudentRisk
        The objective; the shape of its network decides the order of the matrix.

    Returns
    -------
    str or Solver
        For ``engine.minimize``.
    """
    from sklearn_derand.engine import MetricLBFGS
    from sklearn_derand.problems.gauss_newton import gauss_newton_factor

    network = risk.network
    order = network.n_params
    if network.rank is None:
        order -= network.n_inputs * network.hidden_layer_sizes[0]
    if name != "lbfgs" or order > MAX_MATRIX:
        return name
    # A free first layer is far from quadratic at first: bolder steps end in worse minima (measured).
    return MetricLBFGS(partial(gauss_newton_factor, risk, damping=1e-2 if network.rank is None else 1e-3))
