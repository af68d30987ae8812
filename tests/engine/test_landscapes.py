"""Every solver on every landscape: known minima, monotone histories, the right Status, never a false certificate."""

import numpy as np
import pytest
import torch
from landscapes import LANDSCAPES

from sklearn_derand.engine import SOLVERS, minimize

TOL, CURVATURE_TOL = 1e-5, 1e-3


@pytest.mark.parametrize("name", LANDSCAPES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_descends_to_the_minimum_or_says_why_not(solver, name):
    landscape = LANDSCAPES[name]()
    slow = landscape.hard_for_gradients and solver in ("perturbed_gradient", "hessian_descent")
    solution = minimize(
        landscape.function, landscape.start, solver=solver, tol=TOL, curvature_tol=CURVATURE_TOL,
        max_iter=500 if slow else 5000, random_state=0,
    )  # fmt: skip

    endings = ("MAX_ITER",) if slow else landscape.endings
    assert solution.status.name in endings, solution.certificate

    values = solution.history["value"]
    rounding = 4 * np.finfo(float).eps * np.abs(values[:-1])
    assert (np.diff(values) <= rounding).all()
    assert solution.value == values[-1]
    assert len(values) == solution.n_iter + 1

    if solution.certificate is not None and solution.certificate.holds:
        _independently_stationary(landscape.function, solution.params)
    if solution.status.name == "CERTIFIED" and landscape.minimum is not None:
        assert abs(solution.value - landscape.minimum) < 1e-5


def _independently_stationary(function, params):
    leaf = params.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(leaf), leaf)
    hessian = torch.autograd.functional.hessian(function, params)
    assert gradient.norm() <= TOL * (1 + 1e-9)
    assert np.linalg.eigvalsh(hessian.numpy()).min() >= -CURVATURE_TOL


@pytest.mark.parametrize("name", ["unbounded", "not_a_number", "kink"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_never_certifies_what_has_no_smooth_minimum(solver, name):
    landscape = LANDSCAPES[name]()
    for seed in range(5):
        start = landscape.start + 0.1 * torch.randn(
            2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        solution = minimize(landscape.function, start, solver=solver, max_iter=2000, random_state=seed)
        assert solution.status.name in landscape.endings
        assert solution.certificate is None or not solution.certificate.holds


@pytest.mark.parametrize("solver", SOLVERS)
def test_teacher_student_leaves_the_saddle_that_peers_call_a_minimum(solver):
    landscape = LANDSCAPES["teacher_student"]()
    solution = minimize(landscape.function, landscape.start, solver=solver, max_iter=5000, random_state=1)
    assert solution.status.name == "CERTIFIED"
    assert solution.n_escapes >= 1
    assert solution.value < 0.5 * landscape.function(landscape.start).item()
