"""Whatever the data: a right answer, confirmed by the independent checker, or a specific error."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from outcomes import assert_ends_well, assert_same_state, fit_or_refuse, is_specific
from scipy.sparse.csgraph import connected_components
from tables import CONTAINERS, SPARSE_FORMATS, contained, examples, graphs, memory_mapped, tables, to_sparse

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor


def embed(n_components=2):
    return DerandJLEmbedding(n_components, eps=0.5, max_iter=60, random_state=0)


def cut(metric="precomputed"):
    return DerandMaxCut(metric, n_init=1, polish="one_flip", max_iter=60, random_state=0)


def learn(**changes):
    settings = {"hidden_layer_sizes": (3,), "alpha": 0.05, "weight_decay": 1e-3, "max_iter": 60, "random_state": 0}
    return MultiIndexStudentRegressor(1, **settings | changes)


def target(X, seed=0, kind="real"):
    y = np.random.RandomState(seed).standard_normal(X.shape[0])
    return np.floor(np.abs(3 * y)) if kind == "counts" else y


def _embedding_ends_well(X, container, n_components):
    n_components = X.shape[1] if n_components == "all" else n_components
    assert_ends_well(embed(n_components), contained(X, container), plain=X)


def _cut_of_points_ends_well(X, container, metric):
    assert_ends_well(cut(metric), contained(X, container), plain=X)


def _student_ends_well(X, container, loss, scale):
    y = target(X, kind="counts" if loss == "poisson" else "real")
    assert_ends_well(learn(loss=loss), contained(X, container), y if loss == "poisson" else scale * y, plain=X)


def _graph_ends_well(weights, form):
    given_as = weights if form is None else to_sparse(weights, form)
    assert assert_ends_well(cut(), given_as, plain=weights) is not None


DIMENSIONS = st.sampled_from([1, 2, "all", "auto"])
METRICS = st.sampled_from(["euclidean", "cityblock", "cosine"])
LOSSES = st.sampled_from(["squared_error", "pseudo_huber", "poisson"])
FORMS = st.sampled_from([None, *SPARSE_FORMATS])
SCALES = st.sampled_from([1.0, 1e-12, 1e12])
DENSE = st.sampled_from(["C order", "Fortran order", "read-only", "strided", "pandas", "polars"])
ANY = st.one_of(DENSE, st.tuples(st.sampled_from(SPARSE_FORMATS), st.sampled_from(["int32", "int64"])))

test_any_table_embeds = examples(40)(given(tables(), ANY, DIMENSIONS)(_embedding_ends_well))
test_any_table_is_cut = examples(40)(given(tables(), ANY, METRICS)(_cut_of_points_ends_well))
test_any_table_is_learned = examples(12)(given(tables(), DENSE, LOSSES, SCALES)(_student_ends_well))
test_any_graph_is_cut = examples(60)(given(graphs(), FORMS)(_graph_ends_well))

test_many_tables_embed = pytest.mark.slow(examples(600)(given(tables(), ANY, DIMENSIONS)(_embedding_ends_well)))
test_many_tables_are_cut = pytest.mark.slow(examples(600)(given(tables(), ANY, METRICS)(_cut_of_points_ends_well)))
test_many_tables_are_learned = pytest.mark.slow(
    examples(150)(given(tables(), DENSE, LOSSES, SCALES)(_student_ends_well))
)
test_many_graphs_are_cut = pytest.mark.slow(examples(1000)(given(graphs(), FORMS)(_graph_ends_well)))


def _kinds_of_table(X, n_components):
    X64 = X.astype(float)
    spread, rank = np.ptp(X64, axis=0), np.linalg.matrix_rank(X64 - X64.mean(axis=0))
    yield X.dtype.name
    yield from (name for name, seen in {
        "one row": len(X) == 1,
        "one feature": X.shape[1] == 1,
        "fewer rows than features": len(X) < X.shape[1],
        "k = d": n_components == "all",
        "repeated rows": len(np.unique(X64, axis=0)) < len(X),
        "a constant column": len(X) > 1 and spread.min() == 0 < spread.max(),
        "collinear columns": spread.min() > 0 and rank < min(X.shape[1], len(X) - 1),
        "scale 1e-12": 0 < spread.max() < 1e-11,
        "scale 1e12": spread.max() > 1e11,
        "far from the origin": spread.max() > 0 and np.abs(X64).min() > 1e5 * spread.max(),
    }.items() if seen)  # fmt: skip


def _kinds_of_graph(weights):
    n, edges = len(weights), np.triu(weights, 1)
    stored, degrees = np.count_nonzero(edges), np.count_nonzero(edges + edges.T, axis=1)
    parts, sides = connected_components(edges)[0], np.arange(n) % 2
    size = np.abs(edges).max()
    yield from (name for name, seen in {
        "empty": stored == 0,
        "disconnected": parts > 1 and stored,
        "complete": n > 3 and stored == n * (n - 1) / 2,
        "bipartite": n > 4 and stored == (n // 2) * ((n + 1) // 2) and not edges[np.equal.outer(sides, sides)].any(),
        "star": n > 4 and stored == n - 1 == degrees.max(),
        "tree": n > 4 and stored == n - 1 > degrees.max() and parts == 1,
        "self loops": np.diag(weights).any(),
        "signed": edges.min() < 0 < edges.max(),
        "tiny": 0 < size < 1e-90,
        "huge": size > 1e90,
        "zero total": stored and abs(edges.sum()) <= 1e-12 * size,
    }.items() if seen)  # fmt: skip


def test_every_kind_of_data_that_is_promised_is_drawn():
    seen = set()
    examples(400)(given(tables(), DIMENSIONS)(lambda X, k: seen.update(_kinds_of_table(X, k))))()
    assert seen >= {"bool", "int8", "int64", "float16", "float32", "float64", "one row", "one feature", "k = d"}
    assert seen >= {"fewer rows than features", "repeated rows", "a constant column", "collinear columns"}
    assert seen >= {"scale 1e-12", "scale 1e12", "far from the origin"}
    examples(400)(given(graphs())(lambda weights: seen.update(_kinds_of_graph(weights))))()
    assert seen >= {"empty", "disconnected", "complete", "bipartite", "star", "tree", "self loops", "signed"}
    assert seen >= {"tiny", "huge", "zero total"}


def _table(n=10, d=4):
    return np.random.RandomState(0).standard_normal((n, d))


def _graph(n=10):
    upper = np.triu(np.random.RandomState(0).standard_normal((n, n)), 1)
    return upper + upper.T


CASES = {
    "embedding": (embed, _table(), ()),
    "cut": (cut, _graph(), ()),
    "cut of points": (lambda: cut("euclidean"), _table(), ()),
    "student": (learn, _table(), (target(_table()),)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_fit(case, container):
    make, X, targets = CASES[case]
    fitted = fit_or_refuse(make(), CONTAINERS[container](X), *targets)
    vars(fitted).pop("feature_names_in_", None)
    assert_same_state(fitted, fit_or_refuse(make(), X, *targets))


@pytest.mark.parametrize("case", CASES)
def test_memory_maps_give_the_same_fit(case, tmp_path):
    make, X, targets = CASES[case]
    fitted = fit_or_refuse(make(), memory_mapped(X, tmp_path), *targets)
    assert_same_state(fitted, fit_or_refuse(make(), X, *targets))


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("index_type", ["int32", "int64"])
@pytest.mark.parametrize("form", SPARSE_FORMATS)
def test_every_sparse_format_gives_the_same_fit(form, index_type, kind):
    graph = np.where(np.abs(_graph()) > 0.5, _graph(), 0.0)
    assert_same_state(fit_or_refuse(cut(), to_sparse(graph, form, index_type, kind)), fit_or_refuse(cut(), graph))
    table = np.where(np.abs(_table()) > 0.5, _table(), 0.0)
    sparse = to_sparse(table, form, index_type, kind)
    assert_same_state(fit_or_refuse(embed(), sparse), fit_or_refuse(embed(), sp.csr_array(table)))
    assert_ends_well(cut("euclidean"), sparse, plain=table)
    assert fit_or_refuse(learn(), sparse, target(table)) is None


BAD = {
    "NaN": np.where(np.eye(5), np.nan, 1.0),
    "infinite": np.where(np.eye(5), np.inf, 1.0),
    "complex": np.eye(5) + 1j,
    "words": np.full((5, 5), "word"),
    "three-dimensional": np.ones((2, 5, 5)),
    "one-dimensional": np.ones(5),
    "no rows": np.empty((0, 5)),
    "no columns": np.empty((5, 0)),
    "squares overflow": np.vander(np.arange(5.0)) * 1e200,
    "squares underflow": np.vander(np.arange(5.0)) * 1e-200,
    "None": None,
    "ragged": [[1.0, 2.0], [1.0]],
    "a number": 3.0,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bad", BAD)
def test_bad_tables_are_refused_before_anything_is_fitted(case, bad):
    make, _, targets = CASES[case]
    estimator = make()
    with pytest.raises((ValueError, TypeError)) as caught:
        estimator.fit(BAD[bad], *(np.arange(5.0) for _ in targets))
    assert is_specific(caught.value) or bad == "ragged"
    assert not hasattr(estimator, "certificate_")


@pytest.mark.parametrize(
    "y",
    [
        np.ones(10),
        np.where(np.arange(10) == 3, np.nan, 1.0),
        np.arange(9.0),
        np.arange(10.0) * 1e200,
        np.arange(10.0) * 1e-200,
        np.full(10, "word"),
        None,
    ],
    ids=["constant", "NaN", "too short", "overflow", "underflow", "words", "None"],
)
def test_bad_targets_are_refused(y):
    assert fit_or_refuse(learn(), _table(), y) is None


@pytest.mark.parametrize("scale", [1e-60, 1e-12, 1.0, 1e12, 1e60])
def test_scale_does_not_change_a_cut(scale):
    unit = 2.0 ** np.round(np.log2(scale))
    one, other = fit_or_refuse(cut(), _graph(20)), fit_or_refuse(cut(), unit * _graph(20))
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_allclose(unit * one.expected_cut_, other.expected_cut_, rtol=1e-12)
    np.testing.assert_allclose(unit * one.upper_bound_, other.upper_bound_, rtol=1e-12)


def test_offset_does_not_change_an_embedding():
    near, far = fit_or_refuse(embed(), _table()), fit_or_refuse(embed(), _table() + 2.0**20)
    np.testing.assert_allclose(near.distortion_lower_bound_, far.distortion_lower_bound_, rtol=1e-6)


def test_a_line_search_survives_values_whose_squares_overflow():
    weights = 1e100 * (np.eye(5) - 1)
    assert assert_ends_well(cut(), weights).cut_value_ == 0


@pytest.mark.parametrize("shape", [(12, 4), (12, 1), (3, 7)])
def test_equal_rows_are_no_pairs(shape):
    X = np.full(shape, 0.1) * np.arange(1, shape[1] + 1)
    assert assert_ends_well(embed(1), X).distortion_ == 0
    assert assert_ends_well(cut("euclidean"), X).cut_value_ == 0


@pytest.mark.parametrize("moved", [np.diag([0.0, 1.0, 1.0]), [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
def test_sparse_data_at_the_edge_of_rounding_are_verified_to_that(moved):
    X = 1e9 - np.asarray(moved)
    assert_ends_well(embed(1), sp.csr_array(X), plain=X)


@pytest.mark.parametrize("shape", [(12, 4), (5, 9)])
def test_sparse_data_far_from_the_origin_embed_as_well(shape):
    X = np.random.RandomState(0).standard_normal(shape)
    near, far = fit_or_refuse(embed(), X), assert_ends_well(embed(), sp.csr_array(X + 2.0**26), plain=X + 2.0**26)
    np.testing.assert_allclose(near.distortion_lower_bound_, far.distortion_lower_bound_, rtol=1e-4)
    assert far.distortion_ < 2 * near.distortion_


def test_an_outlier_leaves_the_other_distances_their_digits():
    X = np.random.RandomState(1).standard_normal((3, 4))
    X[2] *= 1e6
    assert fit_or_refuse(embed(1), X).distortion_ < 1e-3
    assert fit_or_refuse(embed(2), X).distortion_ < 1e-6


@pytest.mark.parametrize("options", [{"validation_fraction": 0.3}, {"max_pairs": 40}, {"max_pairs": 1}])
def test_maps_chosen_otherwise_end_well(options):
    assert_ends_well(embed().set_params(**options), _table(20, 6))


def test_tiny_distances_far_from_the_origin_count():
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    fitted = cut("euclidean").fit(points * 2.0**-20 + 2.0**10)
    np.testing.assert_allclose(fitted.cut_value_, cut("euclidean").fit(points).cut_value_ * 2.0**-20, rtol=1e-9)
