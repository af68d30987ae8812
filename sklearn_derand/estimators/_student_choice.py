"""Choice of penalties and of the number of indices by rows set aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_derand.estimators._student_data import StudentData
from sklearn_derand.estimators._student_held_out import PATIENCE, HeldOut
from sklearn_derand.estimators._student_penalties import STIFF, SUPPLE, has_leave_one_out, with_decay
from sklearn_derand.estimators._student_rank import choose_rank
from sklearn_derand.estimators._student_search import StudentSpec, leading_directions, refinement_start
from sklearn_derand.estimators._student_trials import Search

ALPHAS = (0.1, 0.03, 0.01, 0.003, 0.001)
"""First-layer penalties of the full student under ``alpha="auto"``, descended from the largest until the held-out loss
rises. Links without a linear or quadratic part need a small one: a large one makes the constant a minimum."""

DECAYS = {"full": 1e-4, "refined": 0.02}
"""``weight_decay="auto"``: that of the full student where rows abound, and ``0.02 / n_samples`` for a refined one of
fixed alpha."""

REFINEMENT_ROWS = 20.0
"""A refined student of fixed alpha has ``min(1, 20 / n_samples)`` of it: its rank already keeps out the noise that
alpha is there to remove, and alpha itself would flatten the link."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and where the descents may begin.

    Attributes
    ----------
    n_components : int
        Number of indices.
    alpha : float
        First-layer penalty of the full student.
    refined_alpha, refined_decay : float or None
        First-layer penalty and weight decay of the refined one; None where its leave-one-out loss is to choose.
    full_start, refined_start : Tensor or None
        Students of the rows that were not set aside; None where nothing was left open.
    """

    n_components: int
    alpha: float
    refined_alpha: float | None
    refined_decay: float | None
    full_start: object = None
    refined_start: object = None


def full_decay(n_samples: int, n_features: int) -> float:
    """Weight decay of the full student under ``weight_decay="auto"``.

    With few rows for each feature a supple link fits noise in directions of its own: 1e-4 from 40 rows a feature on,
    below that by the square of what is missing, at most 1e-2.

    Parameters
    ----------
    n_samples, n_features : int
        Of the data.

    Returns
    -------
    float
        Positive.
    """
    return DECAYS["full"] * float(np.clip(40.0 * n_features / n_samples, 1.0, 10.0)) ** 2


def refinement_penalty(alpha: float, n_samples: int) -> float:
    """First-layer penalty of a refined student whose penalties are not chosen.

    Parameters
    ----------
    alpha : float
        Of the full student.
    n_samples : int
        Rows that both are fitted on.

    Returns
    -------
    float
        At most alpha.
    """
    return alpha * min(1.0, REFINEMENT_ROWS / n_samples)


def refined_decay(weight_decay: float | None, n_samples: int) -> float:
    """Weight decay of a refined student whose penalties are not chosen.

    Parameters
    ----------
    weight_decay : float or None
        The user's, None for "auto".
    n_samples : int
        Rows it is fitted on.

    Returns
    -------
    float
        At most 1e-3 where it was left open.
    """
    return min(1e-3, DECAYS["refined"] / n_samples) if weight_decay is None else weight_decay


def choose(
    data: StudentData,
    spec: StudentSpec,
    *,
    n_components: int | None,
    alpha: float | None,
    weight_decay: float | None,
    refine: bool,
    validation_fraction: float,
    n_init: int | None,
    n_jobs: int | None,
    seed: int,
    n_samples: int,
) -> Choice:
    """Choose what the user left open, by the loss on rows set aside.

    The full student's penalty is the one that predicts the held-out rows best. The number of indices is the smallest
    whose refined student is within one standard error (of the paired differences) of the best candidate, the full
    student among them; where that one wins, or that number is more than half of the features, there is no
    low-dimensional structure to be had and every direction is kept. The refined student's penalties are left to its
    leave-one-out loss, or, where it is too large for that, are the best of a path from stiff to supple.

    Parameters
    ----------
    data : StudentData
        The rows by which to choose.
    spec : StudentSpec
        The student.
    n_components : int or None
        None to choose it.
    alpha, weight_decay : float or None
        None to choose them.
    refine : bool
        Whether there is a refined student.
    validation_fraction : float
        Part of the rows that is set aside.
    seed : int
        Seed of the split and of the descents.
    n_samples : int
        Rows that the final students are fitted on.

    Returns
    -------
    Choice
        The user's own values where given.
    """
    n_features = data.inputs.shape[1]
    fixed_decay = refined_decay(weight_decay, n_samples)
    if n_components is not None and alpha is not None:
        return Choice(n_components, alpha, refinement_penalty(alpha, n_samples), fixed_decay)
    split = HeldOut(data, spec, validation_fraction, seed)
    penalties = [(penalty, spec.weight_decay) for penalty in (ALPHAS if alpha is None else (alpha,))]
    (penalty, _), full_risk, full, full_losses = split.path(penalties, None, None, PATIENCE)
    _, vectors = leading_directions(full_risk, full)

    def restricted(rank):
        return lambda network: refinement_start(full_risk.network, full, network, vectors[:rank])

    if n_components is None:
        pair = refinement_penalty(penalty, n_samples), fixed_decay
        n_components = choose_rank(split, restricted, full_losses, pair, weight_decay, rough=alpha is None)
    rank = n_components if n_components < n_features else None
    if alpha is not None or not refine:
        return Choice(n_components, penalty, refinement_penalty(penalty, n_samples), fixed_decay, full)
    if has_leave_one_out(spec, data, rank):
        return Choice(n_components, penalty, None, None, full)
    start = full if rank is None else restricted(rank)
    path = with_decay([*STIFF[::-1], (1e-2, 1e-4), *SUPPLE], weight_decay)
    (refined, decay), _, start, _ = split.path(path, rank, start, PATIENCE)
    search = Search.where_rows_are_few(data, spec, rank, n_init, n_jobs, seed)
    found = None if search is None else search.find(split, start, weight_decay)
    if found is not None:
        refined, decay, start = found
    return Choice(n_components, penalty, refined, decay, full, start)
