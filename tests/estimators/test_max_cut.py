"""DerandMaxCut: guarantees, optima of small graphs, input kinds, bad input."""

import dataclasses
import importlib.util
import itertools
import pickle

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_derand.datasets import make_graph
from sklearn_derand.estimators import DerandMaxCut
from sklearn_derand.estimators._cut_deadline import Deadline
from sklearn_derand.metrics import cut_value


def random_graph(n, density=0.5, signed=False, seed=0, integer=True):
    rng = np.random.default_rng(seed)
    W = rng.integers(1, 6, (n, n)).astype(float) if integer else rng.exponential(size=(n, n))
    if signed:
        W *= rng.choice([-1, 1], (n, n))
    W = np.triu(W * (rng.random((n, n)) < density), 1)
    return W + W.T


def optimum(W):
    signs = np.array([(1.0, *rest) for rest in itertools.product((1.0, -1.0), repeat=len(W) - 1)])
    return 0.25 * (W.sum() - np.einsum("ki,ki->k", signs, signs @ W)).min(), 0.25 * (
        W.sum() - np.einsum("ki,ki->k", signs, signs @ W)
    ).max()


def fit(W, **settings):
    defaults = {"metric": "precomputed", "random_state": 0, "n_init": 4, "polish": None}
    return DerandMaxCut(**(defaults | settings)).fit(W)


def assert_promises(model, W):
    assert model.cut_value_ == pytest.approx(cut_value(W, model.labels_), rel=1e-14)
    assert model.expected_cut_ <= model.cut_value_ <= model.upper_bound_ + 1e-9 * np.abs(W).sum()
    assert model.labels_[0] == 0 and set(np.unique(model.labels_)) <= {0, 1} and model.labels_.dtype == np.int64
    assert model.gap_ >= -1e-9
    assert model.certificate_.holds and model.noise_ == 0.0
    assert model.certificate_.initial_value == -model.expected_cut_
    assert model.certificate_.value <= -model.expected_cut_ + 1e-9 * np.abs(W).sum()
    np.testing.assert_allclose(np.linalg.norm(model.embedding_, axis=1), 1)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_small_graphs_against_brute_force(signed, seed):
    n = 6 + 2 * seed
    W = random_graph(n, (0.3, 0.6, 1.0)[seed % 3], signed, seed, integer=seed % 2 == 0)
    model = fit(W, n_init=8, polish="one_flip")
    assert_promises(model, W)
    best = optimum(W)[1]
    assert model.upper_bound_ >= best - 1e-9
    assert model.cut_value_ == pytest.approx(best)
    if not signed:
        assert model.cut_value_ >= 0.87856 * best


@pytest.mark.parametrize(("polish", "seed"), [(None, 0), ("one_flip", 1), ("annealing", 2), ("tabu", 3), ("auto", 4)])
def test_promises_on_middling_graphs(polish, seed):
    if polish in ("annealing", "tabu"):
        pytest.importorskip("dwave.samplers")
    W = random_graph(60, 0.15, seed % 2 == 1, seed)
    model = fit(W, polish=polish)
    assert_promises(model, W)
    installed = importlib.util.find_spec("dwave") is not None
    assert model.polish_ == (polish if polish != "auto" else "annealing" if installed else "one_flip")
    if model.polish_ is not None:
        signs = 1.0 - 2.0 * model.labels_
        if model.polish_ == "one_flip":
            assert (signs * (W @ signs)).max() <= 1e-9


def test_odd_cycle_and_bipartite():
    pentagon = nx.to_numpy_array(nx.cycle_graph(5))
    model = fit(pentagon)
    assert (model.cut_value_, model.upper_bound_) == (4.0, 4.0)
    assert model.expected_cut_ == pytest.approx(4.0, rel=1e-3)
    grid = nx.to_scipy_sparse_array(nx.grid_2d_graph(8, 9))
    model = fit(grid, n_init=16)
    assert model.cut_value_ == model.upper_bound_ == grid.nnz / 2 and model.gap_ == 0.0


def test_input_kinds_agree():
    W = random_graph(20, 0.4, True, 1)
    labels = fit(W).labels_
    frame = pd.DataFrame(W)
    wide = sparse.csr_array(W)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    kinds = [sparse.csr_array(W), sparse.csc_matrix(W), sparse.coo_array(W), frame, wide, W.astype(int), W.tolist()]
    for kind in kinds:
        np.testing.assert_array_equal(fit(kind).labels_, labels)
    np.testing.assert_array_equal(fit(W + 7 * np.eye(20)).labels_, labels)
    assert fit(sparse.csr_array(W)).cut_value_ == fit(W.astype(np.float32)).cut_value_


def test_input_is_left_alone():
    W = sparse.csr_array(random_graph(12, 0.5) + np.eye(12))
    W.data.flags.writeable = W.indices.flags.writeable = W.indptr.flags.writeable = False
    before = W.toarray()
    fit(W)
    np.testing.assert_array_equal(W.toarray(), before)


