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
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor

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


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV], ids=lambda search: search.__name__)
def test_searches_find_the_best_of_a_pipeline(search):
    pipeline = make_pipeline(StandardScaler(), _student())
    grid = {"multiindexstudentregressor__alpha": [0.01, 10.0]}
    found = search(pipeline, grid, cv=2).fit(X, Y)
    assert found.best_params_["multiindexstudentregressor__alpha"] == 0.01


def test_randomised_search_draws_alpha():
    found = RandomizedSearchCV(_student(), {"alpha": loguniform(1e-2, 1e-1)}, n_iter=2, cv=2, random_state=0).fit(X, Y)
    assert 1e-2 <= found.best_params_["alpha"] <= 1e-1


def test_two_processes_search_to_the_same_bits_as_one():
    pipeline = make_pipeline(_embedding(), Ridge())
    grid = {"derandjlembedding__n_components": [1, 3]}
    serial, parallel = (GridSearchCV(pipeline, grid, cv=2, n_jobs=n).fit(X, Y) for n in (1, 2))
    np.testing.assert_array_equal(serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"])
    assert _state(serial.best_estimator_[0]) == _state(parallel.best_estimator_[0])


def test_starts_in_two_processes_give_the_same_bits_as_one():
    serial, parallel = (_student(n_init=2, n_jobs=n).fit(X, Y) for n in (1, 2))
    assert _state(serial) == _state(parallel)


def test_a_cut_is_tuned_by_what_it_reports():
    everything = np.arange(len(WEIGHTS))
    search = GridSearchCV(
        _cut(),
        {"n_init": [1, 4]},
        scoring=lambda estimator, X, y=None: estimator.cut_value_,
        cv=[(everything, everything)],
    ).fit(WEIGHTS)
    assert search.best_score_ == search.best_estimator_.cut_value_


def test_cross_validation_scores_the_student():
    scores = cross_validate(_student(), X, Y, cv=3, return_estimator=True)
    assert scores["test_score"].mean() > 0.5
    assert all(estimator.certificate_.holds for estimator in scores["estimator"])


def test_columns_and_unions_carry_names():
    import pandas as pd

    frame = pd.DataFrame(FLOWERS, columns=list("abcd"))
    columns = ColumnTransformer([("near", _embedding(), list("abc")), ("rest", "passthrough", ["d"])])
    names = columns.fit(frame).get_feature_names_out()
    assert list(names) == ["near__derandjlembedding0", "near__derandjlembedding1", "rest__d"]
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


def test_search_routes_sample_weight_to_fit_and_score():
    weights = np.r_[np.ones(40), np.zeros(20)]
    with config_context(enable_metadata_routing=True):
        student = _student().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(student, {"alpha": [0.05]}, cv=[(np.arange(60), np.arange(60))])
        search.fit(X, Y, sample_weight=weights)
    alone = _student().fit(X[:40], Y[:40])
    assert search.best_score_ == pytest.approx(alone.score(X[:40], Y[:40]), abs=1e-4)
