"""What every objective owes the engine, whatever it computes: laws that a new problem is run through."""

import copy

import numpy as np
import torch

from sklearn_derand.engine import check_gradient, check_hessian
from sklearn_derand.engine.derivatives import Derivatives


def assert_conforms(objective, params: torch.Tensor) -> None:
    """Check shape, purity, and both derivatives by Taylor remainder, at one point."""
    before = params.clone()
    value = objective.value(params)
    assert value.dim() == 0
    assert value.dtype == torch.float64
    assert torch.isfinite(value)
    assert torch.equal(value, objective.value(params)), "value must not draw"
    assert torch.equal(params, before), "value must not write to params"
    assert check_gradient(objective, params, random_state=0).passed
    assert check_hessian(objective, params, random_state=0).passed
    _assert_symmetric(objective, params)


def _assert_symmetric(objective, params: torch.Tensor) -> None:
    draws = torch.Generator().manual_seed(1)
    left, right = torch.randn(2, params.numel(), generator=draws, dtype=torch.float64).to(params.device)
    product = Derivatives(objective).hessian_product(params)
    there, back = torch.dot(left, product(right)), torch.dot(right, product(left))
    scale = left.norm() * product(right).norm() + right.norm() * product(left).norm()
    assert abs(there - back) <= 1e-10 * scale, "the Hessian is not symmetric: the second derivative is wrong"


def moved(problem, device):
    """Return a copy whose tensors, also those of what it is made of, are on ``device``."""
    if isinstance(problem, torch.Tensor):
        return problem.to(device)
    if isinstance(problem, (tuple, list)):
        return type(problem)(moved(each, device) for each in problem)
    if not type(problem).__module__.startswith("sklearn_derand"):
        return problem
    twin = copy.copy(problem)
    for name, value in vars(problem).items():
        object.__setattr__(twin, name, moved(value, device))
    return twin


def assert_initial_is_reproducible(objective) -> None:
    """Check that ``initial`` depends on its generator alone and proposes a point that the engine accepts."""
    first, again, other = (objective.initial(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.dim() == 1
    assert first.dtype == torch.float64
    assert torch.equal(first, again)
    assert first.shape == other.shape


def assert_noise_is_a_block(objective, params: torch.Tensor) -> None:
    """Check that the noise, where it is named, is a finite tensor that the value depends on."""
    if not hasattr(objective, "noise"):
        return
    block = objective.noise(params)
    if block is not None:
        assert torch.isfinite(block).all()


def assert_value_is_the_expectation(objective, params, draws: np.ndarray) -> None:
    """Check the closed form against Monte Carlo: within four standard errors of the mean of ``draws``."""
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    assert error > 0
    assert abs(objective.value(params).item() - draws.mean()) <= 4 * error


def assert_invariant(objective, params: torch.Tensor, moved: torch.Tensor) -> None:
    """Check that two parametrisations of the same law have the same value."""
    assert not torch.equal(params, moved)
    torch.testing.assert_close(objective.value(moved), objective.value(params), rtol=1e-11, atol=1e-12)
