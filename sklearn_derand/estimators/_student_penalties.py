"""Penalties of the refined student by its approximate leave-one-out loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklearn_derand.estimators._student_data import StudentData
from sklearn_derand.estimators._student_search import StudentSpec, descend_briefly, fresh_student

if TYPE_CHECKING:
    from torch import Tensor

SUPPLE = ((1e-3, 1e-4), (3e-4, 1e-5), (3e-4, 1e-6))
JUMPS = ((3e-5, 1e-5), (1e-5, 1e-5))
STEEP = ((1e-4, 1e-3), (3e-5, 1e-3))
STIFF = ((1e-2, 1e-3), (3e-2, 1e-2))
"""First-layer penalty and weight decay of the refined student under ``alpha="auto"``: a path to supple students, on to
units as steep as jumps ask for, or, where the first step of the supple path is better than its second, one to stiff
students, for few rows or much noise. Each ends at the first step that is no better, the steep one at one that is a
twentieth worse. Without its middle step the supple path arrives at students that extrapolate wildly (measured on the
strength of concrete). Beside the supple path there is one to steep units whose sizes stay bounded, for functions of
most of their inputs: see ``MANY``."""

SUPPLEST = ((1e-4, 1e-7),)
"""Where the indices are few and the supple path came to its end, one step more, if it leaves less than ``ROUGH``:
polynomials ask for it (on the benchmark's M8, a cubic, 2,000 rows, it leaves .3 of the loss in one draw of eight, and
.93 in another). With any improvement taken, 500 rows of M10 got a student of R2 .83 in place of .98 (measured)."""

MANY = 0.25
"""Share of the features above which the indices are many: what is fitted is then rough in most of its inputs, and the
steep path is tried too. On the strength of concrete, all eight inputs, two sets of five folds and two starts, it leaves
a mean squared error of .087 of the variance (.094 with a decay of 3e-4; the supple path's first step .104); on links of
few indices it finds students as good as the supple path's. It costs seconds (kin8nm: 17 a fit in place of 11)."""

ALL = 0.95
"""Share of the leave-one-out loss of many indices that all features must leave, to be kept in their place."""

ROUGH = 0.95
"""What the steep path must leave of the loss at the end of the others: in noise a little less may be luck."""

BOUNDED = 1.1
"""The same for students of all features: those of small decay have less loss on the rows, and beside them at times far
more. On concrete, five sets of five folds, four students each, R2 .924 with the share above and .929 with this. Nor are
many indices preferred for what such a student of theirs has left: in one fold that was .887 in place of .943."""

STEEPER = 0.9
"""What each step to steeper units must leave of the loss: where a link jumps it is .75 to .9 (measured), where there
are few rows and no jump .94 and more, since leave-one-out losses of such units are too good."""

LINEAR_TAILS = "silu"
"""Activation of the refined student under ``activation="auto"``. Far out it goes on as a line where tanh saturates: on
rows of heavy tails and on polynomials it predicts better, on other smooth links as well as tanh, at equal directions
(measured). To find directions tanh is better: with silu additive and oscillating links are not found."""

JUMP = 0.97
"""The refined student stays with the activation of the full one where that has less than this share of the other's
leave-one-out loss, at the first pair of penalties: links with jumps, or flat far out, ask for bounded units. On rows of
heavy tails the share was .997 or more (six draws of the benchmark's M11t), on Li's saturating M5 .92 to .99."""

LEAP = 0.85
"""Where that share is less than this there is a jump for certain: the path of supple students then ends with the first
step to steep units in place of its last, which fits what is left of the jump with everything else. On the benchmark's
M6, sign times logarithm, fifteen draws, the mean distance to the subspace falls from .124 to .118; the share is .75 to
.82 there, .88 on a steep tanh without a jump, .92 and more on Li's M5 (measured)."""

CHARGE = 2.0
"""What the approximation finds that fitting has gained is counted twice: it sees what a small change of the student can
fit, not the search for directions and for the places of its units (Friedman 1991 charges an adaptive spline so). Where
noise dominates the true gain is two to three times the one found (measured)."""

TOL, STEPS, MANY_STEPS = 1e-4, 70, 200
"""Gradient norm at which candidates are compared, and most steps of one. Where the indices are many 70 steps end far
from the minimum, and the losses tell less: on concrete the steep path was then left out in two of ten folds."""

LEAST_ROWS = 8
"""Rows for each entry of the indices from which leave-one-out losses are trusted. They count what a small change of the
student can fit, and with fewer rows the search for directions fits more than that (measured: R2 below 0). Nor are they
trusted with fewer rows than parameters: 40 rows of noise in two features got a wild student of 65 (measured)."""


def has_leave_one_out(spec: StudentSpec, data: StudentData, rank: int | None) -> bool:
    """Whether the refined student is small enough for its leverages, and the rows are many enough to trust them."""
    from sklearn_derand.problems.gauss_newton import MAX_ORDER

    n_features, n_params = data.inputs.shape[1], spec.network(data, rank).n_params
    least = max(LEAST_ROWS * (rank or n_features) * n_features, n_params)
    return n_params <= MAX_ORDER and data.n_samples() >= least


def are_many(rank: int | None, n_features: int) -> bool:
    """Whether so many indices leave the low-dimensional structure in doubt."""
    return rank is None or rank > MANY * n_features


def with_decay(path, weight_decay: float | None) -> list[tuple[float, float]]:
    """Return a path of (penalty, decay) pairs with the user's decay in all, where there is one, each pair once."""
    return list(path) if weight_decay is None else list(dict.fromkeys((penalty, weight_decay) for penalty, _ in path))


class Found(NamedTuple):
    """A refined student: its leave-one-out loss, its first-layer penalty, what else it was made of, its parameters."""

    loss: float
    penalty: float
    spec: StudentSpec
    params: Tensor


def choose_penalties(
    data: StudentData, spec: StudentSpec, rank: int | None, start, weight_decay: float | None, free: bool, seed: int
) -> Found:
    """Descend along pairs of penalties, each from the last, and keep the best approximate leave-one-out loss.

    Parameters
    ----------
    data : StudentData
        All rows.
    spec : StudentSpec
        The student.
    rank : int or None
        Number of indices; None for all directions.
    start : Tensor
        A student of this rank.
    weight_decay : float or None
        The user's; None to choose it.
    free : bool
        Whether the activation is to be chosen too.
    seed : int
        Seed of the descents.

    Returns
    -------
    Found
        Its spec has the weight decay and the activation; the final descent may begin at its parameters.
    """
    paths = (SUPPLE, SUPPLEST, STEEP, JUMPS, STIFF)
    supple, supplest, steep, jumps, stiff = (with_decay(path, weight_decay) for path in paths)

    many = are_many(rank, data.inputs.shape[1])

    def attempt(pair, activation, start):
        penalty, decay = pair
        student = replace(spec, activation=activation, weight_decay=decay)
        return _descend(data, student, rank, penalty, start, seed, MANY_STEPS if many else STEPS)

    def follow(best, path, share=1.0):
        for pair in path:
            found = attempt(pair, best.spec.activation, best.params)
            if found.loss >= share * best.loss:
                break
            best = found
        return best

    first = attempt(supple[0], spec.activation, start)
    if free and rank is not None:
        fresh = fresh_student(first.spec.network(data, rank), first.params, seed)
        other = attempt(supple[0], LINEAR_TAILS, fresh)
        if first.loss >= JUMP * other.loss:
            first, start, jumps = other, fresh, []
        elif first.loss < LEAP * other.loss:
            supple, jumps = [*supple[:2], *jumps[:1]], []
    best = follow(follow(first, supple[1:]), jumps, STEEPER)
    if not many and (best.penalty, best.spec.weight_decay) == SUPPLE[-1]:
        best = follow(best, supplest, ROUGH)
    if many:
        rough = follow(first, steep, 1.0 / ROUGH)
        best = rough if rough.loss < (ROUGH if rank else BOUNDED) * best.loss else best
    if best is first:
        # From the start again: what a supple student has fitted to noise a stiff one does not give back
        firm = attempt(stiff[0], first.spec.activation, start)
        best = follow(firm, stiff[1:]) if firm.loss < first.loss else first
    return best


def settle(
    data: StudentData, spec: StudentSpec, rank: int | None, start, full, *, weight_decay, free, open_rank, seed
) -> tuple[int | None, Found]:
    """Choose the penalties, and all features in place of many indices where these leave clearly less.

    Parameters
    ----------
    data, spec, rank, start, weight_decay, free, seed
        As in ``choose_penalties``.
    full : Tensor
        The full student.
    open_rank : bool
        Whether ``rank`` was chosen, so that it may be given up.

    Returns
    -------
    rank : int or None
        None for all features.
    found : Found
        The student.
    """
    found = choose_penalties(data, spec, rank, start, weight_decay, free, seed)
    n_features = data.inputs.shape[1]
    if rank is None or not (open_rank and are_many(rank, n_features) and has_leave_one_out(spec, data, None)):
        return rank, found
    # The rows set aside for the choice of the number were few: leave-one-out sees more
    every = choose_penalties(data, spec, None, full, weight_decay, free, seed)
    share = ALL * BOUNDED if found.spec.weight_decay < every.spec.weight_decay else ALL
    return (None, every) if every.loss < share * found.loss else (rank, found)


def _descend(data, spec, rank, penalty, start, seed, steps) -> Found:
    from sklearn_derand.problems.leave_one_out import leave_one_out_losses

    penalties = penalty, spec.weight_decay
    risk, solution = descend_briefly(data, spec, rank, penalties, start, seed, tol=TOL, steps=steps)
    left_out, fitted, weights = leave_one_out_losses(risk, solution.params)
    loss = data.ranks.sum((weights @ (fitted + CHARGE * (left_out - fitted))).item())
    return Found(loss if np.isfinite(loss) else np.inf, penalty, spec, solution.params)
