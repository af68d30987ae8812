"""Leave-one-out losses against fits without the row."""

import dataclasses

import pytest
import torch

from sklearn_derand.engine import minimize
from sklearn_derand.problems.leave_one_out import leave_one_out_losses
from sklearn_derand.problems.losses import log_cosh, poisson, squared_error
from sklearn_derand.problems.multi_index import StudentRisk
from sklearn_derand.problems.student_network import StudentNetwork

F64 = torch.float64


@pytest.mark.parametrize("rank", [1, None])
@pytest.mark.parametrize(("loss", "n_outputs"), [(squared_error, 1), (squared_error, 2), (log_cosh, 2), (poisson, 1)])
def test_agrees_with_fits_without_the_row(loss, n_outputs, rank):
    generator = torch.Generator().manual_seed(0)
    network = StudentNetwork(n_inputs=3, n_outputs=n_outputs, hidden_layer_sizes=(3,), rank=rank)
    inputs = torch.randn(80, 3, generator=generator, dtype=F64)
    mean = torch.stack([torch.tanh(inputs[:, 0] + 0.5 * inputs[:, 1]), inputs[:, 0] + 0.3 * inputs[:, 1]], dim=1)
    targets = mean[:, :n_outputs] + 0.3 * torch.randn(80, n_outputs, generator=generator, dtype=F64)
    targets = targets.exp() if loss is poisson else targets
    weights = torch.full((80,), 1 / 80, dtype=F64)
    risk = StudentRisk(network, inputs, targets, weights, loss, 0.05, weight_decay=0.05)
    fit = minimize(risk, network.initial(generator), tol=1e-8, random_state=0)
    approximate, fitted, shares = leave_one_out_losses(risk, fit.params)
    assert shares.sum() == pytest.approx(1.0)
    torch.testing.assert_close(fitted, risk.losses(network.forward(fit.params, inputs)))
    rows = range(0, 80, 5)
    exact = []
    for row in rows:
        kept = torch.arange(80) != row
        without = dataclasses.replace(risk, inputs=inputs[kept], targets=targets[kept], weights=weights[kept])
        params = minimize(without, fit.params, tol=1e-8, random_state=0).params
        here = dataclasses.replace(risk, targets=targets[row : row + 1])
        exact.append(here.losses(network.forward(params, inputs[row : row + 1])).item())
    exact, approximate, fitted = sum(exact), approximate[list(rows)].sum().item(), fitted[list(rows)].sum().item()
    assert exact > fitted
    # Of the optimism of the fitted losses little is left
    assert approximate == pytest.approx(exact, abs=0.5 * (exact - fitted))


def test_is_exact_where_the_student_is_a_ridge_regression():
    """With everything but the output layer held by a huge penalty... its prediction is the mean: leverage 1/n."""
    network = StudentNetwork(n_inputs=2, n_outputs=1, hidden_layer_sizes=(2,), rank=1)
    generator = torch.Generator().manual_seed(1)
    inputs, targets = torch.randn(20, 2, generator=generator, dtype=F64), torch.arange(20.0, dtype=F64)[:, None]
    weights = torch.full((20,), 1 / 20, dtype=F64)
    risk = StudentRisk(network, inputs, targets, weights, squared_error, 10.0, weight_decay=1e6)
    params = torch.zeros(network.n_params, dtype=F64)
    params[-1] = targets.mean()
    losses, _, _ = leave_one_out_losses(risk, params)
    expected = 0.5 * ((targets[:, 0] - targets.mean()) * 20 / 19) ** 2
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=0)
