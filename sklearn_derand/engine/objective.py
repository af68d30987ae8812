"""What the engine asks of a function ``f: R^n -> R``."""

from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Generator, Tensor


@runtime_checkable
class Objective(Protocol):
    """A smooth ``f(params) = E_x[g(W x + b)] + penalty`` on R^n, as one scalar tensor.

    ``value`` is all that a problem must write: derivatives come from torch's automatic differentiation,
    so it must be twice differentiable by it. Three optional methods make the randomness visible, a fourth makes the
    certificate cheap:

    ``initial(generator) -> Tensor``
        The random law to be derandomised: where the descent starts when no ``params`` are given.
    ``noise(params) -> Tensor``
        The block ``W``. Leave it out where ``W`` is not identified by the objective alone.
    ``noise_blocks() -> NoiseBlocks``
        The positions of ``W`` and ``b`` and the penalty, where ``f`` has the lemma's form in these very coordinates:
        the certificate then bounds ``||W||``.

    ``metric(params, shift) -> Metric or None``
        A factor of a positive definite matrix close to ``Hess f(params) + shift I``. The certificate is then had in its
        coordinates, in far fewer products; no claim rests on it. See ``engine.metric``.

    A sum over many terms, such as a risk over the rows of a table, may offer two things more:

    ``parts() -> Sequence[Objective]``
        Objectives whose values add up to this one's, say one for each block of rows (a penalty belongs to one of them,
        or in shares to all). Value, gradient, Hessian-vector products, and with them the certificate, are then
        accumulated part by part over the whole sum, with the memory of one part. Every part must depend on ``params``.
    ``n_terms: int`` and ``batch(indices: Tensor) -> Objective``
        The number of terms, and the objective of those in ``indices`` (distinct, int64, on the CPU), so scaled that its
        value and gradient are unbiased for these over uniformly drawn indices: the sum of the chosen terms times
        ``n_terms / len(indices)``, and any penalty whole. It may offer ``parts`` in turn. This is what
        ``minimize(batch_size=...)`` descends on at first; see ``engine.growing_batches``.

    The engine does not verify that ``value`` is smooth everywhere; the certificate compares it with its own
    gradient near the point that it certifies, no more.
    """

    def value(self, params: Tensor) -> Tensor:
        """Return ``f(params)`` as a 0-d tensor."""
        ...


class CallableObjective:
    """A plain function of one flat tensor, as an :class:`Objective`."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self.value = function


def as_objective(objective: Objective | Callable[[Tensor], Tensor]) -> Objective:
    """Return ``objective`` itself, or a plain callable wrapped.

    Parameters
    ----------
    objective : Objective or callable
        An object with a method ``value(params)``, or a function of one flat tensor.

    Returns
    -------
    Objective

    Raises
    ------
    TypeError
        If it is neither.
    """
    if callable(getattr(objective, "value", None)):
        return cast(Objective, objective)
    if callable(objective):
        return CallableObjective(objective)
    raise TypeError(f"objective must have a method value(params) or be callable; got {type(objective).__name__}.")


@runtime_checkable
class HasBatches(Protocol):
    """A sum over ``n_terms`` terms of which a few stand for all."""

    n_terms: int

    def batch(self, indices: Tensor) -> Objective:
        """Return the objective of the terms chosen, unbiased for the whole."""
        ...


def parts_of(objective: Objective) -> list[Objective]:
    """Return the objectives whose values add up to this one's: itself, unless it has a method ``parts``.

    Parameters
    ----------
    objective : Objective
        With or without a method ``parts()``.

    Returns
    -------
    list of Objective
        Not empty.

    Raises
    ------
    ValueError
        If ``parts()`` returns none.
    """
    split = getattr(objective, "parts", None)
    parts = [objective] if split is None else list(split())
    if not parts:
        raise ValueError("objective.parts() returned no part; it must return objectives whose values add up to it.")
    return parts


def initial_params(objective: Objective, generator: Generator) -> Tensor:
    """Draw the start that the objective itself proposes.

    Parameters
    ----------
    objective : Objective
        One with a method ``initial(generator)``.
    generator : torch.Generator
        The only source of randomness.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        If the objective has no ``initial``.
    """
    draw = getattr(objective, "initial", None)
    if draw is None:
        raise ValueError("params=None needs an objective with a method initial(generator); pass params= as the start.")
    return draw(generator)


def noise_norm(objective: Objective, params: Tensor) -> float:
    """Return ``||W||_F`` as the objective names it, or nan.

    Parameters
    ----------
    objective : Objective
        With or without a method ``noise(params)``.
    params : Tensor of shape (n,)
        Where.

    Returns
    -------
    float
    """
    block, noise = None, getattr(objective, "noise", None)
    if callable(noise):
        with torch.no_grad():
            block = noise(params)
    return float("nan") if block is None else block.norm().item()
