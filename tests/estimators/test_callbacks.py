"""scikit-learn's callbacks see each accepted step, may stop a fit, and change nothing otherwise."""

import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GridSearchCV

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.metrics import cut_value, max_distortion

X = np.random.RandomState(0).randn(40, 5)
Y = X[:, 0] ** 2

FITS = {
    "student": (
        MultiIndexStudentRegressor(1, hidden_layer_sizes=(4,), alpha=0.05, random_state=0),
        (X, Y),
    ),
    "embedding": (DerandJLEmbedding(n_components=2, random_state=0), (X,)),
    "cut": (DerandMaxCut(random_state=0, polish=None, n_init=2), (X,)),
}


class Recorder:
    """Counts tasks; asks to stop after some steps."""

    def __init__(self, stop_after=np.inf):
        self.begun, self.ended, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        return self.ended.count("step") >= self.stop_after


@pytest.mark.parametrize("name", FITS)
def test_every_task_begun_is_ended_and_the_fit_is_the_same(name):
    estimator, data = FITS[name]
    plain = clone(estimator).fit(*data)
    recorder = Recorder()
    watched = clone(estimator).set_callbacks(recorder).fit(*data)
    assert sorted(recorder.begun) == sorted(recorder.ended)
    assert recorder.ended[-1] == "fit" and "descent" in recorder.ended and "step" in recorder.ended
    np.testing.assert_array_equal(watched.certified_params_, plain.certified_params_)


@pytest.mark.parametrize("name", FITS)
def test_a_callback_stops_a_descent_and_the_fit_says_so(name):
    estimator, data = FITS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stopped = clone(estimator).set_callbacks(Recorder(stop_after=1)).fit(*data)
    full = clone(estimator).fit(*data)
    assert stopped.n_iter_ < full.n_iter_
    assert not stopped.certificate_.holds
    messages = [str(warning.message) for warning in caught if warning.category is ConvergenceWarning]
    assert any("callback" in message for message in messages)


SCORES = {
    "student": lambda estimator, X, y: estimator.score(X, y),
    "embedding": lambda estimator, X, y: -max_distortion(X, estimator.transform(X)),
    "cut": lambda estimator, X, y: cut_value(euclidean_distances(X), estimator.labels_),
}


@pytest.mark.parametrize("name", FITS)
def test_a_monitor_scores_the_steps_and_then_the_fit(name):
    estimator, data = FITS[name]
    monitor = ScoringMonitor(scoring={"score": SCORES[name]})
    fitted = clone(estimator).set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data
    steps = [row["score"] for row in rows if row["task_name"] == "step"]
    (last,) = [row["score"] for row in rows if row["task_name"] == "fit"]
    assert len(steps) > 1 and np.isfinite(steps).all()
    assert last == pytest.approx(SCORES[name](fitted, X, Y))
    assert steps[-1] == pytest.approx(last, rel=1e-6)


@pytest.mark.parametrize("name", FITS)
def test_nothing_is_printed_without_a_callback_and_a_bar_is_drawn_with_one(name):
    pytest.importorskip("rich")
    estimator, data = FITS[name]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        clone(estimator).fit(*data)
    assert out.getvalue() == err.getvalue() == ""
    everything = [(np.arange(len(X)), np.arange(len(X)))]
    search = GridSearchCV(clone(estimator), {"tol": [1e-5]}, cv=everything, scoring=lambda *_: 0.0)
    with redirect_stdout(io.StringIO()) as out:
        search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*data)
    assert all(words in out.getvalue() for words in ("GridSearchCV", type(estimator).__name__, "descent"))


@pytest.mark.parametrize("name", FITS)
def test_diagnostics_go_to_the_logger_of_the_package(name, caplog):
    estimator, data = FITS[name]
    with caplog.at_level(logging.DEBUG, logger="sklearn_derand"):
        fitted = clone(estimator).fit(*data)
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    assert all(record.name.startswith("sklearn_derand.") for record in caplog.records)
    said = [record.getMessage() for record in caplog.records]
    assert f"{fitted.n_iter_} steps. {fitted.certificate_}" in "\n".join(said)
    assert any("steps: Certified" in words for words in said)
