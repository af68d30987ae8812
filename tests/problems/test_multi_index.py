import dataclasses

import numpy as np
import pytest
import torch

from sklearn_derand.engine import check_gradient, check_hessian
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.problems.average_gradient import average_gradient_outer_product
from sklearn_derand.problems.gauss_newton import gauss_newton_factor
from sklearn_derand.problems.losses import LOSSES, squared_error
from sklearn_derand.problems.multi_index import StudentRisk, stein_decomposition
from sklearn_derand.problems.student_network import ACTIVATIONS, StudentNetwork

F64 = torch.float64


def make_risk(loss="squared_error", *, seed=0, n=40, d=4, outputs=1, alpha=0.05, **shape):
    generator = torch.Generator().manual_seed(seed)
    network = StudentNetwork(d, outputs, shape.pop("hidden_layer_sizes", (5,)), **shape)
    inputs = torch.randn(n, d, generator=generator, dtype=F64)
    targets = torch.randn(n, outputs, generator=generator, dtype=F64)
    weights = torch.rand(n, generator=generator, dtype=F64)
    risk = StudentRisk(
        network,
        inputs,
        targets.exp() if loss == "poisson" else targets,
        weights / weights.sum(),
        LOSSES[loss],
        alpha,
        weight_decay=0.01,
    )
    params = network.initial(generator)
    return risk, params + 0.3 * torch.randn(len(params), generator=generator, dtype=F64)


