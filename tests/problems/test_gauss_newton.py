"""The Gauss-Newton matrix of a student: its factor, kept whole along some directions, and the certificate in it."""

import dataclasses

import pytest
import torch

from sklearn_derand.engine import certify, minimize
from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.problems.gauss_newton import (
    MAX_ORDER,
    GaussNewtonFactor,
    gauss_newton_factor,
    gauss_newton_matrix,
    matrix_order,
)
from sklearn_derand.problems.losses import pseudo_huber, squared_error
from sklearn_derand.problems.multi_index import LARGE_SHIFT, StudentRisk
from sklearn_derand.problems.student_network import StudentNetwork

F64 = torch.float64
D, WIDTH = 12, 5


def make_risk(n=400, loss=squared_error, **shape):
    generator = torch.Generator().manual_seed(0)
    network = StudentNetwork(**({"n_inputs": D, "n_outputs": 1, "hidden_layer_sizes": (WIDTH,)} | shape))
    inputs = torch.randn(n, D, generator=generator, dtype=F64)
    targets = torch.tanh(2 * inputs[:, :1]) + 0.3 * inputs[:, 1:2] ** 2 - 0.3
    targets = targets.expand(n, network.n_outputs) + 0.1 * torch.randn(
        n, network.n_outputs, generator=generator, dtype=F64
    )
    weights = torch.full((n,), 1 / n, dtype=F64)
    return StudentRisk(network, inputs, targets, weights, loss, 0.02, weight_decay=1e-3), network.initial(generator)


def dense(apply, n):
    return torch.stack([apply(row) for row in torch.eye(n, dtype=F64)]).T


@pytest.mark.parametrize(
    ("shape", "n_directions"),
    [({}, 0), ({}, 3), ({}, D), ({"n_outputs": 2}, 2), ({"hidden_layer_sizes": (5, 4)}, 3), ({"rank": 2}, 3)],
    ids=str,
)
def test_the_maps_of_a_factor_belong_together(shape, n_directions):
    risk, params = make_risk(**shape)
    n = len(params)
    factor = gauss_newton_factor(risk, params, 1e-3, n_directions=n_directions)
    to_gradient, to_step = dense(factor.scale_gradient, n), dense(factor.unscale_step, n)
    torch.testing.assert_close(to_gradient.T, to_step)
    torch.testing.assert_close(dense(factor.scale_step, n) @ to_step, torch.eye(n, dtype=F64))
    assert len(factor.rest) == matrix_order(risk.network, n_directions)


@pytest.mark.parametrize("n_directions", [0, 1, 3, D])
def test_the_matrix_is_exact_along_the_directions_and_a_product_across_them(n_directions):
    risk, params = make_risk()
    n, size = len(params), WIDTH * D
    whole = gauss_newton_matrix(risk, params, n_directions=D)[1]
    factor = gauss_newton_factor(risk, params, 1e-9, n_directions=n_directions)
    scale = dense(factor.scale_step, n)
    matrix = scale.T @ scale
    first, _, directions = gauss_newton_matrix(risk, params, n_directions=n_directions)
    if n_directions == D:
        assert directions is None
        torch.testing.assert_close(matrix, whole, rtol=0, atol=1e-8)
        return
    # Embeds what is kept: the layer along the directions, and all other parameters
    keep = torch.zeros(n, WIDTH * n_directions + n - size, dtype=F64)
    keep[:size, : WIDTH * n_directions] = torch.kron(torch.eye(WIDTH, dtype=F64), directions.T)
    keep[size:, WIDTH * n_directions :] = torch.eye(n - size, dtype=F64)
    torch.testing.assert_close(keep.T @ matrix @ keep, keep.T @ whole @ keep, rtol=0, atol=1e-8)
    across = torch.eye(D, dtype=F64) - directions.T @ directions
    torch.testing.assert_close(matrix[:size, :size] @ torch.kron(torch.eye(WIDTH, dtype=F64), across),
                               torch.kron(first, across), rtol=0, atol=1e-8)  # fmt: skip
    # They are the leading ones of the first layer
    layer = risk.network.first_layer(params)
    kept = (layer @ directions.T).norm()
    torch.testing.assert_close(kept**2, torch.linalg.svdvals(layer)[:n_directions].square().sum())


@pytest.mark.parametrize(("shape", "loss"), [({}, squared_error), ({"rank": 2}, squared_error), ({}, pseudo_huber)])
def test_a_student_is_certified_in_its_metric_with_few_products(shape, loss):
    risk, start = make_risk(n_inputs=D, hidden_layer_sizes=(12,), loss=loss, **shape)
    solution = minimize(risk, start, tol=1e-4, random_state=0)
    cheap = solution.certificate
    dear = certify(risk.value, solution.params, tol=1e-4, random_state=0)
    hessian = Derivatives(risk).dense_hessian(solution.params)
    least = torch.linalg.eigvalsh(0.5 * (hessian + hessian.T))[0].item()
    assert cheap.holds and dear.holds
    assert cheap.min_eigenvalue_bound <= least <= cheap.min_eigenvalue <= least + cheap.curvature_tol
    assert cheap.n_hvp < dear.n_hvp


def test_there_is_no_metric_where_it_is_of_no_use():
    risk, params = make_risk()
    assert risk.metric(params, 1e-3) is not None
    assert risk.metric(params, LARGE_SHIFT) is None
    network = dataclasses.replace(risk.network, hidden_layer_sizes=(MAX_ORDER,))
    wide = dataclasses.replace(risk, network=network)
    assert wide.metric(network.initial(torch.Generator().manual_seed(0)), 1e-3) is None
    assert risk.metric(params * float("nan"), 1e-3) is None


def test_a_shift_that_rounding_swallows_certifies_nothing():
    """Fewer rows than parameters and no penalty: singular but for the shift."""
    bare, params = make_risk(n=20)
    bare = dataclasses.replace(bare, alpha=0.0, weight_decay=0.0)
    certificate = certify(bare, params, curvature_tol=1e-30)
    assert not certificate.holds
    assert certificate.min_eigenvalue_bound <= certificate.min_eigenvalue < torch.inf


def test_a_large_singular_matrix_is_damped_by_its_rounding_at_least():
    """Of counts near 1e12 the matrix is known to 1e-4, and the curvature tolerance alone does not make it definite."""
    rows = torch.randn(5, 60, generator=torch.Generator().manual_seed(0), dtype=F64)
    matrix = 1e12 * rows.T @ rows
    with pytest.raises(torch.linalg.LinAlgError):
        torch.linalg.cholesky(matrix + 1e-8 * torch.eye(60, dtype=F64))
    factor = GaussNewtonFactor.of(None, matrix.clone(), None, 1e-8)
    torch.testing.assert_close(factor.rest @ factor.rest.T, matrix, rtol=1e-11, atol=1.0)
    small = GaussNewtonFactor.of(None, torch.eye(3, dtype=F64), None, 0.25)
    torch.testing.assert_close(small.rest @ small.rest.T, 1.25 * torch.eye(3, dtype=F64), rtol=1e-15, atol=0)
