"""DerandJLEmbedding by the failure probability: its promises, and what it refuses before any work."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits

from sklearn_derand import DerandJLEmbedding
from sklearn_derand.estimators import _jl_failures
from sklearn_derand.metrics import max_distortion
from sklearn_derand.verification import verify

X = load_digits().data[:14]


@pytest.fixture(scope="module")
def embedding():
    return DerandJLEmbedding(n_components=6, objective="failure_probability", random_state=0).fit(X)


def test_the_promises_hold(embedding):
    assert embedding.certificate_.holds
    assert embedding.noise_ == 0.0
    assert embedding.distortion_ == pytest.approx(max_distortion(X, X @ embedding.components_.T), rel=1e-9)
    assert embedding.distortion_lower_bound_ <= embedding.distortion_ <= embedding.distortion_bound_
    assert verify(embedding, X).holds


def test_noise_and_failures_vanish(embedding):
    """From the law to a map at the first level; the last one is not failed by any pair."""
    history = embedding.history_
    assert 0 < history["noise"][0] < np.sqrt(0.5 / 6)
    first = history["eps"] == history["eps"][0]
    assert history["noise"][first][-1] < 1e-3
    assert history["value"][first][-1] < 1e-3
    assert np.all(np.diff(history["value"][first]) <= 1e-12)
    assert embedding.distortion_ < history["eps"][-1] <= 1.03 * embedding.distortion_
    assert history["value"][-1] == pytest.approx(0.0, abs=1e-12)
    assert {values.shape for values in history.values()} == {first.shape}


def test_both_objectives_end_alike(embedding):
    chernoff = clone(embedding).set_params(objective="chernoff").fit(X)
    assert chernoff.distortion_ / 1.1 < embedding.distortion_ < 1.6 * chernoff.distortion_
    assert chernoff.distortion_bound_ == embedding.distortion_bound_


def test_it_stops_where_no_pair_fails(embedding):
    easy = clone(embedding).set_params(eps=0.6).fit(X)
    assert embedding.distortion_ < easy.distortion_ <= 0.6
    assert easy.history_["eps"][-1] == 0.6
    assert easy.n_iter_ < embedding.n_iter_


def test_the_same_seed_gives_the_same_map_and_sparse_rows_one_as_good():
    quick = DerandJLEmbedding(n_components=4, objective="failure_probability", max_iter=20, random_state=0)
    one, other = clone(quick).fit(X), clone(quick).fit(X)
    np.testing.assert_array_equal(one.components_, other.components_)
    rows = clone(quick).fit(sparse.csr_array(X))
    assert rows.distortion_ < 1.0
    assert rows.certificate_.holds


def test_an_isometry_needs_no_steps():
    embedding = DerandJLEmbedding(n_components=5, objective="failure_probability", random_state=0).fit(X[:5])
    assert embedding.distortion_ < 1e-12
    assert embedding.n_iter_ == 0
    assert embedding.certificate_.holds


def test_no_pair_no_distortion():
    embedding = DerandJLEmbedding(n_components=2, objective="failure_probability").fit(np.ones((4, 3)))
    assert embedding.distortion_ == 0.0
    assert embedding.certificate_.holds


@pytest.mark.parametrize(
    "given, words",
    [
        ({"n_components": "auto"}, 'n_components="auto" cannot be had with objective="failure_probability"'),
        ({"validation_fraction": 0.2}, "validation_fraction=0.2 cannot be had with"),
        ({"objective": "markov"}, "The 'objective' parameter"),
    ],
)
def test_what_it_refuses(given, words, monkeypatch):
    monkeypatch.setattr(_jl_failures, "descend_failures", None)
    settings = {"n_components": 2, "objective": "failure_probability"} | given
    with pytest.raises(ValueError, match=words):
        DerandJLEmbedding(**settings).fit(X)


def test_too_many_points_are_refused_unless_some_are_drawn():
    many = np.random.RandomState(0).standard_normal((201, 3))
    embedding = DerandJLEmbedding(n_components=2, objective="failure_probability", max_iter=2, random_state=0)
    with pytest.raises(ValueError, match="X has 201 rows.*max_pairs=19900"):
        embedding.fit(many)
    assert embedding.set_params(max_pairs=45, eps=2.0).fit(many).n_pairs_ == 45
