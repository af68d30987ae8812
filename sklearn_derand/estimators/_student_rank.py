"""Choice of the number of indices by rows set aside, and of all features where there is no structure to be had."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from sklearn_derand.estimators._student_held_out import PATIENCE, HeldOut
from sklearn_derand.estimators._student_penalties import are_many, with_decay
from sklearn_derand.estimators._student_search import restrict

RANK_PATIENCE = 3
"""Numbers of indices without improvement after which no larger one is tried: a student of two spare ones found what one
of none had missed (measured)."""

ROUGH_PAIR = (1e-4, 3e-4)
"""First-layer penalty and weight decay at which the number of indices is looked for once more where it may be large. A
larger decay prefers fewer: on concrete 4 of 8 for 7, which predicts worse (measured)."""


class Candidate(NamedTuple):
    """A student of some indices: its loss on each row set aside, their mean, its risk and its parameters."""

    losses: np.ndarray
    mean: float
    risk: object
    params: object


def choose_rank(split: HeldOut, restricted, full_losses, pair, weight_decay: float | None, *, rough: bool) -> int:
    """Choose the number of indices.

    Parameters
    ----------
    split : HeldOut
        Rows set aside.
    restricted : callable
        From a number of indices to a start of that rank.
    full_losses : ndarray
        Losses of the full student on the rows set aside.
    pair : tuple of float
        First-layer penalty and weight decay of the candidates.
    weight_decay : float or None
        The user's; None to try others.
    rough : bool
        Whether steep units may be tried, where the indices may be many.

    Returns
    -------
    int
        The number of features where there is no low-dimensional structure.
    """
    n_features = split.fitted.inputs.shape[1]
    if n_features == 1:
        return 1
    found = _candidates(split, restricted, pair, RANK_PATIENCE)
    if rough and are_many(_leader(found), n_features):
        (steep,) = with_decay([ROUGH_PAIR], weight_decay)
        others = _candidates(split, restricted, steep, 2 * PATIENCE)
        if min(one.mean for one in others) < min(one.mean for one in found):
            found, pair = others, steep
    chosen = _pruned(split, found, pair, full_losses)
    if chosen > min(len(found), n_features / 2):
        return n_features
    return chosen


def _candidates(split: HeldOut, restricted, pair, patience: int) -> list[Candidate]:
    found: list[Candidate] = []
    for rank in range(1, split.fitted.inputs.shape[1]):
        found.append(_descended(split, rank, pair, restricted(rank)))
        if rank - _leader(found) == patience:
            break
    return found


def _descended(split: HeldOut, rank: int, pair, start) -> Candidate:
    penalty, decay = pair
    risk, params, losses = split.descend(rank, penalty, decay, start)
    return Candidate(losses, split.mean(losses), risk, params)


def _leader(found: list[Candidate]) -> int:
    return 1 + int(np.argmin([one.mean for one in found]))


def _pruned(split: HeldOut, found: list[Candidate], pair, full_losses) -> int:
    """Smallest number of indices within one standard error, each tried from the student of one more as well."""
    # Of an additive link the full student may miss an index that a student of a few spare ones finds on its way.

    def least():
        return 1 + split.within_error([*(one.losses for one in found), full_losses])

    chosen = least()
    while 1 < chosen <= len(found):
        more, fewer = found[chosen - 1], found[chosen - 2]
        pruned = _descended(split, chosen - 1, pair, partial(restrict, more.risk, more.params))
        found[chosen - 2] = min(fewer, pruned, key=attrgetter("mean"))
        before, chosen = chosen, least()
        if chosen == before:
            break
    return chosen
