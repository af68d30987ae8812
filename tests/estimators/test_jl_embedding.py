"""DerandJLEmbedding: its promises on the fitted points, and its behaviour as a drop-in."""

import dataclasses
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from scipy import linalg, sparse, stats
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, DataDimensionalityWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection, johnson_lindenstrauss_min_dim

from sklearn_derand import DerandJLEmbedding
from sklearn_derand.engine import minimize
from sklearn_derand.estimators import (
    _jl_dimension,
    _jl_embedding,
    _jl_path,
    _jl_points,
    _jl_scale,
    _jl_starts,
    _jl_tails,
    _jl_validation,
    _jl_walk,
)
from sklearn_derand.estimators._jl_outside import cross_weight
from sklearn_derand.estimators._jl_points import SpanCoordinates
from sklearn_derand.estimators._jl_spectrum import EXPONENTS, shrinkages
from sklearn_derand.metrics import distortions, max_distortion
from sklearn_derand.problems import distortion_bounds
from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion

DIGITS = load_digits().data


@pytest.fixture(scope="module")
def fitted():
    return DerandJLEmbedding(n_components=16, random_state=0).fit(DIGITS[:250])


def test_the_promises_hold(fitted):
    X = DIGITS[:250]
    assert fitted.certificate_.holds
    assert fitted.noise_ == 0.0
    assert fitted.distortion_ == pytest.approx(max_distortion(X, X @ fitted.components_.T), rel=1e-9)
    assert fitted.distortion_lower_bound_ <= fitted.distortion_ <= fitted.distortion_bound_
    assert fitted.distortion_ < 0.25
    draws = [max_distortion(X, GaussianRandomProjection(16, random_state=seed).fit_transform(X)) for seed in range(20)]
    assert fitted.distortion_ < 0.25 * min(draws)


def test_noise_falls_from_the_law_to_nothing(fitted):
    noise = fitted.history_["noise"]
    assert noise[0] == pytest.approx(np.sqrt(0.5 / 16))
    assert noise[-1] == 0.0
    assert {name: values.shape for name, values in fitted.history_.items()} == dict.fromkeys(
        ("value", "gradient_norm", "noise", "t"), noise.shape
    )
    for t in np.unique(fitted.history_["t"]):
        value = fitted.history_["value"][fitted.history_["t"] == t]
        assert np.all(np.diff(value) <= 1e-12)


@pytest.mark.parametrize("init", ["gaussian", "pca+gaussian"])
@pytest.mark.parametrize("X", [DIGITS[:40], np.eye(20)[:, :15] + np.arange(15.0) ** 4])
def test_the_start_is_no_worse_than_the_law(init, X):
    embedding = DerandJLEmbedding(n_components=6, init=init, random_state=0).fit(X)
    assert embedding.history_["value"][0] <= embedding.distortion_bound_ * (1 + 1e-9)
    assert embedding.history_["noise"][0] == pytest.approx(np.sqrt(0.5 / 6))
    assert embedding.distortion_lower_bound_ <= embedding.distortion_ <= embedding.distortion_bound_


def test_state_is_plain(fitted):
    for name, value in vars(fitted).items():
        assert isinstance(value, np.ndarray | int | float | str | bool | dict | None) or dataclasses.is_dataclass(
            value
        ), name


def test_the_same_seed_gives_the_same_map_and_another_another(fitted):
    again = clone(fitted).fit(DIGITS[:250])
    np.testing.assert_array_equal(again.components_, fitted.components_)
    other = clone(fitted).set_params(random_state=1).fit(DIGITS[:250])
    assert not np.allclose(other.components_, fitted.components_)


