"""What goes wrong in the middle of a fit leaves no trace, and is told as what it is."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from joblib.externals.loky import reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from outcomes import assert_finite, assert_same_state, fit_or_refuse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.__main__ import main
from sklearn_derand.engine import Status, minimize
from sklearn_derand.engine.threads import limit_threads
from sklearn_derand.estimators import _memory
from sklearn_derand.verification import verify


def _table():
    X = np.random.RandomState(0).standard_normal((30, 5))
    return X, np.tanh(X[:, 0] - X[:, 1])


def _graph(n=20):
    upper = np.triu(np.random.RandomState(0).standard_normal((n, n)), 1)
    return upper + upper.T


CASES = {
    "embedding": (DerandJLEmbedding(2, random_state=0), (_table()[0],)),
    "cut": (DerandMaxCut("precomputed", n_init=1, polish="one_flip", random_state=0), (_graph(),)),
    "student": (
        MultiIndexStudentRegressor(1, hidden_layer_sizes=(4,), alpha=0.02, weight_decay=1e-3, random_state=0),
        _table(),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    estimator, data = CASES[request.param]
    return clone(estimator), data


class Interruption:
    """Raise, or call what is given, at the nth gradient of the engine; or count how many there are."""

    def __init__(self, monkeypatch, at=None, error=KeyboardInterrupt):
        from sklearn_derand.engine.derivatives import Derivatives

        self.calls, self.at, self.error = 0, at, error
        original = Derivatives.value_and_gradient

        def counted(derivatives, params):
            self.calls += 1
            if self.calls == self.at:
                stop = self.error()
                if isinstance(stop, BaseException):
                    raise stop
            return original(derivatives, params)

        monkeypatch.setattr(Derivatives, "value_and_gradient", counted)


def _moments(case, monkeypatch):
    estimator, data = case
    with monkeypatch.context() as patch:
        counter = Interruption(patch)
        fit_or_refuse(clone(estimator), *data)
    return sorted({1, 2, counter.calls // 2 + 1, counter.calls})


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_first_fit_leaves_the_estimator_unfitted(case, error, monkeypatch):
    estimator, data = case
    moments = _moments(case, monkeypatch)
    before = vars(estimator).copy()
    for moment in moments:
        with monkeypatch.context() as patch:
            Interruption(patch, moment, error)
            with pytest.raises(error):
                estimator.fit(*data)
        assert vars(estimator) == before
        with pytest.raises(NotFittedError):
            check_is_fitted(estimator)


def test_an_interrupted_second_fit_leaves_the_first(case, monkeypatch):
    estimator, data = case
    fit_or_refuse(estimator, *data)
    untouched = pickle.loads(pickle.dumps(estimator))
    halves = [part[: len(part) // 2, : len(part) // 2] if part.ndim == 2 else part[: len(part) // 2] for part in data]
    for moment in _moments((estimator, halves), monkeypatch):
        with monkeypatch.context() as patch:
            Interruption(patch, moment)
            with pytest.raises(KeyboardInterrupt):
                estimator.fit(*halves)
        assert_same_state(estimator, untouched)


def test_an_interrupt_after_the_descent_leaves_the_estimator_unfitted(case, monkeypatch):
    estimator, data = case
    before = vars(estimator).copy()

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(estimator), "_report", interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(*data)
    assert vars(estimator) == before


def test_refused_data_leave_the_last_fit(case):
    estimator, data = case
    fit_or_refuse(estimator, *data)
    untouched = pickle.loads(pickle.dumps(estimator))
    assert fit_or_refuse(estimator, np.full((4, 4), np.nan), *data[1:]) is None
    assert_same_state(estimator, untouched)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_are_restored_after_an_interrupt(case, n_threads, monkeypatch):
    estimator, data = case
    Interruption(monkeypatch, 2)
    with limit_threads(n_threads):
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(*data)
        assert torch.get_num_threads() == n_threads
        assert torch.is_grad_enabled()


STUDENT = "MultiIndexStudentRegressor"
TERMINATED = """
import os, signal, sys, joblib, numpy as np
from sklearn_derand import {name}
from sklearn_derand.engine.derivatives import Derivatives
original, calls = Derivatives.value_and_gradient, []

def counted(derivatives, params):
    calls.append(params)
    if len(calls) == 5:
        print("in the middle", flush=True)
        {action}
    return original(derivatives, params)

