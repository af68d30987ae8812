"""The loop around the solvers: budgets, callbacks, randomness, states, bad input."""

import numpy as np
import pytest
import torch
from landscapes import LANDSCAPES

from sklearn_derand.engine import LBFGS, SOLVERS, Solution, Status, certify, minimize
from sklearn_derand.engine.inverse_hessian import InverseHessian
from sklearn_derand.engine.threads import limit_threads


def run(name="matrix_factorisation", **settings):
    landscape = LANDSCAPES[name]()
    return minimize(landscape.function, landscape.start, **{"random_state": 0} | settings)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("max_iter", [0, 1, 3])
def test_max_iter_is_kept_and_said(solver, max_iter):
    solution = run("ill_conditioned", solver=solver, max_iter=max_iter)
    assert solution.n_iter == max_iter
    assert solution.status is Status.MAX_ITER
    assert "max_iter" in solution.status.message
    assert not solution.certificate.holds


def test_max_iter_zero_still_certifies_a_minimum():
    origin = torch.zeros(3, dtype=torch.float64)
    solution = minimize(lambda p: p.square().sum(), origin, max_iter=0)
    assert solution.certificate.holds
    assert torch.equal(solution.params, origin)


def test_max_escapes_zero_stays_at_the_saddle_and_says_so():
    solution = run(max_escapes=0)
    assert solution.status is Status.MAX_ESCAPES
    assert solution.n_escapes == 0
    assert solution.certificate.min_eigenvalue < -1e-3


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_same_seed_gives_the_same_run_and_the_start_is_left_alone(solver):
    landscape = LANDSCAPES["phase_retrieval"]()
    start = landscape.start.clone()
    first, again = (minimize(landscape.function, start, solver=solver, random_state=3) for _ in range(2))
    assert torch.equal(first.params, again.params)
    assert first.certificate == again.certificate or first.certificate.method == "lanczos"
    assert np.array_equal(first.history["value"], again.history["value"])
    assert torch.equal(start, landscape.start)


def test_no_global_state_is_touched():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    run("phase_retrieval", solver="perturbed_gradient")
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, dtype)


def test_a_run_inside_no_grad_is_the_same():
    with torch.no_grad():
        inside = run()
    assert torch.equal(inside.params, run().params)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_callback_sees_every_accepted_point_and_may_stop(solver):
    seen = []

    def callback(so_far):
        assert isinstance(so_far, Solution)
        assert so_far.status is Status.RUNNING
        seen.append((so_far.n_iter, so_far.value, so_far.history["value"][-1]))
        return len(seen) == 4

    solution = run("ill_conditioned", solver=solver, callback=callback)
    assert solution.status is Status.STOPPED
    assert [n for n, _, _ in seen] == [0, 1, 2, 3]
    assert all(value == last for _, value, last in seen)
    assert solution.n_iter == 3


class Named:
    """``(p0^2 - 1)^2 + p1^2`` from a random law, ``p1`` its noise."""

    def value(self, params):
        return (params[0] ** 2 - 1) ** 2 + params[1] ** 2

    def initial(self, generator):
        return torch.randn(2, generator=generator, dtype=torch.float64)

    def noise(self, params):
        return params[1:]


def test_an_objective_may_propose_its_start_and_name_its_noise():
    solution = minimize(Named(), random_state=0)
    assert solution.status is Status.CERTIFIED
    assert len(solution.history["noise"]) == len(solution.history["value"])
    assert solution.history["noise"][-1] == pytest.approx(0, abs=1e-5)
    assert solution.certificate.noise_norm == solution.history["noise"][-1]
    assert not torch.equal(minimize(Named(), random_state=1, max_iter=0).params, solution.params)


def test_counts_are_those_of_the_objective():
    calls = 0
    landscape = LANDSCAPES["phase_retrieval"]()

    def counted(params):
        nonlocal calls
        calls += 1
        return landscape.function(params)

    solution = minimize(counted, landscape.start, random_state=0)
    assert calls == solution.n_fev


def test_the_failure_probability_is_split_over_the_escapes():
    solution = run("phase_retrieval", failure_probability=1e-3)
    assert solution.n_escapes == 1
    assert solution.certificate.failure_probability == pytest.approx(6e-3 / (2 * np.pi) ** 2)


def test_a_long_descent_is_shortened_by_deflation():
    """Forty large curvatures, of no two alike, and a flat rest."""
    scales = torch.cat([torch.logspace(0, 5, 40, dtype=torch.float64), torch.ones(160, dtype=torch.float64) * 1e-2])

    def f(p):
        return 0.5 * (scales * p.square()).sum() + 0.25 * p.square().sum().square()

    start = torch.ones(200, dtype=torch.float64)
    plain = minimize(f, start, solver=LBFGS(products=0), tol=1e-8, curvature_tol=0.1, random_state=0)
    deflated = minimize(f, start, solver=LBFGS(patience=30, products=60), tol=1e-8, curvature_tol=0.1, random_state=0)
    assert plain.status is deflated.status is Status.CERTIFIED
    assert deflated.n_fev < 0.7 * plain.n_fev


