"""Several students in place of one, where there is no low-dimensional structure to be had."""

from __future__ import annotations

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from sklearn_derand.estimators._student_data import StudentData
from sklearn_derand.estimators._student_penalties import MANY_STEPS, SUPPLE, TOL
from sklearn_derand.estimators._student_search import StudentSpec, descend_briefly

N_MEMBERS = 4
"""Students of all features whose mean predicts. Without few indices to hold on to, descents end in valleys that are
alike in risk and differ on new rows, and what differs averages out: on concrete, one set of five folds, R2 .903 for one
of four fits, .912 for the mean of two and .924 for that of four."""


def student_ensemble(data: StudentData, spec: StudentSpec, risk, start, previous, seed: int, n_jobs: int | None):
    """Descend more students of the same penalties from random starts, or take those of the last fit.

    Parameters
    ----------
    data : StudentData
        Rows on which they are descended.
    spec : StudentSpec
        The student.
    risk : StudentRisk
        What is to be descended in the end, of a network without a rank.
    start : Tensor
        The first member.
    previous : ndarray or None
        Where the last fit ended, with ``warm_start``; of no use unless as many students of this shape did.
    seed : int
        Of the other members.
    n_jobs : int or None
        Processes over which these are spread.

    Returns
    -------
    risk : StudentEnsembleRisk
        Sum of the members' risks.
    start : Tensor
        Where the final descent may begin.
    """
    import torch

    from sklearn_derand.engine.tensors import as_tensor
    from sklearn_derand.problems.student_ensemble import StudentEnsembleRisk

    ensemble = StudentEnsembleRisk(risk, N_MEMBERS)
    if previous is not None and previous.size == N_MEMBERS * start.numel():
        return ensemble, as_tensor(previous, spec.device)
    seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=N_MEMBERS - 1)
    alone = data.ranks.size > 1  # ranks keep in step only in one process each
    others = Parallel(n_jobs=1 if alone else n_jobs)(
        delayed(_member)(data, spec, risk.alpha, int(seed)) for seed in seeds
    )
    return ensemble, torch.cat([start, *others])


def _member(data: StudentData, spec: StudentSpec, penalty: float, seed: int):
    # Steep units are found on the way of supple ones: so is the first member, see choose_penalties
    first = max(penalty, SUPPLE[0][0]), spec.weight_decay
    start = None
    for pair in dict.fromkeys([first, (penalty, spec.weight_decay)]):
        _, solution = descend_briefly(data, spec, None, pair, start, seed, tol=TOL, steps=MANY_STEPS)
        start = solution.params
    return start


def as_one(risk, params):
    """Return the student that predicts: itself, or the wide one whose output is the members' mean.

    Parameters
    ----------
    risk : StudentRisk or StudentEnsembleRisk
        The objective.
    params : Tensor
        Its parameters.

    Returns
    -------
    risk : StudentRisk
        Of the student that predicts.
    params : Tensor
        The student's.
    """
    merged = getattr(risk, "merged", None)
    return (risk, params) if merged is None else merged(params)
