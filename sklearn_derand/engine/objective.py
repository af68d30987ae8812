"""What the engine asks of a function ``f: R^n -> R``."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor


@runtime_checkable
class Objective(Protocol):
    """A smooth ``f(params) = E_x[g(W x + b)] + penalty`` on R^n, as one scalar tensor.

    ``value`` is all that a problem must write: derivatives come from torch's automatic differentiation,
    so it must be twice differentiable by it. Three optional methods make the randomness visible:

    ``initial(generator) -> Tensor``
        The random law to be derandomised: where the descent starts when no ``params`` are given.
    ``noise(params) -> Tensor``
        The block ``W``. Leave it out where ``W`` is not identified by the objective alone.
    ``noise_blocks() -> NoiseBlocks``
        The positions of ``W`` and ``b`` and the penalty, where ``f`` has the lemma's form in these very coordinates:
        the certificate then bounds ``||W||``.

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


def as_objective(objective) -> Objective:
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
        return objective
    if callable(objective):
        return CallableObjective(objective)
    raise TypeError(f"objective must have a method value(params) or be callable; got {type(objective).__name__}.")


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
    block = None
    if callable(getattr(objective, "noise", None)):
        with torch.no_grad():
            block = objective.noise(params)
    return float("nan") if block is None else block.norm().item()