def test_empty_cut_where_nothing_is_gained():
    W = -random_graph(10, 0.8)
    model = fit(W)
    assert model.cut_value_ == 0.0 and not model.labels_.any()
    model = fit(np.zeros((4, 4)))
    assert (model.cut_value_, model.upper_bound_, model.expected_cut_, model.gap_) == (0.0, 0.0, 0.0, 0.0)
    assert not model.labels_.any() and model.certificate_.holds


def test_isolated_vertices_and_components():
    W = random_graph(9, 0.5)
    padded = np.zeros((15, 15))
    padded[3:12, 3:12] = W
    assert fit(padded, n_init=16).cut_value_ == optimum(W)[1]
    twice = np.kron(np.eye(2), W)
    assert fit(twice, n_init=16).cut_value_ == 2 * optimum(W)[1]


def test_init_is_never_lost():
    W = random_graph(30, 0.3, True, 5)
    good = fit(W, polish="one_flip", n_init=32).labels_
    again = fit(W, init=good, n_init=1, random_state=3)
    assert again.cut_value_ >= cut_value(W, good)


@pytest.mark.parametrize("integer", [True, False])
def test_a_constant_factor_changes_no_label(integer):
    W = random_graph(40, 0.3, True, 2, integer=integer)
    base = fit(W, polish="auto")
    assert base.weight_unit_ == (1.0 if integer else np.abs(W).max())
    for factor in (1e-140, 1e-6, 0.1, 3.0, np.pi, 1e12):
        model = fit(factor * W, polish="auto")
        np.testing.assert_array_equal(model.labels_, base.labels_)
        assert_promises(model, factor * W)
        for name in ("weight_unit_", "cut_value_", "upper_bound_", "expected_cut_"):
            assert getattr(model, name) == pytest.approx(factor * getattr(base, name), rel=1e-7, abs=0.0), name
        for name in ("tol", "curvature_tol", "value"):
            scaled = factor * getattr(base.certificate_, name)
            assert getattr(model.certificate_, name) == pytest.approx(scaled, rel=1e-7, abs=0.0), name


@pytest.mark.parametrize("polish", ["annealing", "one_flip"])
def test_any_number_of_processes_gives_the_same_labels(polish):
    if polish == "annealing":
        pytest.importorskip("dwave.samplers")
    W = make_graph("gnm", n_nodes=120, n_edges=500, random_state=0)
    alone, together = (fit(W, polish=polish, n_init=20, n_jobs=n_jobs) for n_jobs in (None, 2))
    np.testing.assert_array_equal(alone.labels_, together.labels_)
    assert repr(alone.certificate_) == repr(together.certificate_)  # nan is not nan


def test_repeatable_and_plain_state():
    W = random_graph(25, 0.4)
    one, two = fit(W, polish="auto"), pickle.loads(pickle.dumps(fit(W, polish="auto")))
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(two, name))
        plain = np.ndarray | float | int | str | dict | type(None)
        assert isinstance(value, plain) or dataclasses.is_dataclass(value), name
    assert len({len(column) for column in one.history_.values()}) == 1
    assert one.history_["noise"][0] == 1.0 and one.history_["noise"][-1] == 0.0
    assert one.history_["value"][-1] == one.certificate_.value


def test_fallback_when_the_descents_fail(monkeypatch):
    from sklearn_derand.estimators import _cut_search

    def nothing(self, n_replicas, seed):
        means = torch.zeros(self.weights.shape[0])
        self._best_path, self._best_means = [(0.0, 0.0, means)], means
        return np.ones((self.weights.shape[0], 1))

    monkeypatch.setattr(_cut_search.CutSearch, "_descend_once", nothing)
    for seed in range(3):
        W = random_graph(12, 0.8, seed == 1, seed)
        model = fit(W)
        assert model.cut_value_ >= model.expected_cut_ > 0
        assert model.certificate_.value <= -model.expected_cut_


def test_clusters_far_points_apart():
    X, y = make_blobs(80, centers=[[0, 0], [6, 6]], random_state=0)
    for metric in ("euclidean", "cityblock"):
        labels = make_pipeline(StandardScaler(), DerandMaxCut(metric=metric, n_init=4)).fit_predict(X)
        assert adjusted_rand_score(y, labels) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_points_of_few_distances(seed):
    """Of one-hot rows, whose distances are five numbers: sums of them cancel in one order and not in another."""
    columns = np.random.RandomState(0).randint(5, size=(60, 4))
    X = np.eye(5)[columns].reshape(60, -1)
    search = DerandMaxCut(random_state=seed).fit(X)
    assert search.expected_cut_ <= search.cut_value_ <= search.upper_bound_


def test_max_time_returns_a_valid_answer():
    W = random_graph(60, 0.3)
    model = fit(W, max_time=1e-3, polish="auto")
    assert_promises(model, W)


