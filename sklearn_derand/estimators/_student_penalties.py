"""Penalties of the refined student by its approximate leave-one-out loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_derand.estimators._student_data import StudentData
from sklearn_derand.estimators._student_search import StudentSpec, descend
from sklearn_derand.estimators._student_solver import MAX_MATRIX

SUPPLE = ((1e-3, 1e-4), (3e-4, 1e-5), (3e-4, 1e-6), (1e-4, 1e-4))
STIFF = ((3e-2, 1e-2), (1e-2, 1e-3), (1e-2, 1e-4))
"""First-layer penalty and weight decay of the refined student under ``alpha="auto"``: the path to supple students, and
one from stiff students that is taken too where the first step of the other is best. Links with jumps want a small
first-layer penalty, polynomials in the tails a small decay, few rows much of both."""

PATIENCE = 2
"""Candidates without improvement after which a path of candidates ends."""

CHARGE = 2.0
"""What the approximation finds that fitting has gained is counted twice: it sees what a small change of the student can
fit, not the search for directions and for the places of its units (Friedman 1991 charges an adaptive spline so). Where
noise dominates the true gain is two to three times the one found (measured)."""

TOL, STEPS = 1e-4, 70
"""Gradient norm at which candidates are compared, and most steps of one."""


LEAST_ROWS = 8
"""Rows for each entry of the indices from which leave-one-out losses are trusted. They count what a small change of the
student can fit, and with fewer rows the search for directions fits more than that (measured: R2 below 0)."""


def has_leave_one_out(spec: StudentSpec, data: StudentData, rank: int | None) -> bool:
    """Whether the refined student is small enough for its leverages, and the rows are many enough to trust them."""
    if rank is None or spec.network(data, rank).n_params > MAX_MATRIX:
        return False
    return data.n_samples() >= LEAST_ROWS * rank * data.inputs.shape[1]


def choose_penalties(data: StudentData, spec: StudentSpec, rank: int, start, weight_decay: float | None, seed: int):
    """Descend along pairs of penalties, each from the last, and keep the best approximate leave-one-out loss.

    Parameters
    ----------
    data : StudentData
        All rows.
    spec : StudentSpec
        The student.
    rank : int
        Number of indices.
    start : Tensor
        A student of this rank.
    weight_decay : float or None
        The user's; None to choose it.
    seed : int
        Seed of the descents.

    Returns
    -------
    penalty, decay : float
        First-layer penalty and weight decay.
    params : Tensor
        Where the final descent may begin.
    """
    paths = [SUPPLE, STIFF]
    if weight_decay is not None:
        paths = [tuple(dict.fromkeys((penalty, weight_decay) for penalty, _ in path)) for path in paths]
    best = _follow(paths[0], data, spec, rank, start, seed, PATIENCE)
    if best[1:3] == paths[0][0]:
        # From the start again: what a supple student has fitted to noise a stiff one does not give back
        best = min(best, _follow(paths[1], data, spec, rank, start, seed, PATIENCE), key=lambda found: found[0])
    return best[1:]


def _follow(path, data, spec, rank, start, seed, patience):
    """Return the best of a path as (loss, penalty, decay, params)."""
    from sklearn_derand.problems.leave_one_out import leave_one_out_losses

    best, waited = (np.inf, *path[0], start), 0
    for penalty, decay in path:
        now = replace(spec, weight_decay=decay, max_iter=min(spec.max_iter, STEPS))
        risk = now.risk(data, rank, penalty)
        start = descend(risk, now, start, seed, tol=TOL, curvature_tol=1e6).params
        left_out, fitted, weights = leave_one_out_losses(risk, start)
        loss = data.ranks.sum((weights @ (fitted + CHARGE * (left_out - fitted))).item())
        if loss < best[0]:
            best, waited = (loss, penalty, decay, start), 0
        else:
            waited += 1
        if waited == patience:
            break
    return best
