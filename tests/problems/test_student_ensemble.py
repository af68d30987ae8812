"""The sum of several students' risks: its blocks, its metric, and the one student that predicts their mean."""

import dataclasses

import pytest
import torch

from sklearn_derand.engine import certify, minimize
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.problems.losses import log_cosh, squared_error
from sklearn_derand.problems.multi_index import LARGE_SHIFT, StudentRisk
from sklearn_derand.problems.student_ensemble import StudentEnsembleRisk
from sklearn_derand.problems.student_network import StudentNetwork

F64 = torch.float64
N, D = 120, 3
SHAPES = [
    {},
    {"hidden_layer_sizes": (4, 3)},
    {"hidden_layer_sizes": (4, 3, 2), "n_outputs": 2},
    {"train_bias": False},
    {"rank": 2},
]


def make_ensemble(n_members=3, loss=squared_error, **shape):
    generator = torch.Generator().manual_seed(0)
    network = StudentNetwork(**({"n_inputs": D, "n_outputs": 1, "hidden_layer_sizes": (4,)} | shape))
    inputs = torch.randn(N, D, generator=generator, dtype=F64)
    targets = torch.sin(3 * inputs[:, :1]) * inputs[:, 1:2] + inputs[:, 2:]
    targets = targets.expand(N, network.n_outputs)
    risk = StudentRisk(network, inputs, targets, torch.full((N,), 1 / N, dtype=F64), loss, 0.02, weight_decay=1e-3)
    params = torch.cat([network.initial(generator) for _ in range(n_members)])
    return StudentEnsembleRisk(risk, n_members), 2.0 * params


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_sum_is_block_diagonal_in_its_members(shape):
    ensemble, params = make_ensemble(**shape)
    one, all_members = Derivatives(ensemble.risk), Derivatives(ensemble)
    members = ensemble.members(params)
    alone = [one.value_and_gradient(member) for member in members]
    value, gradient = all_members.value_and_gradient(params)
    assert value == pytest.approx(sum(value for value, _ in alone), rel=1e-13)
    torch.testing.assert_close(gradient, torch.cat([gradient for _, gradient in alone]))
    blocks = torch.block_diag(*(one.dense_hessian(member) for member in members))
    torch.testing.assert_close(all_members.dense_hessian(params), blocks)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_wide_student_predicts_the_mean(shape):
    ensemble, params = make_ensemble(**shape)
    network, inputs = ensemble.risk.network, ensemble.risk.inputs
    wide, joined = ensemble.merged(params)
    mean = torch.stack([network.forward(member, inputs) for member in ensemble.members(params)]).mean(dim=0)
    torch.testing.assert_close(wide.network.forward(joined, inputs), mean)
    assert wide.network.hidden_layer_sizes == tuple(3 * width for width in network.hidden_layer_sizes)
    assert len(joined) == wide.network.n_params


@pytest.mark.parametrize("loss", [squared_error, log_cosh])
def test_the_mean_loses_no_more_than_its_members_do_in_the_mean(loss):
    ensemble, params = make_ensemble(loss=loss)
    risk, (wide, joined) = ensemble.risk, ensemble.merged(params)
    member_losses = [risk.losses(risk.network.forward(member, risk.inputs)) for member in ensemble.members(params)]
    losses = risk.losses(wide.network.forward(joined, risk.inputs))
    assert (losses <= torch.stack(member_losses).mean(dim=0) + 1e-12).all()


def test_the_maps_of_the_metric_belong_together_and_make_the_hessian_even():
    ensemble, params = make_ensemble()
    params = minimize(ensemble, params, tol=1e-8, random_state=0).params
    n, shift = len(params), 1e-2
    metric = ensemble.metric(params, shift)
    hessian = Derivatives(ensemble).dense_hessian(params) + shift * torch.eye(n, dtype=F64)
    identity = torch.eye(n, dtype=F64)
    to_gradient, to_step = (
        torch.stack([act(row) for row in identity]).T for act in (metric.scale_gradient, metric.unscale_step)
    )
    torch.testing.assert_close(to_gradient.T, to_step)
    torch.testing.assert_close(torch.stack([metric.scale_step(row) for row in identity]).T @ to_step, identity)
    even, plain = (torch.linalg.eigvalsh(matrix) for matrix in (to_gradient @ hessian @ to_step, hessian))
    assert even[-1] / even[0] < 0.1 * plain[-1] / plain[0]
    assert ensemble.metric(params, LARGE_SHIFT) is None


def test_one_member_at_a_saddle_is_refused():
    ensemble, params = make_ensemble()
    ensemble = dataclasses.replace(ensemble, risk=dataclasses.replace(ensemble.risk, alpha=1e-4, weight_decay=1e-4))
    n = ensemble.risk.network.n_params
    good = minimize(ensemble.risk, params[:n], tol=1e-8, random_state=0).params
    # All units alike: a saddle of a student, once it is stationary among such
    indices, weights, biases = ensemble.risk.network.unpack(params[:n])
    alike = ensemble.risk.network.pack(
        indices, [weights[0][:1].expand(4, D), weights[1][:, :1].expand(1, 4)], [biases[0][:1].expand(4), biases[1]]
    )
    saddle = _descend_plainly(ensemble.risk, alike)
    assert certify(ensemble, torch.cat([good, good, good]), tol=1e-5, random_state=0).holds
    refused = certify(ensemble, torch.cat([good, saddle, good]), tol=1e-5, random_state=0)
    assert refused.gradient_norm <= 1e-5
    assert not refused.holds
    assert "a saddle" in refused.reason


def _descend_plainly(risk, params):
    """Gradient steps keep the symmetry that a solver with noise would break."""
    optimizer = torch.optim.LBFGS([params := params.clone().requires_grad_()], max_iter=2000, tolerance_grad=1e-9,
                                  tolerance_change=0.0, line_search_fn="strong_wolfe")  # fmt: skip

    def closure():
        optimizer.zero_grad()
        value = risk.value(params)
        value.backward()
        return value

    optimizer.step(closure)
    return params.detach()