def test_a_round_fills_the_time_and_no_more(monkeypatch):
    # The clock ticks once a look, so the test depends on no machine: what is counted is that work ends when time does.
    now = [0.0]

    def clock():
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(Deadline, "clock", staticmethod(clock))
    W = random_graph(60, 0.3)
    model = fit(W, max_time=2000.0, polish="one_flip", n_init="auto")
    assert_promises(model, W)
    assert 0.9 * 2000 <= now[0] <= 1.1 * 2000


BAD = [
    (nx.path_graph(3), {}, TypeError, "X is a Graph.*networkx.to_scipy_sparse_array\\(graph\\)"),
    (np.array([[0, 1, 1.0], [1, 2, 1.0], [2, 3, 2.0]]), {}, ValueError, "symmetric weights.*edge list.*coo_array"),
    (np.ones((3, 3)), {"n_jobs": "2"}, ValueError, "n_jobs"),
    (np.ones((4, 3)), {}, ValueError, "square matrix of weights, got shape \\(4, 3\\).*coo_array"),
    (np.triu(np.ones((4, 4))), {}, ValueError, "symmetric weights.*W \\+ W.T"),
    (sparse.csr_array(np.triu(np.ones((4, 4)))), {}, ValueError, "symmetric weights"),
    ([[0, np.nan], [np.nan, 0]], {}, ValueError, "NaN"),
    ([[0, np.inf], [np.inf, 0]], {}, ValueError, "infinity"),
    ([[0.0]], {}, ValueError, "minimum of 2"),
    (np.empty((0, 0)), {}, ValueError, "0 sample|0 feature"),
    (np.ones((3, 3)), {"polish": "lbfgs"}, ValueError, "polish"),
    (np.ones((3, 3)), {"metric": "rbf"}, ValueError, "metric"),
    (np.ones((3, 3)), {"n_init": 0}, ValueError, "n_init"),
    (np.ones((3, 3)), {"rank": 1}, ValueError, "rank"),
    (np.ones((3, 3)), {"max_time": 0}, ValueError, "max_time"),
    (np.ones((3, 3)), {"init": [0, 1]}, ValueError, "init must be a labelling of the 3 nodes"),
    (np.ones((3, 3)), {"init": [0, 1, 2]}, ValueError, "init must be a labelling"),
]


@pytest.mark.parametrize(("W", "settings", "error", "message"), BAD)
def test_bad_input(W, settings, error, message):
    with pytest.raises(error, match=message):
        fit(W, **settings)


def test_graphs_that_reduce_to_nothing():
    tree = nx.random_labeled_tree(40, seed=0)
    model = fit(nx.to_scipy_sparse_array(tree), polish="auto")
    assert model.cut_value_ == model.upper_bound_ == 39.0
    assert_promises(model, nx.to_numpy_array(tree))
    ladder = nx.to_numpy_array(nx.circular_ladder_graph(7)) * np.pi
    model = fit(ladder)
    assert_promises(model, ladder)
    assert model.cut_value_ == pytest.approx(optimum(ladder)[1])


def battery(n_graphs, sizes):
    for seed in range(n_graphs):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(*sizes))
        yield random_graph(n, rng.uniform(0.15, 1.0), seed % 2 == 1, seed, integer=seed % 3 > 0)


@pytest.mark.parametrize("n_graphs", [15, pytest.param(1000, marks=pytest.mark.slow)])
def test_cut_is_never_below_the_expectation(n_graphs):
    for W in battery(n_graphs, (2, 40)):
        assert_promises(fit(W, n_init=1), W)


@pytest.mark.parametrize("n_graphs", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_battery_against_brute_force(n_graphs):
    found = []
    for W in battery(n_graphs, (3, 16 if n_graphs < 50 else 17)):
        model, best = fit(W, n_init="auto", polish="one_flip"), optimum(W)[1]
        assert model.upper_bound_ >= best - 1e-9
        found.append(model.cut_value_ >= best - 1e-9)
    assert np.mean(found) >= 0.95


def test_bound_by_lanczos_where_no_factorisation_is_affordable(monkeypatch):
    from sklearn_derand.problems import dual_bound

    W = sparse.csr_array(random_graph(220, 0.06, True, 1))
    factorised = fit(W, n_init=1)
    monkeypatch.setattr(dual_bound, "DENSE_LIMIT", 10)
    monkeypatch.setattr(dual_bound, "ENVELOPE_SHARE", 0.0)
    model = fit(W, n_init=1)
    assert model.bound_method_ == "lanczos" and model.bound_failure_probability_ == 1e-6
    assert factorised.bound_method_ in ("dense", "sparse") and factorised.bound_failure_probability_ == 0.0
    assert model.upper_bound_ == pytest.approx(factorised.upper_bound_, rel=0.01)
    assert_promises(model, W)
