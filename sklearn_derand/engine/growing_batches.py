"""Descend on growing batches of the terms of a large sum, before the whole sum is looked at.

A batch tells the way as long as its gradient is larger than its sampling error; then more terms are due (Byrd, Chin,
Nocedal and Wu, "Sample size selection in optimization methods for machine learning", 2012). The batches are the
beginnings of one random order of the terms, each ``GROWTH`` times the last, so that all of them together cost little
more than the largest. What a batch leads to is accepted only where the whole sum is lower there; a certificate never
rests on a batch.
"""

from numbers import Integral

import numpy as np
import torch
from torch import Generator, Tensor

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.lbfgs import LBFGS
from sklearn_derand.engine.objective import HasBatches, Objective
from sklearn_derand.engine.solution import Solution
from sklearn_derand.engine.solver import Point, Progress

GROWTH = 4
"""Each batch has this many times the terms of the last."""
GROUPS = 8
"""The sampling error of a batch is read off the gradients of this many groups of its terms."""
MAX_STEPS = 60
"""Most L-BFGS steps on one batch."""
CHECK_EVERY = 10
"""Steps after which the sampling error, which changes along the way, is measured anew."""


def check_batches(objective: Objective, batch_size: int | None) -> None:
    """Refuse a batch size that the objective cannot serve, or that tells no sampling error."""
    if batch_size is None:
        return
    if not isinstance(batch_size, Integral) or batch_size < GROUPS:
        raise ValueError(f"batch_size must be None or an integer of at least {GROUPS}; got {batch_size!r}.")
    if not isinstance(objective, HasBatches):
        raise ValueError(
            f"batch_size={batch_size} needs an objective with n_terms and batch(indices); {type(objective).__name__} "
            "has none. Use batch_size=None."
        )


def descend_on_batches(
    derivatives: Derivatives, point: Point, *, batch_size: int, generator: Generator, progress: Progress
) -> Point:
    """Go down on batches of ``batch_size`` terms and more, up to half of them.

    Parameters
    ----------
    derivatives : Derivatives
        Of an objective with batches.
    point : Point
        The start.
    batch_size : int
        Terms of the first batch.
    generator : torch.Generator
        Source of the order of the terms.
    progress : Progress
        Told of each batch's end where it is accepted.

    Returns
    -------
    Point
        Not higher than ``point``.
    """
    objective = derivatives.objective
    assert isinstance(objective, HasBatches)  # as check_batches saw
    order = torch.randperm(objective.n_terms, generator=generator)
    size = int(batch_size)
    while point.status is None and 2 * size <= objective.n_terms:
        end = _descend_on(objective, order[:size], point.params, derivatives)
        if end is not None:
            trial = Point.at(derivatives, end)
            if trial.finite and trial.value < point.value:
                trial.status = progress.accept(trial)
                point = trial
        size *= GROWTH
    return point


def _descend_on(objective: HasBatches, indices: Tensor, params: Tensor, derivatives: Derivatives) -> Tensor | None:
    """Return where the batch's gradient is within its sampling error, ``None`` where it is from the beginning."""
    batch = Derivatives(objective.batch(indices))
    start = Point.at(batch, params)
    error = _sampling_error(objective, indices, params)

    def drowned(so_far: Solution) -> bool:
        nonlocal error
        if so_far.n_iter % CHECK_EVERY == 0 and so_far.n_iter:
            error = _sampling_error(objective, indices, so_far.params)
        return so_far.history["gradient_norm"][-1] <= error

    progress = Progress(batch, MAX_STEPS, drowned)
    start.status = progress.start(start)
    end = start
    if start.status is None:
        end = LBFGS(products=0).descend(batch, start, tol=0.0, progress=progress)
    derivatives.n_batch_fev += batch.n_fev
    return end.params if progress.n_iter else None


def _sampling_error(objective: HasBatches, indices: Tensor, params: Tensor) -> float:
    """Return the standard error of the batch's gradient as an estimate of the whole one, in norm."""
    groups = [group for group in indices.tensor_split(GROUPS) if len(group)]
    gradients = torch.stack([Derivatives(objective.batch(group)).value_and_gradient(params)[1] for group in groups])
    variance = gradients.var(dim=0).sum().item() / len(groups)
    return float(np.sqrt(variance * (1 - len(indices) / objective.n_terms)))
