"""Derivatives against finite differences; the user's own checks find what is wrong."""

import numpy as np
import pytest
import torch
from landscapes import LANDSCAPES

from sklearn_derand.engine import check_gradient, check_hessian
from sklearn_derand.engine.derivatives import Derivatives

SMOOTH = [name for name in LANDSCAPES if name not in ("kink", "not_a_number")]


def somewhere(landscape, seed=0):
    draws = torch.randn(landscape.start.numel(), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return landscape.start + 0.3 * draws


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_and_products_match_central_differences(name):
    landscape = LANDSCAPES[name]()
    derivatives = Derivatives(landscape.function)
    params = somewhere(landscape)
    value, gradient, product = derivatives.all_orders(params)
    assert value == derivatives.value(params)
    assert torch.equal(gradient, derivatives.value_and_gradient(params)[1])
    direction = torch.nn.functional.normalize(somewhere(landscape, 1), dim=0)
    step = 1e-5
    ahead, behind = (derivatives.value_and_gradient(params + s * direction) for s in (step, -step))
    slope = (ahead[0] - behind[0]) / (2 * step)
    image = (ahead[1] - behind[1]) / (2 * step)
    assert torch.dot(gradient, direction).item() == pytest.approx(slope, rel=1e-5, abs=1e-7)
    torch.testing.assert_close(product(direction), image, rtol=1e-4, atol=1e-5)
    dense = derivatives.dense_hessian(params)
    torch.testing.assert_close(dense, dense.T, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(dense @ direction, product(direction), rtol=1e-9, atol=1e-9)


def test_every_evaluation_is_counted():
    derivatives = Derivatives(lambda p: p.square().sum())
    params = torch.ones(4, dtype=torch.float64)
    derivatives.value(params)
    derivatives.value_and_gradient(params)
    product = derivatives.hessian_product(params)
    product(params)
    product(params)
    assert (derivatives.n_fev, derivatives.n_hvp) == (3, 2)
    derivatives.dense_hessian(params)
    assert (derivatives.n_fev, derivatives.n_hvp) == (4, 6)


def test_linear_and_constant_parts_have_hessian_zero():
    derivatives = Derivatives(lambda p: 3 * p[0] + 0 * p[1])
    assert derivatives.dense_hessian(torch.ones(2, dtype=torch.float64)).abs().max() == 0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda p: p.square(), "0-d"),
        (lambda p: 1.0, "0-d"),
        (lambda p: p.detach().sum(), "does not depend on params"),
    ],
)
def test_an_objective_that_cannot_work_is_told_so(function, message):
    with pytest.raises(TypeError, match=message):
        Derivatives(function).value_and_gradient(torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("name", SMOOTH)
def test_taylor_tests_pass_on_what_is_smooth(name):
    landscape = LANDSCAPES[name]()
    assert check_gradient(landscape.function, somewhere(landscape), random_state=0).passed
    assert check_hessian(landscape.function, somewhere(landscape), random_state=0).passed


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x.exp() * 1.001


class WrongHessian(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x.exp().detach()


def test_taylor_tests_find_a_wrong_derivative():
    params = torch.linspace(-1, 1, 5, dtype=torch.float64)

    def gradient_wrong(p):
        return WrongGradient.apply(p).sum()

    def hessian_wrong(p):
        return (WrongHessian.apply(p) + p.square()).sum()

    assert not check_gradient(gradient_wrong, params, random_state=0).passed
    assert check_gradient(hessian_wrong, params, random_state=0).passed
    test = check_hessian(hessian_wrong, params, random_state=0)
    assert not test.passed
    assert test.order == pytest.approx(2, abs=0.1)
    assert np.all(np.diff(test.steps) < 0)
