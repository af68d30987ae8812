"""Each estimator inside what scikit-learn composes: pipelines, unions, searches, ensembles, routing, caches."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, ParameterGrid, RandomizedSearchCV, cross_validate
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.engine import Certificate

RNG = np.random.RandomState(0)
X = RNG.randn(60, 4)
Y = X[:, 0] ** 2 + 0.1 * RNG.randn(60)
FLOWERS, KINDS = load_iris(return_X_y=True)
FLOWERS, KINDS = FLOWERS[::4], KINDS[::4]
WEIGHTS = np.abs(X @ X.T) * (1 - np.eye(60))


def _student(**settings):
    return MultiIndexStudentRegressor(
        **({"n_components": 1, "hidden_layer_sizes": (4,), "alpha": 0.05, "random_state": 0} | settings)
    )


def _embedding(**settings):
    return DerandJLEmbedding(**({"n_components": 2, "random_state": 0} | settings))


def _cut(**settings):
    return DerandMaxCut(**({"metric": "precomputed", "n_init": 2, "polish": None, "random_state": 0} | settings))


FITS = [(_student(), (X, Y)), (_embedding(), (X,)), (_cut(), (WEIGHTS,))]
IDS = ["student", "embedding", "cut"]


def _state(estimator):
    """Fitted arrays and numbers, in a form that compares bitwise."""
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else repr(value)
        for name, value in vars(estimator).items()
        if name.endswith("_") and not isinstance(value, dict | list)
    }


@pytest.mark.parametrize(("estimator", "data"), FITS, ids=IDS)
def test_a_clone_fits_to_the_same_bits_and_copies_keep_them(estimator, data):
    fitted = clone(estimator).fit(*data)
    twin = clone(estimator).fit(*data)
    assert _state(fitted) == _state(twin)
    for copied in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert _state(copied) == _state(fitted)


@pytest.mark.parametrize(("estimator", "data"), FITS, ids=IDS)
def test_joblib_files_and_memory_keep_the_fit(estimator, data, tmp_path):
    fit = joblib.Memory(tmp_path, verbose=0).cache(lambda estimator, *data: estimator.fit(*data))
    fitted = clone(estimator).fit(*data)
    joblib.dump(fitted, tmp_path / "fit.joblib")
    assert _state(joblib.load(tmp_path / "fit.joblib")) == _state(fitted)
    assert _state(fit(clone(estimator), *data)) == _state(fit(clone(estimator), *data)) == _state(fitted)


def test_cached_pipeline_reuses_the_transformer(tmp_path):
    pipeline = make_pipeline(_embedding(), LogisticRegression(max_iter=1000), memory=joblib.Memory(tmp_path, verbose=0))
    first = pipeline.fit(FLOWERS, KINDS).predict(FLOWERS)
    np.testing.assert_array_equal(pipeline.fit(FLOWERS, KINDS).predict(FLOWERS), first)


@pytest.mark.parametrize(("estimator", "data"), FITS, ids=IDS)
def test_skops_files_keep_the_fit_and_hold_no_code_but_two_classes(estimator, data):
    skops = pytest.importorskip("skops.io")
    fitted = clone(estimator).fit(*data)
    file = skops.dumps(fitted)
    classes = (Certificate, type(estimator))
    assert skops.get_untrusted_types(data=file) == sorted(f"{c.__module__}.{c.__name__}" for c in classes)
    assert _state(skops.loads(file, trusted=skops.get_untrusted_types(data=file))) == _state(fitted)


def _reported(estimator, X, y=None):
    """Score what a fit says of itself; a cut and an embedding have no other test set."""
    return estimator.cut_value_ if hasattr(estimator, "cut_value_") else -estimator.distortion_


EVERYTHING = [(np.arange(60), np.arange(60))]
GRIDS = {
    "student": (_student(), (X, Y), {"alpha": [0.01, 10.0]}, {"cv": 2}),
    "embedding": (_embedding(), (X,), {"n_components": [3, 1]}, {"cv": EVERYTHING, "scoring": _reported}),
    "cut": (_cut(), (WEIGHTS,), {"n_init": [1, 4]}, {"cv": EVERYTHING, "scoring": _reported}),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV], ids=lambda search: search.__name__)
def test_searches_find_what_is_best_by_hand(search, name):
    estimator, data, grid, settings = GRIDS[name]
    drawn = {"n_iter": 2, "random_state": 0} if search is RandomizedSearchCV else {}
    found = search(clone(estimator), grid, **settings, **drawn).fit(*data)
    by_hand = [clone(estimator).set_params(**parameters) for parameters in ParameterGrid(grid)]
    scores = [cross_validate(one, *data, **settings)["test_score"].mean() for one in by_hand]
    assert found.best_score_ == max(scores)
    assert sorted(found.cv_results_["mean_test_score"]) == sorted(scores)
    assert _state(found.best_estimator_) == _state(clone(estimator).set_params(**found.best_params_).fit(*data))


def test_halving_searches_give_rows_to_the_student_and_starts_to_the_cut():
    found = HalvingGridSearchCV(_student(), {"alpha": [0.01, 10.0]}, cv=2, random_state=0).fit(X, Y)
    assert found.best_params_ == {"alpha": 0.01}
    # Part of a graph is another problem: the resource of a cut is its starts.
    resources = {"resource": "n_init", "min_resources": 1, "max_resources": 3}
    found = HalvingGridSearchCV(_cut(), {"rank": [2, 3, 8]}, cv=EVERYTHING, scoring=_reported, **resources).fit(WEIGHTS)
    assert found.n_resources_ == [1, 3]
    assert found.best_score_ == found.best_estimator_.cut_value_


def test_randomised_search_draws_alpha():
    found = RandomizedSearchCV(_student(), {"alpha": loguniform(1e-2, 1e-1)}, n_iter=2, cv=2, random_state=0).fit(X, Y)
    assert 1e-2 <= found.best_params_["alpha"] <= 1e-1


@pytest.mark.parametrize("name", GRIDS)
def test_two_processes_search_to_the_same_bits_as_one(name):
    estimator, data, grid, settings = GRIDS[name]
    serial, parallel = (GridSearchCV(clone(estimator), grid, n_jobs=n, **settings).fit(*data) for n in (1, 2))
    np.testing.assert_array_equal(serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"])
    assert _state(serial.best_estimator_) == _state(parallel.best_estimator_)


def test_starts_in_two_processes_give_the_same_bits_as_one():
    serial, parallel = (_student(n_init=2, n_jobs=n).fit(X, Y) for n in (1, 2))
    assert _state(serial) == _state(parallel)


def test_cross_validation_scores_each_estimator():
    scores = cross_validate(_student(), X, Y, cv=3, return_estimator=True)
    assert scores["test_score"].mean() > 0.5
    assert all(estimator.certificate_.holds for estimator in scores["estimator"])
    classifier = make_pipeline(_embedding(), LogisticRegression(max_iter=1000))
    assert cross_validate(classifier, FLOWERS, KINDS, cv=3)["test_score"].mean() > 0.8
    cut = _cut().fit(WEIGHTS)
    assert cross_validate(_cut(), WEIGHTS, cv=EVERYTHING, scoring=_reported)["test_score"] == [cut.cut_value_]


def test_a_search_slices_rows_and_columns_of_a_graph():
    half = np.arange(30)
    settings = {"cv": [(half, half)], "scoring": _reported, "return_estimator": True}
    (cut,) = cross_validate(_cut(), WEIGHTS, **settings)["estimator"]
    assert _state(cut) == _state(_cut().fit(WEIGHTS[:30, :30]))


def test_cuts_end_pipelines_of_points_and_of_graphs():
    points = make_pipeline(StandardScaler(), _cut(metric="euclidean"))
    alone = _cut(metric="euclidean").fit(StandardScaler().fit_transform(FLOWERS))
    np.testing.assert_array_equal(points.fit_predict(FLOWERS), alone.labels_)
    symmetric = FunctionTransformer(lambda graph: graph.maximum(graph.T), accept_sparse=True)
    neighbours = make_pipeline(KNeighborsTransformer(mode="distance", n_neighbors=5), symmetric, _cut())
    assert set(neighbours.fit_predict(FLOWERS)) == {0, 1}
    assert neighbours[-1].upper_bound_ >= neighbours[-1].cut_value_ > 0


def test_columns_and_unions_carry_names():
    import pandas as pd

    frame = pd.DataFrame(FLOWERS, columns=list("abcd"))
    columns = ColumnTransformer([("near", _embedding(), list("abc")), ("rest", "passthrough", ["d"])])
    names = columns.fit(frame).get_feature_names_out()
    assert list(names) == ["near__derandjlembedding0", "near__derandjlembedding1", "rest__d"]
    columns = ColumnTransformer([("index", _student(), [0, 1]), ("near", _embedding(), [2, 3])])
    assert list(columns.fit(X, Y).get_feature_names_out()) == [
        "index__multiindexstudentregressor0",
        "near__derandjlembedding0",
        "near__derandjlembedding1",
    ]
    union = FeatureUnion([("jl", _embedding()), ("index", _student())])
    assert union.fit_transform(X, Y).shape == (60, 3)
    assert len(union.get_feature_names_out()) == 3


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("transformer", [_embedding(), _student()], ids=["embedding", "student"])
def test_output_comes_as_the_frame_asked_for(transformer, library):
    frames = pytest.importorskip(library)
    out = clone(transformer).set_output(transform=library).fit_transform(X, Y)
    assert isinstance(out, frames.DataFrame)
    assert list(out.columns) == [f"{type(transformer).__name__.lower()}{i}" for i in range(out.shape[1])]


def test_ensembles_and_target_transforms_take_the_student():
    members = [("student", _student()), ("ridge", Ridge())]
    for ensemble in (VotingRegressor(members), StackingRegressor(members, cv=2)):
        assert ensemble.fit(X, Y).score(X, Y) > Ridge().fit(X, Y).score(X, Y)
    scaled = TransformedTargetRegressor(_student(), transformer=StandardScaler()).fit(X, Y)
    assert scaled.score(X, Y) > 0.8


def test_a_calibrated_classifier_stands_behind_the_embedding():
    model = make_pipeline(_embedding(), CalibratedClassifierCV(LogisticRegression(max_iter=1000), cv=2))
    assert model.fit(FLOWERS, KINDS).score(FLOWERS, KINDS) > 0.8


@pytest.mark.parametrize("routing", [False, True])
def test_sample_weight_reaches_the_student_of_a_pipeline(routing):
    weights = np.r_[np.ones(40), np.zeros(20)]
    alone = _student().fit(StandardScaler().fit_transform(X), Y, sample_weight=weights)
    with config_context(enable_metadata_routing=routing):
        if routing:
            student = _student().set_fit_request(sample_weight=True)
            scaler = StandardScaler().set_fit_request(sample_weight=False)
            pipeline = make_pipeline(scaler, student).fit(X, Y, sample_weight=weights)
        else:
            pipeline = make_pipeline(StandardScaler(), _student())
            pipeline.fit(X, Y, multiindexstudentregressor__sample_weight=weights)
    assert _state(pipeline[-1]) == _state(alone)


def test_weights_pass_by_the_embedding_on_their_way_to_a_classifier():
    weights = np.r_[np.ones(20), np.zeros(len(KINDS) - 20)]
    images = _embedding().fit_transform(FLOWERS)
    alone = LogisticRegression(max_iter=1000).fit(images, KINDS, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        classifier = LogisticRegression(max_iter=1000).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(_embedding(), classifier).fit(FLOWERS, KINDS, sample_weight=weights)
    np.testing.assert_array_equal(pipeline[-1].coef_, alone.coef_)


def test_search_routes_sample_weight_to_fit_and_score():
    weights = np.r_[np.ones(40), np.zeros(20)]
    with config_context(enable_metadata_routing=True):
        student = _student().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(student, {"alpha": [0.05]}, cv=EVERYTHING)
        search.fit(X, Y, sample_weight=weights)
    alone = _student().fit(X[:40], Y[:40])
    assert search.best_score_ == pytest.approx(alone.score(X[:40], Y[:40]), abs=1e-4)