SHAPES = [
    {},
    {"hidden_layer_sizes": (4, 3), "outputs": 2},
    {"rank": 2},
    {"rank": 1, "hidden_layer_sizes": (3, 3), "train_bias": False},
    {"train_bias": False},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_derivatives_for_every_shape_and_activation(shape, activation):
    risk, params = make_risk(activation=activation, **shape)
    assert check_gradient(risk, params, random_state=0).passed
    assert check_hessian(risk, params, random_state=0).passed


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_derivatives_for_every_loss(loss):
    risk, params = make_risk(loss, outputs=2)
    assert check_gradient(risk, params, random_state=0).passed
    assert check_hessian(risk, params, random_state=0).passed


@pytest.mark.parametrize("loss", ["squared_error", "pseudo_huber", "log_cosh"])
def test_losses_are_half_the_square_near_zero_and_finite_far_away(loss):
    r = torch.tensor([[1e-4], [-1e-4]], dtype=F64)
    torch.testing.assert_close(LOSSES[loss](r, torch.zeros_like(r)), 0.5 * r[:, 0] ** 2, rtol=1e-5, atol=1e-16)
    far = torch.tensor([[1e6], [-1e6]], dtype=F64)
    values = LOSSES[loss](far, torch.zeros_like(far))
    assert torch.isfinite(values).all() and values[0] == values[1] > 9e5


def test_poisson_loss_is_least_at_the_log_of_the_count():
    target = torch.tensor([[3.0]], dtype=F64)
    prediction = torch.log(target).requires_grad_()
    (slope,) = torch.autograd.grad(LOSSES["poisson"](prediction, target).sum(), prediction)
    assert abs(slope.item()) < 1e-12


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_unpack_undoes_pack(shape):
    risk, params = make_risk(**shape)
    torch.testing.assert_close(risk.network.pack(*risk.network.unpack(params)), params, rtol=0, atol=0)


def test_forward_is_the_network_written_out():
    risk, params = make_risk(hidden_layer_sizes=(4, 3), outputs=2)
    _, weights, biases = risk.network.unpack(params)
    hidden = risk.inputs.numpy()
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        hidden = (np.tanh(hidden) if layer else hidden) @ weight.numpy().T + bias.numpy()
    np.testing.assert_allclose(risk.network.forward(params, risk.inputs).numpy(), hidden, rtol=1e-12)


def test_rank_changes_the_parameters_and_not_the_risk():
    """The same function has the same risk, penalty included, with its first layer multiplied out."""
    risk, params = make_risk(rank=2)
    network = dataclasses.replace(risk.network, rank=None)
    _, weights, biases = risk.network.unpack(params)
    free = network.pack(None, [risk.network.first_layer(params), *weights[1:]], biases)
    expected = dataclasses.replace(risk, network=network).value(free)
    torch.testing.assert_close(risk.value(params), expected, rtol=1e-12, atol=0)


def test_repeated_rows_are_weights():
    risk, params = make_risk(n=10)
    times = torch.tensor([1, 3, 2, 1, 1, 2, 1, 1, 4, 1])
    repeated = dataclasses.replace(
        risk,
        inputs=risk.inputs.repeat_interleave(times, dim=0),
        targets=risk.targets.repeat_interleave(times, dim=0),
        weights=torch.full((int(times.sum()),), 1.0 / float(times.sum()), dtype=F64),
    )
    weighted = dataclasses.replace(risk, weights=times / times.sum().to(F64))
    torch.testing.assert_close(repeated.value(params), weighted.value(params), rtol=1e-12, atol=0)


def test_average_gradient_matches_finite_differences():
    risk, params = make_risk(hidden_layer_sizes=(5, 3), outputs=2)
    step, rows = 1e-5, []
    for column in torch.eye(4, dtype=F64):
        ahead, behind = (risk.network.forward(params, risk.inputs + s * column) for s in (step, -step))
        rows.append((ahead - behind) / (2 * step))
    jacobian = torch.stack(rows, dim=2)
    expected = torch.einsum("n,noi,noj->ij", risk.weights, jacobian, jacobian)
    agop = average_gradient_outer_product(risk.network, params, risk.inputs, risk.weights)
    torch.testing.assert_close(agop, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("hidden", [(5,), (4, 3)], ids=str)
def test_sample_form_of_the_lemma_is_an_identity(loss, hidden):
    """(Hess_b R + 2 alpha) W P = dR/dW P - D at any point, so the bound follows wherever it is finite."""
    risk, params = make_risk(loss, hidden_layer_sizes=hidden, alpha=2.0)
    subspace = torch.randn(2, 4, generator=torch.Generator().manual_seed(3), dtype=F64)
    terms = stein_decomposition(risk, params, subspace)
    assert np.isfinite(terms.bound)
    assert terms.noise <= terms.bound

    hessian, width = Derivatives(risk).dense_hessian(params), hidden[0]
    in_bias = hessian[4 * width : 5 * width, 4 * width : 5 * width]
    assert terms.bias_curvature == pytest.approx(torch.linalg.eigvalsh(in_bias)[0].item(), abs=1e-10)
    _, gradient = Derivatives(risk).value_and_gradient(params)
    basis = torch.linalg.qr(subspace.T).Q
    outside = torch.eye(4, dtype=F64) - basis @ basis.T
    slope = gradient[: 4 * width].reshape(width, 4) @ outside
    first = risk.network.first_layer(params) @ outside
    assert terms.gradient_norm == pytest.approx(slope.norm().item(), rel=1e-9)
    gap = slope - (in_bias + 2 * risk.alpha * torch.eye(width, dtype=F64)) @ first
    assert terms.stein_gap == pytest.approx(gap.norm().item(), rel=1e-9)


def test_nothing_is_left_out_where_all_directions_are_kept():
    """Noise and bound would be rounding otherwise, of which two computations agree on no digit."""
    risk, params = make_risk(alpha=2.0)
    all_four = torch.randn(4, 4, generator=torch.Generator().manual_seed(3), dtype=F64)
    terms = stein_decomposition(risk, params, all_four)
    assert terms.noise == terms.gradient_norm == terms.stein_gap == terms.bound == 0.0


def test_bound_is_infinite_where_its_denominator_is_not_positive():
    risk, params = make_risk(alpha=1e-9)
    terms = stein_decomposition(risk, 3.0 * params, torch.eye(1, 4, dtype=F64))
    assert terms.bias_curvature < 0 and terms.bound == float("inf")


def test_stein_gap_vanishes_as_gaussian_rows_grow():
    """D_n has mean 0 for Gaussian rows: its norm falls as 1 / sqrt(n)."""
    gaps = []
    for n in (2_000, 200_000):
        risk, params = make_risk(n=n)
        teacher = risk.inputs[:, :1].tanh()
        gaps.append(
            stein_decomposition(
                dataclasses.replace(risk, targets=teacher), params, torch.eye(1, 4, dtype=F64)
            ).stein_gap
        )
    assert gaps[1] < gaps[0] / 4


def test_he2_student_of_a_he4_teacher_learns_nothing():
    """Gaussian population risk of (He4(t) - a He2(w t + b) - c)^2: w = 0 is stationary and flat, as the docstring says.

    W_perp = 0 there, and the teacher's direction is not found.
    """
    nodes, probabilities = np.polynomial.hermite_e.hermegauss(40)
    t = torch.as_tensor(nodes, dtype=F64)
    p = torch.as_tensor(probabilities / probabilities.sum(), dtype=F64)

    def he(k, x):
        return x**2 - 1 if k == 2 else x**4 - 6 * x**2 + 3

    def risk(w):
        # Unit indices have E[He4(t) He2(w t + sqrt(1 - w^2) s)] = 0 for every w: the gradient has no signal.
        s = t[:, None]
        student = he(2, w * t[None, :] + (1 - w**2).sqrt() * s)
        return (p[:, None] * p[None, :] * (he(4, t)[None, :] - student) ** 2).sum()

    values = torch.stack([risk(torch.tensor(w, dtype=F64)) for w in (0.0, 0.3, 0.9)])
    torch.testing.assert_close(values, values[0].expand(3), rtol=1e-10, atol=0)


@pytest.mark.parametrize("shape", [{}, {"rank": 2, "outputs": 2}, {"hidden_layer_sizes": (4, 3)}], ids=str)
def test_gauss_newton_factor(shape):
    """For a squared loss and zero residuals the rest block is the Hessian of the risk, damping and decay included."""
    risk, params = make_risk(**shape)
    exact = dataclasses.replace(risk, targets=risk.network.forward(params, risk.inputs), alpha=1e-12)
    factor = gauss_newton_factor(exact, params, damping=0.1)
    hessian = Derivatives(exact).dense_hessian(params)
    head = 0 if risk.network.rank is not None else 4 * risk.network.hidden_layer_sizes[0]
    block = hessian[head:, head:] + 0.1 * torch.eye(len(params) - head, dtype=F64)
    torch.testing.assert_close(factor.rest @ factor.rest.T, block, rtol=1e-8, atol=1e-8)

    step = torch.randn(len(params), generator=torch.Generator().manual_seed(1), dtype=F64)
    torch.testing.assert_close(factor.unscale_step(factor.scale_step(step)), step, rtol=1e-9, atol=1e-9)
    gradient = torch.flip(step, [0])
    in_scaled = factor.scale_gradient(gradient) @ factor.scale_step(step)
    torch.testing.assert_close(in_scaled, gradient @ step, rtol=1e-9, atol=1e-9)


def test_gauss_newton_first_layer_is_its_kronecker_factor_on_gaussian_rows():
    risk, params = make_risk(n=2000, alpha=1e-12)
    exact = dataclasses.replace(
        risk, targets=risk.network.forward(params, risk.inputs), weights=torch.full((2000,), 1 / 2000, dtype=F64)
    )
    factor = gauss_newton_factor(exact, params, damping=1e-8)
    block = Derivatives(exact).dense_hessian(params)[:20, :20].reshape(5, 4, 5, 4)
    traced = torch.einsum("aibi->ab", block) / 4
    kept = factor.first @ factor.first.T
    assert (traced - kept).norm() < 0.5 * kept.norm()


def test_squared_error_has_units():
    risk, params = make_risk()
    scaled = dataclasses.replace(
        risk,
        shift=torch.tensor([2.0], dtype=F64),
        scale=torch.tensor([3.0], dtype=F64),
        targets=3.0 * risk.targets + 2.0,
    )
    prediction = risk.network.forward(params, risk.inputs)
    torch.testing.assert_close(scaled.losses(prediction), 9.0 * risk.losses(prediction), rtol=1e-10, atol=0)
    assert scaled.loss is squared_error


def test_batches_of_weighted_rows_average_to_the_whole_risk():
    risk, params = make_risk(n=40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    values = [risk.batch(indices).value(params).item() for indices in order.split(8)]
    assert np.ptp(values) > 1e-3
    np.testing.assert_allclose(np.mean(values), risk.value(params).item(), rtol=1e-13)