def test_a_shift_of_the_points_changes_nothing_much(fitted):
    """Differences alone count: there is no centring to do, and none is done."""
    shifted = clone(fitted).fit(DIGITS[:250] + 10.0)
    assert shifted.distortion_ == pytest.approx(fitted.distortion_, rel=0.05)
    np.testing.assert_allclose(shifted.transform(np.zeros((1, 64))), 0.0, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_forms_of_input(dtype, form):
    X = form(DIGITS[:60].astype(dtype))
    embedding = DerandJLEmbedding(n_components=8, random_state=0)
    Z = embedding.fit_transform(X)
    assert isinstance(Z, np.ndarray)
    assert Z.dtype == embedding.components_.dtype == dtype
    assert embedding.distortion_ == pytest.approx(max_distortion(X, Z), rel=1e-5)
    # Coordinates on the span are rounded otherwise, so that descents part and end in minima of their own.
    dense = clone(embedding).fit(DIGITS[:60].astype(np.float64))
    assert embedding.distortion_ == pytest.approx(dense.distortion_, rel=0.05)


def test_many_sparse_columns():
    """The span of n points has n - 1 dimensions; the map on the others is Gaussian, so new points are not lost."""
    X = sparse.random_array((40, 20_000), density=0.002, format="csr", random_state=np.random.default_rng(0))
    embedding = DerandJLEmbedding(n_components=20, random_state=0).fit(X)
    assert embedding.certificate_.holds
    assert embedding.distortion_ < 0.35 < 0.5 < embedding.distortion_bound_
    new = np.zeros((1, 20_000))
    unseen = np.flatnonzero(np.asarray(abs(X).sum(axis=0)).ravel() == 0)
    new[0, unseen] = 1.0
    length = np.sum(embedding.transform(new) ** 2) / unseen.size
    assert abs(length - 1) < 4 * np.sqrt(2 / 20)


def test_duplicates_and_near_duplicates():
    X = np.vstack([DIGITS[:40], DIGITS[:5], DIGITS[5:8] + 1e-9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedding = DerandJLEmbedding(n_components=16, random_state=0).fit(X)
    assert np.isfinite(embedding.distortion_)
    assert embedding.distortion_ <= embedding.distortion_bound_


@pytest.mark.parametrize("most", [_jl_points.MOST_NUMBERS, 0])
def test_sparse_columns_in_units_far_apart(most, monkeypatch):
    """Axes from a Gram matrix hold rounding of the longest: these maps had moved near pairs far apart."""
    monkeypatch.setattr(_jl_points, "MOST_NUMBERS", most)
    for seed in (0, 2, 5):
        rng = np.random.RandomState(seed)
        X = rng.standard_normal((10, 30)) * (rng.uniform(size=(10, 30)) < 0.5) * 10 ** rng.uniform(-6, 6, size=30)
        assert (SpanCoordinates.of(sparse.csr_array(X)).dual is None) == (most > 0)
        embedding = DerandJLEmbedding(4, random_state=0).fit(sparse.csr_array(X))
        assert embedding.distortion_ < 0.02
        assert embedding.certificate_.holds


@pytest.mark.parametrize("X", [np.ones((1, 5)), np.ones((4, 5)), np.ones((1, 5), dtype=np.float32)])
@pytest.mark.parametrize("n_components", [2, "auto"])
def test_no_pair_no_distortion(X, n_components):
    embedding = DerandJLEmbedding(n_components=n_components, random_state=0).fit(X)
    assert embedding.distortion_ == embedding.distortion_bound_ == embedding.noise_ == 0.0
    assert embedding.certificate_.holds
    assert embedding.transform(X).shape == (len(X), embedding.n_components_)
    assert np.abs(embedding.components_).max() > 0


def test_more_components_than_features_warns_and_is_an_isometry():
    X = DIGITS[:30, 2:6]
    with pytest.warns(DataDimensionalityWarning, match="n_components=7 is higher than the number of features"):
        embedding = DerandJLEmbedding(n_components=7, random_state=0).fit(X)
    assert embedding.components_.shape == (7, 4)
    assert embedding.distortion_ < 1e-12
    assert embedding.certificate_.holds


def test_too_few_steps_warn():
    with pytest.warns(ConvergenceWarning, match="gradient norm .* is above tol"):
        DerandJLEmbedding(n_components=8, max_iter=3, random_state=0).fit(DIGITS[:50])


def test_auto_is_verified_and_far_below_the_lemma():
    X = DIGITS[:60]
    embedding = DerandJLEmbedding(eps=0.2, random_state=0).fit(X)
    k = embedding.n_components_
    assert embedding.distortion_ <= 0.2
    assert embedding.components_.shape == (k, 64)
    assert 20 * k < johnson_lindenstrauss_min_dim(60, eps=0.2)
    fewer = DerandJLEmbedding(n_components=k - 1, random_state=0).fit(X)
    assert fewer.distortion_ > 0.2
    assert list(embedding.get_feature_names_out()) == [f"derandjlembedding{i}" for i in range(k)]


class Trial:
    """A descent that ends at ``1 / k``, or while it is a trial at ``promise / k``; its own objective and parameters."""

    def __init__(self, k, promise=1.0):
        self.n_components, self.params, self.promise, self.t = k, None, promise, 1.0
        self.objective = self

    def maps(self):
        return np.eye(self.n_components)

    def still(self):
        return self.params

    def largest(self, params):  # noqa: ARG002
        return self.promise / self.n_components


@pytest.mark.parametrize("promise", [1.0, 0.8])
def test_auto_goes_on_from_the_map_nearby(promise):
    """Also where a trial promised too much."""
    coordinates, calls, smallest = SpanCoordinates.of(DIGITS[:60]), [], 10

    def descend(k, near=None, enough=0.0):
        calls.append((k, near and near.k, enough))
        assert near is None or near.descent.objective is None  # and the pairs it held are free
        return Trial(k, promise if enough else 1.0)

    tensors = lambda *arrays: map(torch.tensor, arrays)  # noqa: E731
    k, descent = _jl_dimension.choose_dimension(descend, tensors, coordinates, "auto", 0.1)
    assert k == descent.n_components == smallest
    trials = [call for call in calls if call[2]]
    assert trials[0][1:] == (None, 0.1)
    for i, (k, near, _) in enumerate(trials[1:], 1):
        assert abs(near - k) == min(abs(other - k) for other, _, _ in trials[:i])
    found = min(k for k, _, _ in trials if promise / k <= 0.1)
    assert calls[len(trials) :] == [(found, found, 0.0), *((k, k - 1, 0.0) for k in range(found + 1, smallest + 1))]


def test_a_map_nests_in_a_larger_one():
    maps = np.random.RandomState(0).standard_normal((5, 9))
    np.testing.assert_array_equal(_jl_dimension.resized(maps, 7)[:5], maps)
    assert np.linalg.matrix_rank(_jl_dimension.resized(maps, 7)) == 7
    fewer = _jl_dimension.resized(maps, 3)
    lost = np.linalg.eigvalsh(maps.T @ maps - fewer.T @ fewer)
    np.testing.assert_allclose(lost[:7], 0, atol=1e-12)  # the two shortest axes, and nothing else
    np.testing.assert_allclose(lost[7:], np.linalg.eigvalsh(maps @ maps.T)[:2])


def test_auto_never_exceeds_the_features():
    X = np.random.RandomState(0).standard_normal((200, 6))
    embedding = DerandJLEmbedding(eps=0.01, random_state=0).fit(X)
    assert embedding.n_components_ == 6
    assert embedding.distortion_ < 1e-12


def test_inverse(fitted):
    Z = fitted.transform(DIGITS[:10])
    kept = clone(fitted).set_params(compute_inverse_components=True).fit(DIGITS[:60])
    assert kept.inverse_components_.shape == (64, 16)
    np.testing.assert_allclose(fitted.transform(fitted.inverse_transform(Z)), Z, atol=1e-9)
    images = kept.transform(DIGITS[:10])
    np.testing.assert_allclose(kept.transform(kept.inverse_transform(images)), images, atol=1e-9)


def test_input_is_left_alone():
    X = DIGITS[:40].copy()
    X.flags.writeable = False
    DerandJLEmbedding(n_components=8, random_state=0).fit(X)
    np.testing.assert_array_equal(X, DIGITS[:40])


@pytest.mark.parametrize("name, value", [("eps", 0.0), ("n_components", 0), ("solver", "sgd"), ("tol", -1.0)])
def test_bad_parameters(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        DerandJLEmbedding(**{name: value}).fit(DIGITS[:20])


def test_seeds_shared_between_data_and_projection():
    """Gaussian data of seed s must not meet the same Gaussian numbers in the map of random_state s."""
    X = np.random.RandomState(3).standard_normal((16, 200))
    components = DerandJLEmbedding(n_components=8, random_state=3).fit(X).components_
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    assert np.abs(unit(components) @ unit(X).T).max() < 0.6


def test_points_set_aside_choose_the_map():
    """On new points it beats the fitted optimum, which beats it on the fitted ones; both are measured."""
    X, new = DIGITS[:100], DIGITS[500:800]
    best_on_fitted = DerandJLEmbedding(n_components=16, random_state=0).fit(X)
    chosen = DerandJLEmbedding(n_components=16, validation_fraction=0.25, random_state=0).fit(X)
    assert best_on_fitted.distortion_ < chosen.distortion_ < chosen.distortion_bound_
    gain = max_distortion(new, best_on_fitted.transform(new)) / max_distortion(new, chosen.transform(new))
    assert gain > 1.0
    assert chosen.certificate_.holds
    assert not hasattr(best_on_fitted, "validation_distortion_")


def test_points_set_aside_of_sparse_input():
    X = sparse.random_array((24, 60), density=0.3, format="csr", random_state=np.random.default_rng(0))
    sparse_fit = DerandJLEmbedding(n_components=6, validation_fraction=0.25, random_state=0).fit(X)
    assert sparse_fit.validation_distortion_ < 1.0
    images = X @ sparse_fit.components_.T
    assert sparse_fit.distortion_ == pytest.approx(max_distortion(X, images), rel=1e-9)


@pytest.fixture
def small_scale(monkeypatch):
    """The path for many points, at a size that a test can afford."""
    monkeypatch.setattr(_jl_embedding, "DENSE_POINTS", 100)
    monkeypatch.setattr(_jl_scale, "ANCHORS", 60)
    monkeypatch.setattr(_jl_scale, "BLOCK", 5_000)
    monkeypatch.setattr(_jl_scale, "WORST", 1_000)
    monkeypatch.setattr(_jl_scale, "OTHERS", 1_000)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_many_points_are_verified_on_all_pairs(small_scale, form):
    X = form(DIGITS[:150])
    embedding = DerandJLEmbedding(n_components=16, random_state=0, max_iter=3000).fit(X)
    assert embedding.n_pairs_ == 150 * 149 // 2
    assert embedding.distortion_ == pytest.approx(max_distortion(X, X @ embedding.components_.T), rel=1e-9)
    assert embedding.certificate_.holds
    assert embedding.distortion_lower_bound_ <= embedding.distortion_ < 0.3


def test_scan_finds_the_worst_pairs(monkeypatch):
    X = DIGITS[:90]
    Z = X @ np.random.RandomState(0).standard_normal((64, 8)) / np.sqrt(8)
    changes = np.abs(distortions(X, Z))
    for block in (500, 10**6):
        monkeypatch.setattr(_jl_scale, "BLOCK", block)
        scan = _jl_scale.Scan.of(X, Z, n_worst=300)
        assert scan.distortion == pytest.approx(changes.max())
        ratios = ((Z[scan.first] - Z[scan.second]) ** 2).sum(axis=1) * scan.inverse
        np.testing.assert_allclose(np.sort(np.abs(ratios - 1)), np.sort(changes)[-300:], rtol=1e-9)


def test_scan_leaves_out_pairs_that_rounding_decides():
    X = np.vstack([DIGITS[:90], DIGITS[:1]])
    longest = X[0].argmax()
    X[90, longest] = np.nextafter(X[90, longest], 100)
    for Y, Z in ((X, X[:, :8]), (sparse.csr_array(X), X[:, :8])):
        scan = _jl_scale.Scan.of(Y, Z, n_worst=91 * 45)
        assert not ((scan.first == 0) & (scan.second == 90)).any()
        assert scan.distortion == pytest.approx(max_distortion(X[:90], Z[:90]))
    sample = _jl_scale.Scan.sample(X[[0, 90]], seed=0)
    assert sample.first.size == 0


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_many_points_are_kept_where_no_sampled_one_lies(small_scale, form):
    """Some points alone have columns of their own, of which a sample's span would leave the map a random draw."""
    X = np.zeros((200, 60))
    X[:, :20] = np.random.RandomState(0).standard_normal((200, 20))
    X[::5, 20:] = 6 * np.eye(40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        embedding = DerandJLEmbedding(n_components=16, random_state=0).fit(form(X))
    assert embedding.distortion_ < 0.4
    assert embedding.distortion_ == pytest.approx(max_distortion(X, embedding.transform(X)), rel=1e-9)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_components", [2, "auto"])
def test_many_equal_points(small_scale, form, n_components):
    equal = np.ones((150, 3))
    assert DerandJLEmbedding(n_components, random_state=0).fit(form(equal)).distortion_ == 0
    equal[77] = 2.0  # in no sample of a few but by design
    embedding = DerandJLEmbedding(n_components, random_state=0).fit(form(equal))
    assert embedding.distortion_ < 1e-6
    assert embedding.certificate_.holds


def test_max_pairs_looks_at_fewer_and_says_so():
    embedding = DerandJLEmbedding(n_components=8, max_pairs=1000, random_state=0).fit(DIGITS[:200])
    assert embedding.n_pairs_ == 45 * 44 // 2 <= 1000
    assert max_distortion(DIGITS[:200], embedding.transform(DIGITS[:200])) > embedding.distortion_


def test_too_many_pairs_are_refused():
    X = sparse.csr_array((20_001, 3))
    with pytest.raises(ValueError, match="20001 rows.*set max_pairs"):
        DerandJLEmbedding(n_components=2).fit(X)


def test_too_few_points_to_set_any_aside():
    embedding = DerandJLEmbedding(n_components=2, validation_fraction=0.1, random_state=0).fit(DIGITS[:4])
    assert embedding.distortion_ >= embedding.distortion_lower_bound_


@pytest.mark.parametrize("last", [KNeighborsClassifier(), LogisticRegression(max_iter=2000), KMeans(3, n_init=1)])
def test_drop_in_for_a_gaussian_projection(last):
    """The same pipeline runs with either class, under the same parameter names."""
    X, y = DIGITS[:60], load_digits().target[:60]
    pipeline = make_pipeline(GaussianRandomProjection(n_components=8, random_state=0), last)
    swapped = clone(pipeline).set_params(gaussianrandomprojection=DerandJLEmbedding(n_components=8, random_state=0))
    for model in (pipeline, swapped):
        assert model.fit(X, y).predict(X).shape == (60,)
    assert list(GaussianRandomProjection().get_params()) == sorted(
        set(GaussianRandomProjection().get_params()) & set(DerandJLEmbedding().get_params())
    )


def test_search_over_the_dimension():
    X, y = DIGITS[:80], load_digits().target[:80]
    pipeline = make_pipeline(DerandJLEmbedding(random_state=0), KNeighborsClassifier(1))
    search = GridSearchCV(pipeline, {"derandjlembedding__n_components": [2, 16]}, cv=2).fit(X, y)
    assert search.best_params_ == {"derandjlembedding__n_components": 16}


def test_tails_foresee_the_extremes_of_more_pairs():
    """Of a random map, from 100 ratios: a scale closer to the best of 10,000 than their own, and what it costs."""
    random = np.random.RandomState(0)
    foreseen, seen, promised = np.empty(200), np.empty(200), np.empty(200)
    for i in range(200):
        sample, more = (random.chisquare(16, size) / 16 for size in (100, 10_000))
        promised[i], scale = _jl_tails.outlook([_jl_tails.Look.at(sample, sample)], 10_000)
        scales = scale, 2 / (sample.min() + sample.max())
        foreseen[i], seen[i] = (max(1 - scale * more.min(), scale * more.max() - 1) for scale in scales)
    gain = seen - foreseen
    assert gain.mean() > 4 * gain.std() / np.sqrt(200)
    assert gain.mean() > 0.05
    assert promised.mean() == pytest.approx(foreseen.mean(), rel=0.1)


def test_the_scale_is_set_by_the_furthest_and_the_promise_by_more():
    """The promise by ``ORDER`` of either tail, which the ``NEAREST`` hardly change; the scale by these alone."""
    sample = np.random.RandomState(0).chisquare(9, 2000) / 9
    far = np.where(sample >= np.sort(sample)[-_jl_tails.NEAREST], 2 * sample, sample)
    near = np.where(sample < np.sort(sample)[-_jl_tails.NEAREST], np.minimum(sample, np.sort(sample)[-100]), sample)
    (promise, scale), (more, smaller), (less, same) = (
        _jl_tails.outlook([_jl_tails.Look.at(some, some)], 10_000) for some in (sample, far, near)
    )
    assert smaller < 0.9 * scale
    assert same == pytest.approx(scale, rel=0.01)
    assert less < promise < more


@pytest.mark.parametrize("count", [1, 50, 10_000])
def test_largest_scores_are_the_law_of_a_largest_normal(count):
    """They cut its distribution into equal parts; and so they do with 4,000 samples, within four standard errors."""
    scores = _jl_tails.largest_scores(count)
    middles = (np.arange(scores.size) + 0.5) / scores.size
    np.testing.assert_allclose(count * stats.norm.logcdf(scores), np.log(middles), rtol=1e-9)
    largest = np.random.RandomState(1).standard_normal((4000, count)).max(axis=1)
    below = (largest[:, None] <= scores).mean(axis=0)
    assert np.all(np.abs(below - middles) < 4 * np.sqrt(middles * (1 - middles) / 4000))
    assert abs(_jl_tails.normal_score(1, count) - largest.mean()) < 4 * largest.std() / np.sqrt(4000) + 0.01


def test_the_scale_has_the_least_expected_distortion():
    random = np.random.RandomState(0)
    low, high = 0.3 + 0.05 * random.uniform(size=7), 1.6 + 0.6 * random.uniform(size=9)
    least, scale = _jl_tails.least_expected(low, high)

    def expected(s):
        return np.mean([max(1 - s * a, s * b - 1) for a in low for b in high])

    assert least == pytest.approx(expected(scale), rel=1e-12)
    assert least <= min(expected(s) for s in np.linspace(0.5, 2.0, 3001)) + 1e-12
    # The upper extreme varies more and counts for more: the scale is smaller than the one that balances the means.
    assert scale < 2 / (low.mean() + high.mean())


@pytest.mark.parametrize("low, high, answer", [(0.5, 1.5, (0.5, 1.0)), (1.0, 1.0, (0.0, 1.0)), (0.0, 0.0, (1.0, 1.0))])
def test_extremes_known_for_sure_are_balanced(low, high, answer):
    assert _jl_tails.least_expected(np.full(3, low), np.full(3, high)) == pytest.approx(answer, abs=1e-12)


def test_tails_take_the_pairs_of_all_splits_together():
    look = partial(_jl_tails.Look.at, everything=np.ones(1))
    sample = np.random.RandomState(0).chisquare(9, 400)
    parts = [look(part) for part in np.split(sample, [100, 150])]
    for most in (_jl_tails.ORDER, _jl_tails.NEAREST):
        assert _jl_tails.tails(parts, most) == pytest.approx(_jl_tails.tails([look(sample)], most))
    assert _jl_tails.tails([look(np.full(9, 8.0))]) == pytest.approx((2.0, 0.0, 0.0), abs=1e-12)
    assert _jl_tails.tails([look(np.array([3.0]))]) == (1.0, 0.0, 0.0)
    assert _jl_tails.tails([look(np.empty(0))]) == (1.0, 0.0, 0.0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n, budget", [(29, (50, 0)), (60, (20, 160)), (150, (50, 47)), (180, (50, 0))])
def test_work_that_goes_into_the_lower_bound(n, budget, monkeypatch):
    """Weights of points ascend briefly where many evaluations with those of pairs follow, and there alone."""
    seen = []

    def record(points, distances, k, evaluations, ranks, pair_evaluations):
        seen.append((evaluations, pair_evaluations))
        return 0.0

    monkeypatch.setattr(distortion_bounds, "distortion_lower_bound", record)
    DerandJLEmbedding(8, max_iter=1, random_state=0).fit(DIGITS[:n])
    assert seen == [budget]


@pytest.mark.parametrize("n, share, sizes", [(50, 0.2, [10] * 5), (11, 0.3, [3] * 3), (9, 0.7, [6]), (4, 0.1, [])])
def test_splits_set_each_point_aside_at_most_once(n, share, sizes):
    parts = _jl_validation.splits(1 - np.eye(n), share, 0)
    assert [part.size for part in parts] == sizes
    assert np.unique(np.concatenate([*parts, []])).size == sum(sizes)


def test_a_split_that_leaves_equal_points_alone_is_left_out():
    """Of one point and copies of another, any set with the one is of no use; of copies alone, none is."""
    X = np.zeros((10, 3))
    X[4] = 1.0
    parts = _jl_validation.splits(SpanCoordinates.of(X).inverse_distances, 0.2, 0)
    assert len(parts) == 4
    assert 4 not in np.concatenate(parts)
    assert _jl_validation.splits(np.zeros((10, 10)), 0.2, 0) == []
    embedding = DerandJLEmbedding(2, validation_fraction=0.2, random_state=0).fit(X)
    assert embedding.distortion_ < 1e-9
    assert not hasattr(
        DerandJLEmbedding(1, validation_fraction=0.5, random_state=0).fit(X[3:6]), "validation_distortion_"
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_handful_of_points_does_not_decide_on_a_scale_far_off(seed):
    """Five points have splits of one pair each: one that is short is no reason to lengthen all others."""
    X = np.round(2 * np.random.RandomState(seed).standard_normal((5, 12)))
    embedding = DerandJLEmbedding(2, validation_fraction=0.3, random_state=seed).fit(X)
    assert embedding.distortion_ < embedding.distortion_bound_
    assert embedding.validation_distortion_ < 1.5


def test_random_rows_for_sparse_points_make_a_unit_norm_tight_frame():
    rows = linalg.qr(np.random.RandomState(0).standard_normal((300, 12)), mode="economic")[0].T
    frame = _jl_starts._tight_frame(rows)
    np.testing.assert_allclose((frame**2).sum(axis=0), 12 / 300, rtol=1e-12)
    np.testing.assert_allclose(frame @ frame.T, np.eye(12), atol=1e-5)
    # Two words: half of the variance of a Gaussian map is gone, 2 / k (1 - 1/2).
    pairs = np.random.RandomState(1).permutation(300).reshape(2, -1)
    for map_, variance in ((frame, 1 / 12), (np.random.RandomState(2).standard_normal((12, 300)), 2 / 12)):
        squares = ((map_[:, pairs[0]] + map_[:, pairs[1]]) ** 2).sum(axis=0)
        relative = squares / squares.mean() - 1
        error = np.sqrt(np.var(relative**2) / len(relative))
        assert abs(np.mean(relative**2) - variance) < 4 * error


def test_every_pair_with_a_point_set_aside_is_looked_at_once():
    aside, fitted = DIGITS[:7], np.vstack([DIGITS[7:12], DIGITS[:1]])
    components = np.random.RandomState(0).standard_normal((5, 64))
    pairs = _jl_validation.NewPairs.of(aside, fitted)
    everything = np.vstack([aside, fitted])
    within, all_pairs, among_fitted = (distortions(X, X @ components.T) + 1 for X in (aside, everything, fitted))
    ratios = pairs.ratios(everything @ components.T)
    # One point stands in both sets: that pair has no ratio.
    assert ratios.size == all_pairs.size - among_fitted.size - 1
    np.testing.assert_allclose(np.sort(ratios[pairs.within]), np.sort(within), rtol=1e-9)
    (look,) = pairs.looks(_jl_walk.Stop(components, [np.eye(5)]))
    assert look.extremes == pytest.approx((ratios.min(), ratios.max()))
    assert look.smallest == pytest.approx(np.sort(np.cbrt(within)))


@pytest.mark.parametrize("n_aside, count", [(1, 8), (2, 1 + 2 * 7), (3, 3)])
def test_few_points_set_aside_are_looked_at_with_the_fitted_ones(n_aside, count):
    pairs = _jl_validation.NewPairs.of(DIGITS[:n_aside], DIGITS[n_aside:9])
    (look,) = pairs.looks(_jl_walk.Stop(np.eye(5, 64), [np.eye(5)]))
    first = [distortions(DIGITS[[i, j]], DIGITS[[i, j], :5]) + 1 for i in range(n_aside) for j in range(i + 1, 9)]
    assert look.count == count
    if n_aside < 3:
        assert look.smallest == pytest.approx(np.sort(np.cbrt(np.ravel(first))))


def test_the_promise_is_averaged_over_neighbouring_stops():
    """One stop that promises much decides nothing; the ends count for themselves twice."""
    for promises, stop in (
        ([1.0, 1.0, 0.7, 1.0, 0.8, 0.85, 0.8], 5),
        ([1.0, 0.9, 0.9, 0.9, 1.0], 2),
        ([0.58, 0.9, 0.7, 0.7], 0),
    ):
        assert _jl_validation.chosen(np.array(promises)[:, None]) == (stop, 0)


def test_of_promises_that_hardly_differ_the_most_shrunk_is_chosen():
    """At the stop that is best for it."""
    one = np.array([1.0, 0.8, 0.7, 0.7, 0.7, 0.9])
    for factors, exponent in (((1, 1.004, 1.006), 1), ((1.006, 1, 1.004), 2), ((1.01, 1, 1.02), 1), ((1, 1, 1), 2)):
        promises = one[:, None] * factors
        assert _jl_validation.chosen(promises) == (3, exponent)
    assert _jl_validation.chosen(np.stack([one, one[::-1]], axis=1)) == (2, 1)


def test_the_path_is_walked_again_with_all_points(monkeypatch):
    """The map is a stop of a walk on all points, scaled; its distortion is what maps that come as far do to pairs."""
    monkeypatch.setattr(_jl_walk, "LADDER", [(4.0, (3, 3))])
    tensors = DerandJLEmbedding()._tensors
    X = np.random.RandomState(7).standard_normal((40, 64))
    coordinates, parts = SpanCoordinates.of(X), _jl_validation.splits(1 - np.eye(40), 0.25, 0)
    components, distortion = _jl_validation.map_for_new_points(tensors, coordinates, parts, 12, 3)

    recipe = _jl_starts.Recipe.of(X)
    rows = recipe.random_rows(12, 64, 3)

    def unseen(part):
        others = np.setdiff1d(np.arange(40), part)
        return _jl_validation.NewPairs.of(X[part], X[others]).unseen(SpanCoordinates.of(X[others]))

    def maps(points, unseen):
        path = _jl_walk.walk(tensors, points, recipe, rows, cross_weight(unseen), EXPONENTS)
        return [components for stop in path for components in stop.maps()]

    walked = maps(coordinates, np.concatenate([unseen(part) for part in parts]))
    scales = [np.linalg.norm(components) / np.linalg.norm(one) for one in walked]
    gaps = [np.abs(components - scale * one).max() for scale, one in zip(scales, walked, strict=True)]
    chosen = int(np.argmin(gaps))
    assert len(walked) == 3 * len(EXPONENTS)
    assert gaps[chosen] < 1e-12 < np.sort(gaps)[1]
    worst = []
    for part in parts:
        others = np.setdiff1d(np.arange(40), part)
        one = scales[chosen] * maps(SpanCoordinates.of(X[others]), unseen(part))[chosen]
        order = np.concatenate([part, others])
        changes = np.abs(distortions(X[order], X[order] @ one.T))
        worst.append(changes[np.triu_indices(40, 1)[0] < part.size].max())
    assert distortion == pytest.approx(np.mean(worst), rel=1e-9)


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array])
def test_stops_are_balanced_on_the_fitted_points(as_given):
    """As given, though the descent sees them moved apart."""
    X = DIGITS[:40]
    recipe = _jl_starts.Recipe.of(as_given(X))
    path = _jl_walk.walk(
        DerandJLEmbedding()._tensors,
        SpanCoordinates.of(as_given(X)),
        recipe,
        recipe.random_rows(8, 64, 0),
        None,
        EXPONENTS,
    )
    changes = np.array([[distortions(X, X @ components.T) for components in stop.maps()] for stop in path])
    assert changes.shape[:2] == (1 + sum(len(stops) for _, stops in _jl_walk.LADDER), len(EXPONENTS))
    np.testing.assert_allclose(changes.min(axis=2), -changes.max(axis=2), atol=1e-9)
    assert np.all(changes[-1].max(axis=1) < 0.7 * changes[0].max(axis=1))


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
def test_singular_values_are_raised_to_powers(shape):
    """By numpy's own decomposition; rows beyond the rank are 0 and stay so."""
    components = np.zeros((9, 9))[: shape[0]]
    components[: min(shape)] = np.random.RandomState(0).standard_normal((min(shape), 9))
    left, values, right = np.linalg.svd(components, full_matrices=False)
    for a, turn in zip(EXPONENTS, shrinkages(components, EXPONENTS), strict=True):
        expected = (left * np.where(values > 1e-12, values, 0.0) ** a) @ right
        np.testing.assert_allclose(turn @ components, expected, atol=1e-10)
    assert all(np.all(np.isfinite(turn)) for turn in shrinkages(np.zeros((2, 3)), EXPONENTS))


def test_shrinking_takes_off_variance_of_what_is_not_known():
    """Of directions uniform in the row space the variance of squared lengths is the formula's, and falls with ``a``."""
    random, k = np.random.RandomState(0), 6
    components = random.standard_normal((k, 9))
    rows = np.linalg.qr(components.T)[0].T
    directions = random.standard_normal((100_000, k))
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)) @ rows
    variances = []
    for turn in shrinkages(components, EXPONENTS):
        squares = np.linalg.svd(turn @ components, compute_uv=False) ** 2
        lengths = ((directions @ (turn @ components).T) ** 2).sum(axis=1)
        expected = 2 / (k + 2) * squares.var()
        error = ((lengths - squares.mean()) ** 2).std() / np.sqrt(len(lengths))
        assert abs(lengths.var() - expected) < 4 * error
        variances.append(expected / squares.mean() ** 2)
    assert np.all(np.diff(variances) < 0)


def test_a_start_does_not_depend_on_the_signs_of_axes():
    coordinates = SpanCoordinates.of(DIGITS[:30])
    signs = np.where(np.arange(coordinates.rank) % 3, 1.0, -1.0)
    turned = dataclasses.replace(
        coordinates, points=coordinates.points * signs, basis=coordinates.basis * signs[:, None]
    )
    for axes in (0.0, 0.5, 1.0):
        recipe = _jl_starts.Recipe(axes=axes, outside=0.7, even=False)
        drawn = recipe.random_rows(8, 64, 0)
        (one, outside), (other, same) = recipe.start(coordinates, drawn), recipe.start(turned, drawn)
        gram, again = (rows.T @ rows for rows in (coordinates.to_features(one), turned.to_features(other)))
        np.testing.assert_allclose(gram, again, atol=1e-12)
        np.testing.assert_allclose(outside, same, atol=1e-12)
        np.testing.assert_allclose(coordinates.inside(outside), 0.0, atol=1e-12)
        np.testing.assert_allclose(outside, 0.7 * coordinates.outside(drawn), atol=1e-12)
        assert np.count_nonzero(one[:, : round(8 * axes)]) == round(8 * axes)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataDimensionalityWarning")
@pytest.mark.parametrize("n_components", [6, 8])
def test_new_points_of_an_isometry(n_components):
    X = np.random.RandomState(0).standard_normal((30, 6))
    embedding = DerandJLEmbedding(n_components, validation_fraction=0.2, random_state=0).fit(X)
    assert embedding.validation_distortion_ < 1e-9
    assert embedding.distortion_ < 1e-9


def test_points_of_no_more_dimensions_than_the_map_keep_their_distances():
    """But for a factor: new points have other dimensions, and a shrunk map might serve them as well."""
    X = np.random.RandomState(0).standard_normal((12, 40))
    embedding = DerandJLEmbedding(14, validation_fraction=0.25, random_state=0).fit(X)
    assert np.ptp(distortions(X, embedding.transform(X))) < 1e-9
    assert embedding.validation_distortion_ > 0.01


def test_a_loose_stage_does_not_rest_where_two_images_meet():
    points = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    objective = PairDistortion(points, torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64), 1, 5.0)
    descent = _jl_path.Descent(objective, torch.zeros(2, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    descent.advance(partial(minimize, random_state=0), max_iter=100, curvature_tol=_jl_path.PASSING)
    assert objective.largest(descent.params) < 1e-3