Derivatives.value_and_gradient = counted
X = np.random.RandomState(0).standard_normal((30, 5))
joblib.dump({name}({arguments}random_state=0).fit(X, X[:, 0]), sys.argv[1])
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM is POSIX")
@pytest.mark.parametrize(
    "name",
    ["DerandJLEmbedding", *(pytest.param(other, marks=pytest.mark.slow) for other in ("DerandMaxCut", STUDENT))],
)
def test_sigterm_ends_the_process_and_leaves_no_file(name, tmp_path):
    arguments = {"DerandJLEmbedding": "2, ", "DerandMaxCut": "", STUDENT: "1, alpha=0.02, "}[name]
    script = TERMINATED.format(name=name, arguments=arguments, action="os.kill(os.getpid(), signal.SIGTERM)")
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "fit"], capture_output=True, text=True)
    assert done.stdout == "in the middle\n" and done.stderr == ""
    assert done.returncode == -signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM is POSIX")
def test_a_handler_of_sigterm_that_raises_leaves_the_estimator_unfitted(case, monkeypatch):
    estimator, data = case
    before = vars(estimator).copy()
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        Interruption(monkeypatch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit, match="143"):
            estimator.fit(*data)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert vars(estimator) == before


def test_an_interrupted_fit_can_be_repeated(case, monkeypatch):
    estimator, data = case
    with monkeypatch.context() as patch:
        Interruption(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(*data)
    assert_same_state(fit_or_refuse(estimator, *data), fit_or_refuse(clone(estimator), *data))


@pytest.mark.parametrize("solver", ["lbfgs", "trust_region", "perturbed_gradient", "hessian_descent"])
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), float("-inf")])
def test_an_objective_that_is_not_finite_is_never_certified(solver, poison):
    def at_once(params):
        return params.square().sum() * poison

    def far_out(params):
        return torch.where(params.norm() < 1, params.sum(), params.sum() * poison)

    for objective in (at_once, far_out):
        solution = minimize(objective, torch.full((3,), 0.1, dtype=torch.float64), solver=solver, random_state=0)
        assert not solution.certificate.holds
        assert solution.status is not Status.CERTIFIED


@pytest.mark.parametrize("solver", ["lbfgs", "trust_region", "perturbed_gradient", "hessian_descent"])
def test_an_objective_that_raises_is_heard(solver):
    class Trouble(Exception):
        pass

    def objective(params):
        if params.norm() < 0.5:
            raise Trouble
        return params.square().sum()

    with pytest.raises(Trouble):
        minimize(objective, torch.ones(3, dtype=torch.float64), solver=solver, random_state=0)


def _losses():
    def nan_at_once(prediction, target):
        return (prediction - target).square().sum(dim=1) * float("nan")

    def raises(prediction, target):
        raise ArithmeticError("the loss gave up")

    def wrong_shape(prediction, target):
        return (prediction - target).square().mean()

    def not_a_tensor(prediction, target):
        return 0.0

    def kinked(prediction, target):
        return (prediction - target).abs().sum(dim=1)

    return {"NaN": nan_at_once, "raises": raises, "shape": wrong_shape, "float": not_a_tensor, "kink": kinked}


@pytest.mark.parametrize("name", _losses())
def test_a_loss_that_cannot_serve_is_refused(name):
    estimator, data = CASES["student"]
    estimator = clone(estimator).set_params(loss=_losses()[name])
    before = vars(estimator).copy()
    with pytest.raises(ArithmeticError if name == "raises" else ValueError, match="loss"):
        estimator.fit(*data)
    assert vars(estimator) == before


def test_a_loss_that_is_not_finite_far_out_gives_no_false_certificate():
    def barrier(prediction, target):
        error = (prediction - target).square().sum(dim=1)
        return -torch.log(torch.where(error < 30, 30 - error, float("nan")))

    estimator, data = CASES["student"]
    fitted = fit_or_refuse(clone(estimator).set_params(loss=barrier), *data)
    assert_finite(fitted)


VARIANTS = {
    "embedding": [{}, {"n_components": "auto"}, {"validation_fraction": 0.3}, {"max_pairs": 50}],
    "cut": [{}, {"polish": None}, {"max_time": 1}],
    "student": [{}, {"n_components": "auto", "alpha": "auto", "weight_decay": "auto"}, {"refine": False}],
}


