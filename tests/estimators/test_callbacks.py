"""scikit-learn's callbacks see each accepted step, may stop a fit, and change nothing otherwise."""

import io
import warnings
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor

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


@pytest.mark.parametrize("name", ["student", "embedding"])
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


def test_nothing_is_printed_without_a_callback_and_a_bar_is_drawn_with_one():
    pytest.importorskip("rich")
    estimator, data = FITS["embedding"]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        clone(estimator).fit(*data)
    assert out.getvalue() == err.getvalue() == ""
    with redirect_stdout(io.StringIO()) as out:
        search = GridSearchCV(
            clone(estimator), {"n_components": [2]}, cv=2, scoring=lambda e, X, y=None: -e.distortion_
        )
        search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X)
    assert "DerandJLEmbedding" in out.getvalue() and "descent" in out.getvalue()
