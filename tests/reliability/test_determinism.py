"""The same fit, bit by bit: again, in another process, beside another fit; and no memory kept."""

import gc
import os
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from outcomes import assert_same_state
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor


def _table():
    X = np.random.RandomState(0).standard_normal((40, 5))
    return X, np.tanh(X[:, 0] - X[:, 1])


def _graph(n=30):
    upper = np.triu(np.random.RandomState(0).standard_normal((n, n)), 1)
    return upper + upper.T


CASES = {
    "embedding": (DerandJLEmbedding(2, random_state=0), (_table()[0],)),
    "cut": (DerandMaxCut("precomputed", n_init=4, random_state=0), (_graph(),)),
    "student": (
        MultiIndexStudentRegressor(1, hidden_layer_sizes=(4,), alpha=0.02, weight_decay=1e-3, random_state=0),
        _table(),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    estimator, data = CASES[request.param]
    return clone(estimator), data


def _fit(estimator, data):
    return clone(estimator).fit(*data)


def test_whatever_was_fitted_before(case):
    estimator, data = case
    first = _fit(estimator, data)
    for other, others in CASES.values():
        _fit(other, others)
    torch.rand(5), np.random.rand(5)
    assert_same_state(_fit(estimator, data), first)


def test_refitting_forgets_the_last_fit(case):
    estimator, data = case
    halves = [part[: len(part) // 2, : len(part) // 2] if part.ndim == 2 else part[: len(part) // 2] for part in data]
    assert_same_state(estimator.fit(*halves).fit(*data), _fit(estimator, data))


def test_a_random_state_object_is_advanced_and_repeats(case):
    estimator, data = case
    first, second = (_fit(estimator.set_params(random_state=np.random.RandomState(3)), data) for _ in range(2))
    for fitted in (first, second):
        fitted.random_state = None
    assert_same_state(first, second)


def test_in_other_processes(case):
    estimator, data = case
    here = _fit(estimator, data)
    for there in Parallel(n_jobs=2, backend="loky")(delayed(_remote_fit)(estimator, data) for _ in range(2)):
        assert_same_state(there, here)


def _remote_fit(estimator, data):
    return estimator.fit(*data)


# Workers cannot import this module by name: send what they run by value.
_remote_fit.__module__ = "__main__"


def test_starts_in_parallel():
    estimator, data = CASES["student"]
    serial, parallel = (_fit(estimator.set_params(n_init=3, n_jobs=n_jobs), data) for n_jobs in (1, 2))
    parallel.n_jobs = serial.n_jobs
    assert_same_state(parallel, serial)


def test_searches_in_parallel():
    estimator, data = CASES["student"]
    found = [
        GridSearchCV(clone(estimator), {"alpha": [0.01, 0.1]}, cv=2, n_jobs=n_jobs).fit(*data) for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*(search.cv_results_["mean_test_score"] for search in found))
    assert_same_state(*(search.best_estimator_ for search in found))


def test_fits_in_threads_do_not_meet():
    alone = {name: _fit(*CASES[name]) for name in CASES}
    before = torch.get_num_threads(), list(warnings.filters), torch.is_grad_enabled()
    names = [*CASES, *reversed(CASES)] * 2
    together = threading.Barrier(3)

    def work(name):
        together.wait(timeout=60)
        return _fit(*CASES[name])

    with ThreadPoolExecutor(3) as pool:
        for name, fitted in zip(names, pool.map(work, names), strict=True):
            assert_same_state(fitted, alone[name])
    assert (torch.get_num_threads(), list(warnings.filters), torch.is_grad_enabled()) == before


def test_one_estimator_read_by_threads_while_another_fits():
    embedding, student = _fit(*CASES["embedding"]), _fit(*CASES["student"])
    X = _table()[0]
    images, predictions = embedding.transform(X), student.predict(X)
    with ThreadPoolExecutor(2) as pool:
        fitting = pool.submit(_fit, *CASES["cut"])
        for _ in range(20):
            np.testing.assert_array_equal(pool.submit(embedding.transform, X).result(), images)
            np.testing.assert_array_equal(student.predict(X), predictions)
        fitting.result()


def _resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", CASES)
def test_a_thousand_fits_keep_less_than_20_mib(name):
    estimator, data = CASES[name]
    for _ in range(50):
        _fit(estimator, data)
    gc.collect()
    before = _resident_bytes()
    for _ in range(1000):
        _fit(estimator, data)
    gc.collect()
    assert _resident_bytes() - before < 20 * 2**20
