"""Searches, starts and predictions on a Dask cluster of two worker processes: bit by bit what one process gives."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor

distributed = pytest.importorskip("dask.distributed", reason="dask.distributed is not installed")
array = pytest.importorskip("dask.array")

RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((40, 4))
Y = np.tanh(X[:, 0] - X[:, 1])
STUDENT = MultiIndexStudentRegressor(
    1, hidden_layer_sizes=(3,), alpha=0.02, weight_decay=1e-2, tol=1e-3, curvature_tol=1e-2, random_state=0
)
EMBEDDING = DerandJLEmbedding(2, random_state=0)


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def backend(client):
    with joblib.parallel_config(backend="dask"):
        yield
    assert len(client.scheduler_info()["workers"]) == 2  # none was lost on the way


def assert_same_bits(one, other):
    for name, value in vars(one).items():
        if name.endswith("_") and isinstance(value, np.ndarray | float | int):
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name, strict=True)
    assert repr(one.certificate_) == repr(other.certificate_)


def test_the_workers_are_two_other_processes(client):
    import os

    pids = client.run(os.getpid)
    assert len({os.getpid(), *pids.values()}) == 3


def test_starts(backend):
    student = clone(STUDENT).set_params(n_init=4)
    assert_same_bits(clone(student).set_params(n_jobs=2).fit(X, Y), _alone(student.fit, X, Y))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "grid", "data"),
    [
        (STUDENT, {"alpha": [0.01, 0.1], "n_init": [1, 2]}, (X, Y)),
        (EMBEDDING, {"n_components": [1, 2, 3]}, (X,)),
    ],
    ids=["student", "embedding"],
)
def test_search(backend, estimator, grid, data):
    scoring = None if estimator is STUDENT else lambda fitted, X, y=None: -fitted.distortion_
    search = GridSearchCV(estimator, grid, scoring=scoring, cv=2)
    there = clone(search).set_params(n_jobs=2).fit(*data)
    here = _alone(search.fit, *data)
    for column in ("mean_test_score", "split0_test_score", "rank_test_score"):
        np.testing.assert_array_equal(there.cv_results_[column], here.cv_results_[column], err_msg=column)
    assert_same_bits(there.best_estimator_, here.best_estimator_)


@pytest.mark.slow
def test_cuts_of_several_graphs(backend):
    graphs = [np.abs(np.subtract.outer(row, row)) for row in RANDOM.standard_normal((3, 20))]
    cut = DerandMaxCut("precomputed", random_state=0)
    there = joblib.Parallel(n_jobs=2)(joblib.delayed(clone(cut).fit)(graph) for graph in graphs)
    for fitted, graph in zip(there, graphs, strict=True):
        assert_same_bits(fitted, clone(cut).fit(graph))


def _alone(fit, *data):
    with joblib.parallel_config(backend="sequential"):
        return fit(*data)


@pytest.fixture(scope="module")
def models():
    return clone(STUDENT).fit(X, Y), clone(EMBEDDING).fit(X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_predictions_of_blocks_of_rows(client, models, dtype):
    student, embedding = models
    rows = RANDOM.standard_normal((70, 4)).astype(dtype)
    blocks = array.from_array(rows, chunks=(32, 4))
    predicted = blocks.map_blocks(student.predict, dtype=dtype, drop_axis=1)
    mapped = blocks.map_blocks(embedding.transform, dtype=dtype, chunks=(blocks.chunks[0], (2,)))
    indices = blocks.map_blocks(student.transform, dtype=dtype, chunks=(blocks.chunks[0], (1,)))
    for lazy, method in ((predicted, student.predict), (mapped, embedding.transform), (indices, student.transform)):
        found, expected = client.compute(lazy).result(), method(rows)
        assert found.dtype == dtype
        assert found.shape == expected.shape == lazy.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype is np.float32 else 1e-12, atol=1e-6)
