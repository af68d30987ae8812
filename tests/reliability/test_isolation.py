"""A fit touches nothing but its estimator: no global state, no input array, no torch object kept."""

import copy
import pickle
import random
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from outcomes import assert_same_state, leaves
from sklearn.base import clone

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.engine.threads import limit_threads


def _table():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 5))
    return X, np.tanh(X[:, 0] + X[:, 1]) + 0.1 * rng.standard_normal(60)


def _weights(loops=False):
    """Return a graph as users may have it: explicit zeros, columns in no order, perhaps loops."""
    rng = np.random.RandomState(0)
    dense = np.triu(rng.standard_normal((40, 40)) * (rng.rand(40, 40) < 0.2), 0 if loops else 1)
    dense += dense.T
    stored = np.flatnonzero(dense)
    stored = np.union1d(stored, np.flatnonzero(dense == 0)[[2, 3]])
    rows, columns = stored // 40, stored % 40
    order = np.lexsort((-columns, rows))
    rows, columns = rows[order], columns[order]
    row_ends = np.concatenate([[0], np.bincount(rows, minlength=40).cumsum()])
    return sp.csr_array((dense[rows, columns], columns, row_ends), shape=(40, 40))


CASES = {
    "student": (MultiIndexStudentRegressor(n_components=1, hidden_layer_sizes=(8,), random_state=0), _table()),
    "jl": (DerandJLEmbedding(n_components=3, random_state=0), _table()[:1]),
    "jl-sparse": (DerandJLEmbedding(n_components=3, random_state=0), (sp.csr_array(_table()[0]),)),
    "max-cut": (DerandMaxCut(random_state=0), _table()[:1]),
    "max-cut-precomputed": (DerandMaxCut(metric="precomputed", random_state=0), (_weights().toarray(),)),
    "max-cut-sparse": (DerandMaxCut(metric="precomputed", random_state=0), (_weights(),)),
    "max-cut-loops": (DerandMaxCut(metric="precomputed", random_state=0), (_weights(loops=True),)),
}


@pytest.fixture(params=CASES)
def case(request):
    estimator, data = CASES[request.param]
    return clone(estimator), copy.deepcopy(data)


def _global_state():
    state = np.random.get_state()
    return {
        "numpy RNG": (state[0], state[1].tobytes(), *state[2:]),
        "python RNG": random.getstate(),
        "torch RNG": torch.random.get_rng_state().numpy().tobytes(),
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "numpy errors": np.geterr(),
        "warning filters": list(warnings.filters),
    }


def _parts(data):
    for item in data:
        if sp.issparse(item):
            yield from (item.data, item.indices, item.indptr)
        else:
            yield item


def test_fit_leaves_global_state_alone(case):
    estimator, data = case
    clone(estimator).fit(*data)  # torch imports some of its parts, with their warning filters, at first use
    with limit_threads(2):  # not the 1 that a fit uses inside
        before = _global_state()
        estimator.fit(*data)
        after = _global_state()
    assert [name for name in before if before[name] != after[name]] == []


def test_fit_leaves_the_input_alone(case):
    estimator, data = case
    before = [part.copy() for part in _parts(data)]
    estimator.fit(*data)
    for part, kept in zip(_parts(data), before, strict=True):
        np.testing.assert_array_equal(part, kept)


@pytest.mark.parametrize("name", [name for name in CASES if sp.issparse(CASES[name][1][0])])
def test_read_only_sparse_input(name):
    estimator, data = CASES[name]
    writeable = clone(estimator).fit(*data)
    (data,) = copy.deepcopy(data)
    for part in _parts([data]):
        part.flags.writeable = False
    assert_same_state(clone(estimator).fit(data), writeable)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))], ids=["copy", "pickle"])
def test_duplicates_carry_the_same_state(case, duplicate):
    estimator, data = case
    estimator.fit(*data)
    twin = duplicate(estimator)
    assert_same_state(twin, estimator)
    for method in ("predict", "transform"):
        if hasattr(estimator, method):
            np.testing.assert_array_equal(getattr(twin, method)(data[0]), getattr(estimator, method)(data[0]))


def test_fitted_state_is_plain(case):
    estimator, data = case
    estimator.fit(*data)
    strange = [path for path, value in leaves(vars(estimator)) if not _is_plain(value)]
    assert strange == []


@pytest.mark.parametrize("value", [torch.zeros(2), torch.nn.Linear(1, 1), torch.Generator(), torch.float64, len])
def test_the_walk_sees_what_is_not_plain(value):
    assert [path for path, leaf in leaves({"kept": [value]}) if not _is_plain(leaf)] == ["kept.0"]


def _is_plain(value):
    if isinstance(value, np.ndarray):
        return value.dtype != object
    return value is None or isinstance(value, str | bool | int | float | np.generic)