def test_a_descent_soon_at_its_end_is_not_deflated():
    """A condition number of 1000: no look at the spectrum, whatever the patience."""
    scales = torch.logspace(0, 3, 200, dtype=torch.float64)
    solver = LBFGS(patience=30, products=1000)
    start = torch.ones(200, dtype=torch.float64)
    solution = minimize(lambda p: 0.5 * (scales * p.square()).sum(), start, solver=solver, random_state=0)
    plain = minimize(lambda p: 0.5 * (scales * p.square()).sum(), start, solver=LBFGS(products=0), random_state=0)
    assert solution.n_iter > 30
    assert solution.n_hvp == plain.n_hvp


@pytest.mark.parametrize("deflate", [False, True])
def test_the_compact_inverse_is_that_of_dense_bfgs_updates(deflate):
    from sklearn_derand.engine.inverse_hessian import Deflation

    draws = torch.Generator().manual_seed(0)
    n, memory = 12, 5
    root = torch.randn(n, n, generator=draws, dtype=torch.float64)
    hessian = root @ root.T + torch.eye(n, dtype=torch.float64)
    inverse = InverseHessian(memory, torch.zeros(n, dtype=torch.float64))
    values, vectors = torch.linalg.eigh(hessian)
    top = Deflation(vectors.T[-3:].contiguous(), values[-3:])
    pairs = []
    for i in range(7):
        if deflate and i == 3:
            inverse.deflate(top)
        step = torch.randn(n, generator=draws, dtype=torch.float64)
        inverse.append(step, hessian @ step)
        pairs.append((step, hessian @ step))
    pairs = pairs[-memory:]
    identity = torch.eye(n, dtype=torch.float64)
    step, change = pairs[-1]
    if deflate:
        rest = identity - top.vectors.T @ top.vectors
        dense = top.vectors.T @ torch.diag(1 / top.curvatures) @ top.vectors
        dense = dense + rest * (step @ rest @ change) / (change @ rest @ change)
    else:
        dense = identity * (step @ change) / (change @ change)
    for step, change in pairs:
        rho = 1 / (step @ change)
        left = identity - rho * torch.outer(step, change)
        dense = left @ dense @ left.T + rho * torch.outer(step, step)
    gradient = torch.randn(n, generator=draws, dtype=torch.float64)
    torch.testing.assert_close(inverse.direction(gradient), -dense @ gradient, rtol=1e-10, atol=1e-10)


def test_the_thread_limit_ends_with_its_block_also_on_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="inside"), limit_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError("inside")
    assert torch.get_num_threads() == before
    with limit_threads(None):
        assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"solver": "newton"}, ValueError, "solver"),
        ({"tol": -1.0}, ValueError, "tol"),
        ({"curvature_tol": 0.0}, ValueError, "curvature_tol"),
        ({"failure_probability": 2.0}, ValueError, "failure_probability"),
        ({"max_iter": -1}, ValueError, "max_iter"),
        ({"max_escapes": -1}, ValueError, "max_escapes"),
    ],
)
def test_bad_settings_are_named(settings, error, message):
    with pytest.raises(error, match=message):
        run(**settings)


def test_what_is_not_an_objective_is_named():
    with pytest.raises(TypeError, match="objective"):
        minimize(3.0, torch.zeros(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="initial"):
        minimize(lambda p: p.sum())
    with pytest.raises(ValueError, match="float64"):
        minimize(lambda p: p.square().sum(), torch.zeros(2))


def test_nan_at_the_start_is_not_finite():
    solution = minimize(lambda p: p.log().sum(), -torch.ones(2, dtype=torch.float64))
    assert solution.status is Status.NOT_FINITE
    assert not solution.certificate.holds


def test_every_status_says_something():
    assert all(len(status.message) > 20 and status.message.endswith(".") for status in Status)


HONEST = [name for name, make in LANDSCAPES.items() if make().endings == ("CERTIFIED",)]


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("solver", ["lbfgs", "trust_region"])
def test_another_device_agrees_with_the_cpu(other_device, solver, name):
    """The same point is certified on both from the same random vector: densely below 64 parameters, else by Lanczos."""
    landscape = LANDSCAPES[name]()
    solution = minimize(landscape.function, landscape.start.to(other_device), solver=solver, random_state=0)
    assert solution.params.device.type == other_device.type
    assert solution.status is Status.CERTIFIED
    there, here = (
        certify(landscape.function, solution.params.to(device), random_state=1) for device in (other_device, "cpu")
    )
    assert here.holds and there.holds
    assert here.method == there.method
    for field in ("value", "gradient_norm", "min_eigenvalue", "min_eigenvalue_bound"):
        assert getattr(there, field) == pytest.approx(getattr(here, field), abs=1e-6), field
