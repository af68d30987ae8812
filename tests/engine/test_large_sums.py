"""Sums over many terms: derivatives accumulated in parts, descents that begin on growing batches."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from sklearn_derand.engine import Status, certify, minimize
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.engine.lipschitz import third_derivative_norm

SETTINGS = {"tol": 1e-6, "curvature_tol": 1e-3, "random_state": 0}


@dataclass
class Neuron:
    """``mean over rows of (tanh(a'p) - y)^2 / 2 + 1e-2 ||p||^2``, whole or a share of it."""

    inputs: Tensor
    targets: Tensor
    share: float = 1.0
    n_parts: int = 1
    lies: bool = False
    largest: int = 0

    @property
    def n_terms(self):
        return len(self.inputs)

    def value(self, params):
        self.largest = max(self.largest, len(self.inputs))
        fit = 0.5 * (torch.tanh(self.inputs @ params) - self.targets).square().mean()
        return self.share * (fit + 1e-2 * params.square().sum())

    def batch(self, indices):
        targets = -self.targets if self.lies else self.targets
        return Neuron(self.inputs[indices], targets[indices])


@dataclass
class InParts(Neuron):
    """The same, by blocks of rows."""

    def __post_init__(self):
        rows = zip(self.inputs.tensor_split(self.n_parts), self.targets.tensor_split(self.n_parts), strict=True)
        self.blocks = [Neuron(a, y, share=len(a) / self.n_terms) for a, y in rows]

    def parts(self):
        return self.blocks


def draw(n=400, d=70, kind=Neuron, **settings):
    draws = torch.Generator().manual_seed(1)
    scales = torch.logspace(-1.0, 0.7, d, dtype=torch.float64)
    inputs = torch.randn(n, d, generator=draws, dtype=torch.float64) * scales
    teacher = torch.randn(d, generator=draws, dtype=torch.float64) / d**0.5
    noise = 0.1 * torch.randn(n, generator=draws, dtype=torch.float64)
    return kind(inputs, torch.tanh(inputs @ teacher) + noise, **settings)


def start(d=70):
    return 0.1 * torch.randn(d, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_parts_add_up_to_the_whole_in_every_derivative():
    whole, parts = Derivatives(draw()), Derivatives(draw(kind=InParts, n_parts=7))
    params, vector = start(), torch.ones(70, dtype=torch.float64)
    assert parts.value(params) == pytest.approx(whole.value(params), rel=1e-13)
    for ours, reference in zip(parts.value_and_gradient(params), whole.value_and_gradient(params), strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-12, atol=1e-14)
    for method in ("hessian_product", "second_slope"):
        ours, reference = (getattr(derivatives, method)(params)(vector) for derivatives in (parts, whole))
        torch.testing.assert_close(ours, reference, rtol=1e-11, atol=1e-13)
    assert (parts.n_fev, parts.n_hvp) == (whole.n_fev, whole.n_hvp)
    measured = [third_derivative_norm(d, params, torch.Generator().manual_seed(0)) for d in (parts, whole)]
    assert measured[0] == pytest.approx(measured[1], rel=1e-8)


def test_a_sum_in_parts_is_certified_whole_and_never_evaluated_whole():
    objective = draw(kind=InParts, n_parts=7)
    solution = minimize(objective, start(), **SETTINGS)
    assert solution.status is Status.CERTIFIED
    assert objective.largest == 0
    assert max(part.largest for part in objective.blocks) == 58
    assert certify(draw(), solution.params, tol=1.01e-6, random_state=1).holds
    torch.testing.assert_close(solution.params, minimize(draw(), start(), **SETTINGS).params, rtol=0, atol=1e-4)


def test_an_objective_of_no_parts_is_refused():
    objective = draw()
    objective.parts = list
    with pytest.raises(ValueError, match="no part"):
        minimize(objective, start())


def test_batches_are_grown_and_the_certificate_is_of_all_terms():
    seen = []
    objective = draw(n=4000)
    solution = minimize(
        objective, start(), batch_size=40, callback=lambda so_far: seen.append(so_far.value), **SETTINGS
    )
    assert solution.status is Status.CERTIFIED
    assert solution.n_batch_fev > 0
    assert all(after <= before + 1e-15 for before, after in itertools.pairwise(seen))
    assert certify(draw(n=4000), solution.params, tol=1.01e-6, random_state=1).holds
    again = minimize(draw(n=4000), start(), batch_size=40, **SETTINGS)
    assert torch.equal(again.params, solution.params)


def test_batches_save_evaluations_of_the_whole():
    """Lower after three looks at the whole than the descent on the whole after as many steps."""
    plain, batched = (minimize(draw(n=4000), start(), batch_size=b, max_iter=3, **SETTINGS) for b in (None, 40))
    assert batched.n_fev <= plain.n_fev
    assert batched.value < plain.value - 1e-2


def test_batches_that_lead_uphill_are_rolled_back():
    objective = draw(n=4000, lies=True)
    solution = minimize(objective, start(), batch_size=40, max_iter=0, **SETTINGS)
    assert torch.equal(solution.params, start())
    solution = minimize(objective, start(), batch_size=40, **SETTINGS)
    assert solution.status is Status.CERTIFIED
    assert np.all(np.diff(solution.history["value"]) <= 1e-15)
    assert certify(draw(n=4000), solution.params, tol=1.01e-6, random_state=1).holds


@pytest.mark.parametrize("batch_size", [0, 7, 2.5, -1])
def test_a_batch_size_that_tells_no_sampling_error_is_refused(batch_size):
    with pytest.raises(ValueError, match="batch_size must be"):
        minimize(draw(), start(), batch_size=batch_size)


def test_a_batch_size_without_terms_is_refused():
    with pytest.raises(ValueError, match="n_terms"):
        minimize(lambda p: p.square().sum(), start(), batch_size=10)
