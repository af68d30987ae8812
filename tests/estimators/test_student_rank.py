"""The number of indices, on losses that are written down: what was tried, in which order, and what was taken."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_derand.estimators import _student_penalties
from sklearn_derand.estimators._student_data import prepare_data
from sklearn_derand.estimators._student_held_out import PATIENCE, HeldOut
from sklearn_derand.estimators._student_penalties import (
    JUMPS,
    LINEAR_TAILS,
    STEEP,
    STIFF,
    SUPPLE,
    SUPPLEST,
    Found,
    choose_penalties,
    settle,
)
from sklearn_derand.estimators._student_rank import RANK_PATIENCE, choose_rank
from sklearn_derand.estimators._student_search import StudentSpec
from sklearn_derand.estimators._student_trials import FINISHES, SPLITS, Search
from sklearn_derand.problems.ranks import Ranks


class WrittenDown:
    """A split on which the student of k indices, from the full one or from one of more indices, has a given loss."""

    def __init__(self, n_features, from_full, from_more):
        self.fitted = SimpleNamespace(inputs=np.zeros((0, n_features)))
        self.tried = []
        self._from_full, self._from_more = from_full, from_more

    def descend(self, rank, penalty, decay, start):
        more = isinstance(start, partial)
        self.tried.append((rank, more))
        return None, None, np.array([(self._from_more if more else self._from_full)[rank]])

    def mean(self, losses):
        return float(losses[0])

    def within_error(self, table):
        losses = np.array([row[0] for row in table])
        return int(np.argmax(losses <= losses.min() + 0.01))

    def choose(self, full_loss):
        def start(rank):
            return lambda network: rank

        return choose_rank(self, start, np.array([full_loss]), (1e-3, 1e-4), None, rough=False)


LOSSES = {1: 0.35, 2: 0.21, 3: 0.23, 4: 0.24, 5: 0.08, 6: 0.28, 7: 0.3, 8: 0.3, 9: 0.3}
"""From the full student: the third index is missed until there are two to spare (model M7, seed 0, measured)."""


def test_spare_indices_find_what_the_full_student_missed_and_are_pruned():
    split = WrittenDown(50, LOSSES, {4: 0.08, 3: 0.085, 2: 0.2})
    assert split.choose(0.31) == 3
    assert [rank for rank, more in split.tried if more] == [4, 3, 2]


def test_pruning_keeps_the_better_of_two_students():
    split = WrittenDown(50, {1: 0.5, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.1}, {1: 0.6})
    assert split.choose(0.3) == 2
    assert split.tried == [(rank, False) for rank in range(1, 3 + RANK_PATIENCE)] + [(1, True)]


def test_all_features_where_the_full_student_wins():
    split = WrittenDown(20, dict.fromkeys(range(1, 20), 0.5), {})
    assert split.choose(0.1) == 20


@pytest.mark.parametrize("share, bounded, kept", [(0.94, False, None), (0.96, False, 3), (1.04, True, None),
                                                  (1.06, True, 3)])  # fmt: skip
def test_all_features_where_leave_one_out_is_clearly_smaller(share, bounded, kept, monkeypatch):
    """Losses of students of small decay, which may be wild beside the rows, count for less."""

    def written_down(data, spec, rank, start, weight_decay, free, seed):
        student = SimpleNamespace(weight_decay=1e-3 if bounded and rank is None else 1e-5)
        return Found(share if rank is None else 1.0, 1e-3, student, start)

    monkeypatch.setattr(_student_penalties, "choose_penalties", written_down)
    monkeypatch.setattr(_student_penalties, "has_leave_one_out", lambda *_: True)

    def rank_of(n_features, **changes):
        asked = {"weight_decay": None, "free": True, "open_rank": True, "seed": 0} | changes
        data = SimpleNamespace(inputs=np.zeros((0, n_features)))
        rank, found = settle(data, None, 3, "of three", "of all", **asked)
        assert found.params == ("of three" if rank else "of all")
        return rank

    assert rank_of(8) == kept
    assert rank_of(8, open_rank=False) == 3
    assert rank_of(12) == 3  # a quarter of the features is not many


@pytest.mark.parametrize("rank, steep, chosen", [(None, 1.08, "steep"), (None, 1.12, "supple"), (3, 0.97, "supple"),
                                                 (3, 0.93, "steep")])  # fmt: skip
def test_students_of_all_features_keep_their_sizes_bounded(rank, steep, chosen, monkeypatch):
    """Steep units of larger decay may lose a little more than supple ones there, and else must lose less."""
    losses = {pair: 2.0 for pair in (*STIFF, *JUMPS)} | dict(zip(SUPPLE, (1.5, 1.2, 1.0), strict=True))
    losses |= dict.fromkeys(STEEP, steep)

    found = chosen_by(losses, monkeypatch, rank, n_features=8)
    assert (found.penalty, found.spec.weight_decay) in {"steep": STEEP, "supple": SUPPLE}[chosen]


def chosen_by(losses, monkeypatch, rank, n_features, free=False):
    """What is chosen where each pair of penalties, or each activation and pair, has the loss given."""

    def written_down(data, spec, rank, penalty, start, seed, steps):
        pair = penalty, spec.weight_decay
        return Found(losses.get((spec.activation, *pair), losses.get(pair)), penalty, spec, start)

    monkeypatch.setattr(_student_penalties, "_descend", written_down)
    monkeypatch.setattr(_student_penalties, "fresh_student", lambda network, params, seed: params)
    data = SimpleNamespace(inputs=np.zeros((0, n_features)), targets=np.zeros((0, 1)))
    spec = StudentSpec((4,), "tanh", "squared_error", 0.0, True, "cpu", "lbfgs", 9)
    return choose_penalties(data, spec, rank, None, None, free, 0)


@pytest.mark.parametrize("share, chosen", [(0.96, SUPPLE[-1]), (0.94, SUPPLEST[0])])
def test_few_indices_may_ask_for_one_more_supple_step(share, chosen, monkeypatch):
    losses = {pair: 2.0 for pair in (*STIFF, *JUMPS)} | dict(zip(SUPPLE, (1.5, 1.2, 1.0), strict=True))
    found = chosen_by(losses | {SUPPLEST[0]: share}, monkeypatch, 2, n_features=20)
    assert (found.penalty, found.spec.weight_decay) == chosen


@pytest.mark.parametrize("bounded, chosen", [(0.84, JUMPS[0]), (0.86, SUPPLE[-1])])
def test_a_jump_for_certain_takes_the_path_to_steep_units(bounded, chosen, monkeypatch):
    """Else steep units must leave a tenth less, and more supple ones come first."""
    losses = dict(zip(SUPPLE, (bounded, 0.6, 0.5), strict=True)) | {pair: 0.49 for pair in (*JUMPS, *SUPPLEST)}
    found = chosen_by(losses | {(LINEAR_TAILS, *SUPPLE[0]): 1.0}, monkeypatch, 2, n_features=20, free=True)
    assert (found.penalty, found.spec.weight_decay) == chosen and found.spec.activation == "tanh"


def test_a_path_goes_on_past_one_penalty_without_improvement(monkeypatch):
    written = {0.1: 0.31, 0.03: 0.34, 0.01: 0.15, 0.003: 0.17, 0.001: 0.21}  # model M7, seed 8, measured
    split = object.__new__(HeldOut)
    monkeypatch.setattr(
        HeldOut, "descend", lambda self, rank, penalty, *_: (None, penalty, np.array([written[penalty]]))
    )
    monkeypatch.setattr(HeldOut, "mean", lambda self, losses: float(losses[0]))
    monkeypatch.setattr(HeldOut, "constant_losses", lambda self, risk: np.array([0.5]))
    (penalty, _), *_ = split.path([(penalty, 1e-4) for penalty in written], None, None, PATIENCE)
    assert penalty == 0.01


@pytest.mark.parametrize(
    "losses, places, taken",
    [
        ((0.6, 0.65), (1, 1), True),  # found twice, and deep: no more are needed
        ((0.8, 0.85, 0.83, 0.9), (1, 1, 2, 3), True),  # found twice, and nothing better
        ((0.8, 0.85, 0.79, 0.9), (1, 1, 2, 3), False),  # found twice, but something else is better
        ((0.85, 0.8, 0.82, 0.8), (1, 2, 3, 4), False),  # no two meet, and none is deep
        ((0.85, 0.8, 0.65, 0.8), (1, 2, 3, 4), True),
        ((0.95,), (1,), False),  # no better than chance
    ],
)
def test_batches_of_starts_that_meet_or_fall_deep_are_taken(losses, places, taken, monkeypatch):
    """Against a loss of 1 on the bootstrap sample."""
    batches = iter(zip(losses, places, strict=True))

    def written_down(self, data, start, seeds):
        value, place = (1.0, 0) if data == "bootstrap" else next(batches)
        return SimpleNamespace(value=value, params=np.eye(1, 5, place))

    monkeypatch.setattr(Search, "_best_trial", written_down)
    monkeypatch.setattr(Search, "_bootstrap", lambda *_: "bootstrap")
    monkeypatch.setattr(Search, "_indices", lambda self, trial: trial.params)
    split = SimpleNamespace(descend=lambda rank, penalty, decay, start: (None, None, decay), mean=float)
    split.redrawn = lambda seed: split
    found = Search("rows", None, 1, 12, None, 0).find(split, None, None)
    assert next(batches, None) is None
    assert (found is not None) == taken
    assert not taken or np.argmax(found[2]) == places[np.argmin(losses)]


def test_penalties_after_a_search_are_chosen_by_several_splits(monkeypatch):
    """The rows first set aside want the least penalty, all others, by a little, the largest."""
    monkeypatch.setattr(
        Search, "_best_trial", lambda self, data, *_: SimpleNamespace(value=1.0 if data is None else 0.5, params=None)
    )
    monkeypatch.setattr(Search, "_bootstrap", lambda *_: None)
    monkeypatch.setattr(Search, "_indices", lambda self, trial: np.eye(1, 5))
    seeds = []

    def split(slope):
        return SimpleNamespace(descend=lambda rank, penalty, *_: (None, None, slope * penalty), mean=float)

    first = split(1.0)
    first.redrawn = lambda seed: seeds.append(seed) or split(-0.9)
    penalty, _, _ = Search("rows", None, 1, 12, None, 0).find(first, None, None)
    assert penalty == max(penalty for penalty, _ in FINISHES)
    assert len(seeds) == len(set(seeds)) == SPLITS - 1


def test_a_split_is_redrawn_in_its_own_proportion():
    rows, targets = np.random.RandomState(0).standard_normal((2, 10, 2))
    data = prepare_data(rows, targets, np.ones(10), "squared_error", Ranks())
    split = HeldOut(data, None, 0.3, 0)
    again, other = split.redrawn(0), split.redrawn(1)
    np.testing.assert_array_equal(again.held.targets, split.held.targets)
    assert not np.array_equal(other.held.targets, split.held.targets)
    assert (other.held.n_samples(), other.fitted.n_samples()) == (3, 7)