@pytest.mark.parametrize("max_iter", [0, 1])
@pytest.mark.parametrize(("name", "variant"), [(name, variant) for name in VARIANTS for variant in VARIANTS[name]])
def test_no_iterations_or_one(name, variant, max_iter):
    estimator, data = CASES[name]
    estimator = clone(estimator).set_params(**variant)
    fitted = fit_or_refuse(estimator.set_params(max_iter=max_iter), *data)
    assert verify(fitted, *data).holds
    assert_finite(fitted)


def test_too_few_iterations_are_told():
    estimator, data = CASES["student"]
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        clone(estimator).set_params(max_iter=1).fit(*data)


@pytest.mark.parametrize("max_time", [1e-9, 1])
def test_next_to_no_time_still_gives_a_cut_and_a_bound(max_time):
    estimator, data = CASES["cut"]
    fitted = fit_or_refuse(clone(estimator).set_params(max_time=max_time, polish="auto"), *data)
    assert verify(fitted, *data).holds


@pytest.mark.parametrize("max_time", [0, -1, float("nan")])
def test_no_time_is_refused(max_time):
    estimator, data = CASES["cut"]
    with pytest.raises(ValueError, match="max_time"):
        clone(estimator).set_params(max_time=max_time).fit(*data)


def test_arrays_that_cannot_fit_are_refused_with_their_bytes(monkeypatch):
    monkeypatch.setattr(_memory, "memory_limit", lambda: 10**6)
    with pytest.raises(ValueError, match=r"28,000,000 bytes.*1,000,000.*precomputed"):
        DerandMaxCut().fit(np.ones((1000, 1)))
    with pytest.raises(ValueError, match=r"2,160,000 bytes"):
        MultiIndexStudentRegressor().fit(np.eye(2, 300), [0, 1])


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("embedding", {"n_components": 10**9}),
        ("cut", {"rank": 10**9}),
        ("student", {"hidden_layer_sizes": (10**9,)}),
        ("student", {"hidden_layer_sizes": (10**6, 10**6)}),
    ],
)
def test_a_size_that_no_machine_has_room_for_is_refused_with_its_bytes(name, size):
    estimator, data = CASES[name]
    with pytest.raises(ValueError, match=r"[0-9,]{13,} bytes") as refused:
        clone(estimator).set_params(**size).fit(*data)
    assert next(iter(size)) in str(refused.value)


def test_the_memory_of_a_container_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(_memory, "CGROUP_LIMIT", tmp_path / "memory.max")
    whole = _memory.memory_limit()
    (tmp_path / "memory.max").write_text("max\n")
    assert _memory.memory_limit() == whole
    (tmp_path / "memory.max").write_text("4096\n")
    assert _memory.memory_limit() == 4096


def test_a_full_disk_is_one_line(tmp_path, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sklearn_derand.__main__._run", lambda seed: [])
    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path)])
    output = capsys.readouterr()
    assert stop.value.code == 2
    assert output.err.count("\n") == 1
    assert "No space left" in output.err and str(tmp_path) in output.err


def _kill_a_worker_after(folder, n_finished):
    """Kill one of joblib's workers once so many results are in the cache."""
    while len(list(folder.rglob("output.pkl"))) < n_finished:
        time.sleep(0.01)
    # Asking for the executor anew might replace it.
    os.kill(next(iter(reusable_executor._executor._processes)), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs were given to the executor")
@pytest.mark.filterwarnings("ignore:Persisting input arguments took")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_killed_worker_raises_and_a_cache_loses_no_finished_candidate(tmp_path, monkeypatch):
    X, y = np.random.RandomState(0).standard_normal((40, 10)), np.arange(40.0)
    pipeline = make_pipeline(DerandJLEmbedding(max_iter=50, random_state=0), Ridge(), memory=str(tmp_path))
    grid = {"derandjlembedding__n_components": [1, 2, 3, 4], "derandjlembedding__tol": [1e-3, 1e-4]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, refit=False)
    killer = threading.Thread(target=_kill_a_worker_after, args=(tmp_path, 4), daemon=True)
    killer.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(TerminatedWorkerError):
            search.fit(X, y)
    killer.join()
    assert not hasattr(search, "cv_results_")
    finished = len(list(tmp_path.rglob("output.pkl")))
    assert 4 <= finished < 16
    fits, original = [], DerandJLEmbedding.fit
    monkeypatch.setattr(DerandJLEmbedding, "fit", lambda self, *data: fits.append(self) or original(self, *data))
    search.set_params(n_jobs=1).fit(X, y)
    assert len(fits) == 16 - finished
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
