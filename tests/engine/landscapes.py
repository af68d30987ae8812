"""Functions with known minima, and functions that no honest solver can minimise; each with an awkward start."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=_generator(seed), dtype=torch.float64)


@dataclass(frozen=True)
class Landscape:
    """A function, a start, its least value where a descent must find it, and the Statuses allowed at the end."""

    function: Callable[[Tensor], Tensor]
    start: Tensor
    minimum: float | None = None
    endings: tuple[str, ...] = ("CERTIFIED",)
    hard_for_gradients: bool = False


def matrix_factorisation() -> Landscape:
    """``||X Y' - M||^2 / 2`` of exact rank from the origin, a strict saddle."""
    rows, columns, rank = 12, 10, 2
    target = _normal(rows, rank, seed=1) @ _normal(rank, columns, seed=2) / 4

    def function(params):
        left, right = params[: rows * rank].view(rows, rank), params[rows * rank :].view(columns, rank)
        return 0.5 * (left @ right.T - target.to(params)).square().sum()

    return Landscape(function, torch.zeros((rows + columns) * rank, dtype=torch.float64), 0.0)


def phase_retrieval() -> Landscape:
    """``mean ((a'p)^2 - y)^2 / 4`` from the origin, where the gradient is zero."""
    design, signal = _normal(480, 80, seed=3), _normal(80, seed=4)
    target = (design @ (signal / signal.norm())) ** 2

    def function(params):
        return ((design.to(params) @ params) ** 2 - target.to(params)).square().mean() / 4

    return Landscape(function, torch.zeros(80, dtype=torch.float64), 0.0)


def burer_monteiro() -> Landscape:
    """MAXCUT of the odd cycle of 9 by unit vectors, all equal at the start: a strict saddle.

    The relaxation of an odd cycle is solved in closed form: ``n cos(pi (n-1)/n) / 2`` here.
    """
    n, rank = 9, 6
    neighbours = torch.arange(n).roll(-1)

    def function(params):
        vectors = params.view(n, rank)
        unit = vectors / vectors.norm(dim=1, keepdim=True)
        return 0.5 * (unit * unit[neighbours]).sum()

    start = torch.zeros(n, rank, dtype=torch.float64)
    start[:, 0] = 1.0
    angle = torch.tensor(torch.pi * (n - 1) / n, dtype=torch.float64)
    return Landscape(function, start.reshape(-1), 0.5 * n * torch.cos(angle).item())


def teacher_student() -> Landscape:
    """A tanh student of a tanh teacher, with decay, from the origin: every weight 0 is a saddle."""
    inputs = _normal(80, 6, seed=5)
    target = torch.tanh(inputs @ _normal(6, seed=6))

    def function(params):
        first, bias, last = params[:18].view(6, 3), params[18:21], params[21:24]
        output = torch.tanh(inputs.to(params) @ first + bias) @ last
        return 0.5 * (output - target.to(params)).square().mean() + 5e-3 * params.square().sum()

    return Landscape(function, torch.zeros(24, dtype=torch.float64))


def ill_conditioned() -> Landscape:
    """A quartic in a rotated frame with condition number 1e6."""
    frame = torch.linalg.qr(_normal(20, 20, seed=7)).Q
    scales = torch.logspace(-2, 4, 20, dtype=torch.float64)

    def function(params):
        inner = frame.to(params) @ params
        return 0.5 * (scales.to(params) * inner.square()).sum() + 0.25 * inner.square().sum().square()

    return Landscape(function, torch.ones(20, dtype=torch.float64), 0.0, hard_for_gradients=True)


def flat() -> Landscape:
    """``sum p^4``: the Hessian vanishes at the minimum."""
    return Landscape(lambda params: params.pow(4).sum(), torch.ones(5, dtype=torch.float64), 0.0)


def unbounded() -> Landscape:
    """``p0^2 - p1^2``: a saddle, and no minimum."""
    return Landscape(
        lambda params: params[0] ** 2 - params[1] ** 2, torch.tensor([1.0, 0.0], dtype=torch.float64),
        endings=("DIVERGED", "NOT_FINITE", "MAX_ITER", "MAX_ESCAPES"),
    )  # fmt: skip


def scale_invariant() -> Landscape:
    """A Rayleigh quotient from an eigenvector of neither end: flat far out, its minimum is the least eigenvalue."""
    values = torch.arange(1.0, 81.0, dtype=torch.float64)
    start = torch.zeros(80, dtype=torch.float64)
    start[40] = 1.0
    return Landscape(lambda params: (values.to(params) * params.square()).sum() / params.square().sum(), start, 1.0)


def not_a_number() -> Landscape:
    """``log p0 + p1^2``: falls towards a wall beyond which it is NaN."""
    return Landscape(
        lambda params: params[0].log() + params[1] ** 2, torch.ones(2, dtype=torch.float64),
        endings=("STALLED", "NOT_FINITE", "DIVERGED", "MAX_ITER", "NOT_SMOOTH"),
    )  # fmt: skip


def kink() -> Landscape:
    """``|p0| + p1^2``: the gradient jumps at the minimum."""
    return Landscape(
        lambda params: params[0].abs() + params[1] ** 2, torch.tensor([0.7, 1.0], dtype=torch.float64),
        endings=("STALLED", "NOT_SMOOTH"),
    )  # fmt: skip


LANDSCAPES = {
    make.__name__: make
    for make in (
        matrix_factorisation,
        phase_retrieval,
        burer_monteiro,
        teacher_student,
        ill_conditioned,
        flat,
        unbounded,
        scale_invariant,
        not_a_number,
        kink,
    )
}
