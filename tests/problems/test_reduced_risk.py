"""The risk with its last layer at the minimiser: below every other last layer, with the gradient of what it is."""

import dataclasses

import pytest
import torch

from sklearn_derand.engine import MetricLBFGS, VariableProjection, check_gradient, minimize
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.problems.gauss_newton import gauss_newton_factor
from sklearn_derand.problems.losses import log_cosh, squared_error
from sklearn_derand.problems.multi_index import StudentRisk
from sklearn_derand.problems.reduced_risk import ReducedRisk, is_separable
from sklearn_derand.problems.student_network import StudentNetwork

F64 = torch.float64
SHAPES = [{}, {"rank": 2}, {"rank": 2, "n_outputs": 2}, {"hidden_layer_sizes": (4, 3)}, {"train_bias": False}]


def make_risk(n=60, **shape):
    generator = torch.Generator().manual_seed(0)
    network = StudentNetwork(**({"n_inputs": 3, "n_outputs": 1, "hidden_layer_sizes": (4,)} | shape))
    inputs = torch.randn(n, 3, generator=generator, dtype=F64)
    targets = torch.randn(n, network.n_outputs, generator=generator, dtype=F64) + inputs[:, :1] * inputs[:, 1:2]
    weights = torch.rand(n, generator=generator, dtype=F64)
    risk = StudentRisk(network, inputs, targets, weights / weights.sum(), squared_error, 0.02, weight_decay=0.01)
    return risk, network.initial(generator)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_last_layer_is_at_its_minimiser(shape):
    risk, start = make_risk(**shape)
    reduced = ReducedRisk(risk)
    kept = reduced.restrict(start)
    whole = reduced.complete(kept)
    value, gradient = Derivatives(risk).value_and_gradient(whole)
    assert value == pytest.approx(float(reduced.value(kept)), rel=1e-12)
    assert gradient[len(kept) :].abs().max() < 1e-13
    torch.testing.assert_close(Derivatives(reduced).value_and_gradient(kept)[1], gradient[: len(kept)])
    assert check_gradient(reduced, kept, random_state=0).passed
    for seed in range(5):  # no other last layer does better
        other = whole.clone()
        other[len(kept) :] += torch.randn(
            len(other) - len(kept), generator=torch.Generator().manual_seed(seed), dtype=F64
        )
        assert risk.value(other) > value


@pytest.mark.parametrize("shape", [*SHAPES[:-1], {"rank": 1, "train_bias": False}], ids=str)
def test_its_metric_is_the_schur_complement(shape):
    """The inverse of a Schur complement is a block of the inverse."""
    risk, start = make_risk(**shape)
    reduced = ReducedRisk(risk)
    kept = reduced.restrict(start)
    small = reduced.metric(kept, damping=1e-9).rest
    large = gauss_newton_factor(risk, reduced.complete(kept), damping=1e-9).rest
    size = len(small)
    expected = torch.linalg.inv(torch.linalg.inv(large @ large.T)[:size, :size])
    torch.testing.assert_close(small @ small.T, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_projected_descent_ends_where_the_plain_one_does_and_sooner():
    """From a start near the minimum of a student whose small decay makes a long valley."""
    risk, start = make_risk(n=200, rank=1)
    near = minimize(risk, start, tol=1e-3, curvature_tol=1e6, random_state=0).params
    supple = dataclasses.replace(risk, alpha=1e-3, weight_decay=1e-6)
    reduced = ReducedRisk(supple)

    def metric(damping):
        return lambda params: gauss_newton_factor(supple, params, damping)

    plain = minimize(supple, near, solver=MetricLBFGS(metric(1e-3)), tol=1e-6, random_state=0)
    on_reduced = MetricLBFGS(lambda kept: reduced.metric(kept, 1e-3), finish=False)
    solver = VariableProjection(reduced, on_reduced, MetricLBFGS(metric(1e-3)))
    projected = minimize(supple, near, solver=solver, tol=1e-6, random_state=0)
    assert projected.certificate.holds and plain.certificate.holds
    assert projected.value <= plain.value + 1e-6
    assert projected.n_iter < plain.n_iter
    # The history is told in all variables
    assert projected.history["value"][-1] == pytest.approx(projected.value, rel=1e-9)


def test_only_a_squared_error_with_decay_separates():
    risk, _ = make_risk()
    assert is_separable(risk)
    for other in ({"loss": log_cosh}, {"weight_decay": 0.0}, {"scale": torch.ones(1, dtype=F64)}):
        assert not is_separable(dataclasses.replace(risk, **other))
