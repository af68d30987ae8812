"""Choice of the number of indices and of the first-layer penalty by rows set aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_derand.estimators._student_data import StudentData
from sklearn_derand.estimators._student_search import (
    StudentSpec,
    descend,
    held_out_losses,
    leading_directions,
    refinement_penalty,
    refinement_start,
)

ALPHAS = (0.1, 0.03, 0.01)
"""Grid of ``alpha="auto"``, in units of the variance of the whitened inputs; descended from the largest."""

MAX_CANDIDATES = 6
"""Most ranks tried by ``n_components="auto"`` before it falls back to the whole space."""

LOOSE_TOL = 1e-2
"""Gradient norm at which a candidate is compared: its held-out loss has settled long before its gradient."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, with the held-out losses it rests on."""

    n_components: int
    alpha: float


def choose(
    data: StudentData,
    spec: StudentSpec,
    *,
    n_components: int | None,
    alpha: float | None,
    validation_fraction: float,
    seed: int,
) -> Choice:
    """Choose what the user left open, by the loss on rows set aside.

    The penalty is the one whose full student predicts the held-out rows best, descended along the grid from
    the largest with warm starts. The number of indices is the smallest whose refined student is within one
    standard error (of the paired differences) of the best candidate, the full student among them; where the
    full student wins, there is no low-dimensional structure to be had and every direction is kept.

    Parameters
    ----------
    data : StudentData
        All rows.
    spec : StudentSpec
        The student.
    n_components : int or None
        None to choose it.
    alpha : float or None
        None to choose it.
    validation_fraction : float
        Part of the rows that is set aside.
    seed : int
        Seed of the split and of the descents.

    Returns
    -------
    Choice
        The user's own values where given.
    """
    if n_components is not None and alpha is not None:
        return Choice(n_components, alpha)
    n = len(data.inputs)
    order = np.random.RandomState(seed).permutation(n)
    n_held = min(max(1, round(validation_fraction * n)), n - 1)
    fitted, held = data.rows(order[n_held:]), data.rows(order[:n_held])
    best = None
    params = None
    for penalty in ALPHAS if alpha is None else (alpha,):
        risk = spec.risk(fitted, None, penalty)
        solution = descend(risk, spec, params, seed, tol=LOOSE_TOL, curvature_tol=1.0)
        params = solution.params
        losses = held_out_losses(spec.risk(held, None, penalty), params)
        if best is None or held.weights @ losses < held.weights @ best[1]:
            best = penalty, losses, risk, params
    penalty, losses, risk, params = best
    if n_components is not None:
        return Choice(n_components, penalty)
    return Choice(_choose_rank(fitted, held, spec, risk, params, losses, seed), penalty)


def _choose_rank(fitted, held, spec, risk, params, full_losses, seed) -> int:
    values, vectors = leading_directions(risk, params)
    n_features = fitted.inputs.shape[1]
    penalty = refinement_penalty(risk.alpha, len(fitted.inputs))
    table = []
    for rank in range(1, min(MAX_CANDIDATES, n_features - 1) + 1):
        refined = spec.risk(fitted, rank, penalty)
        start = refinement_start(risk.network, params, refined.network, vectors[:rank])
        solution = descend(refined, spec, start, seed, tol=LOOSE_TOL, curvature_tol=1.0)
        table.append(held_out_losses(spec.risk(held, rank, penalty), solution.params))
    table.append(full_losses)
    table = np.array(table)
    means = table @ held.weights
    best = int(np.argmin(means))
    excess = table - table[best]
    spread = np.sqrt(np.maximum(((excess - (means - means[best])[:, None]) ** 2) @ held.weights, 0.0))
    error = spread * np.sqrt(np.sum(held.weights**2))
    chosen = int(np.argmax(means - means[best] <= error))
    return chosen + 1 if chosen < len(table) - 1 else n_features
