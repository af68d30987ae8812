"""The independent checker agrees with honest fits and catches each number that is tampered with."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.datasets import make_multi_index
from sklearn_derand.verification import verify


def _points():
    return np.random.RandomState(0).randn(25, 9)


def _graph(n=30):
    rng = np.random.RandomState(0)
    upper = np.triu(rng.rand(n, n) < 0.3, 1) * rng.choice([-1.0, 1.0, 2.5], size=(n, n))
    return upper + upper.T


@pytest.fixture(scope="module")
def embedding():
    return DerandJLEmbedding(n_components=4, random_state=0).fit(_points())


@pytest.fixture(scope="module")
def cut():
    return DerandMaxCut(metric="precomputed", random_state=0).fit(_graph())


@pytest.fixture(scope="module")
def sample():
    return make_multi_index(200, 5, 1, link="square", noise=0.1, random_state=0)


@pytest.fixture(scope="module")
def student(sample):
    return MultiIndexStudentRegressor(1, hidden_layer_sizes=(6,), alpha=0.01, random_state=0).fit(*sample)


def _refuted(verification):
    return {claim.name for claim in verification.claims if claim.holds is False}


def _checked(verification):
    return {claim.name for claim in verification.claims if claim.holds is not None}


def test_honest_fits_hold_and_everything_was_checked(embedding, cut, student, sample):
    for estimator, data in ((embedding, (_points(),)), (cut, (_graph(),)), (student, sample)):
        verification = verify(estimator, *data)
        assert verification.holds, str(verification)
        assert len(_checked(verification)) == len(verification.claims)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_and_single_precision_embeddings_hold(dtype):
    X = sp.random_array((20, 12), density=0.4, rng=np.random.default_rng(0), format="csr").astype(dtype)
    assert verify(DerandJLEmbedding(n_components=3, random_state=0).fit(X), X).holds


def test_cut_of_points_holds():
    X = _points()
    assert verify(DerandMaxCut(random_state=0).fit(X), X).holds


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "pseudo_huber", "activation": "gelu"},
        {"loss": "log_cosh", "activation": "smooth_relu"},
        {"activation": "silu", "hidden_layer_sizes": (4, 3)},
        {"loss": "poisson", "activation": "softplus"},
        {"train_bias": False},
        {"refine": False},
    ],
)
def test_students_of_every_loss_activation_and_depth_hold(sample, changes):
    X, y = sample
    y = np.floor(3 * np.abs(y)) if changes.get("loss") == "poisson" else y
    weights = np.random.RandomState(0).rand(len(y)) + 0.5
    settings = {"n_components": 1, "hidden_layer_sizes": (5,), "alpha": 0.01, "random_state": 0} | changes
    student = MultiIndexStudentRegressor(**settings).fit(X, y, sample_weight=weights)
    verification = verify(student, X, y, sample_weight=weights)
    assert verification.holds, str(verification)


def _tampered(estimator, name, change):
    twin = type(estimator)(**estimator.get_params())
    twin.__dict__.update(estimator.__dict__)
    setattr(twin, name, change(getattr(estimator, name)))
    return twin


def _flip_one(labels):
    labels = labels.copy()
    labels[-1] = 1 - labels[-1]
    return labels


def _moved(params):
    return params + 0.05


@pytest.mark.parametrize(
    ("name", "change", "refuted"),
    [
        ("labels_", _flip_one, "cut_value_"),
        ("cut_value_", lambda v: v + 1, "cut_value_"),
        ("expected_cut_", lambda v: v - 1, "expected_cut_"),
        ("upper_bound_", lambda v: v - 3, "upper_bound_ is dual feasible"),
        ("gap_", lambda v: v / 2, "gap_"),
        ("embedding_", lambda V: 1.1 * V, "embedding_ rows have norm 1"),
        ("certificate_", lambda c: replace(c, value=c.value - 1), "certificate_.value"),
        ("certificate_", lambda c: replace(c, min_eigenvalue_bound=1.0), "least curvature >= bound"),
        ("certificate_", lambda c: replace(c, min_eigenvalue=-1.0), "least curvature <= estimate"),
        ("certificate_", lambda c: replace(c, initial_value=c.value - 1), "value <= initial value"),
        ("certified_params_", lambda mu: 0.02 * mu, "gradient norm <= tol"),
    ],
)
def test_tampering_with_a_cut_is_caught(cut, name, change, refuted):
    assert refuted in _refuted(verify(_tampered(cut, name, change), _graph()))


@pytest.mark.parametrize(
    ("name", "change", "refuted"),
    [
        ("components_", lambda M: 1.01 * M, "distortion_"),
        ("distortion_", lambda v: 0.9 * v, "distortion_"),
        ("distortion_bound_", lambda v: 0.99 * v, "distortion_bound_"),
        ("distortion_bound_", lambda v: 0.0 * v, "distortion_ <= distortion_bound_"),
        ("distortion_lower_bound_", lambda v: v + 10, "distortion_lower_bound_ <= distortion_"),
        ("noise_", lambda v: v + 0.1, "noise_ is 0"),
        ("certified_params_", _moved, "certified map = components_"),
        ("components_", lambda M: 1.01 * M, "gradient norm <= tol"),
    ],
)
def test_tampering_with_an_embedding_is_caught(embedding, name, change, refuted):
    assert refuted in _refuted(verify(_tampered(embedding, name, change), _points()))


@pytest.mark.parametrize(
    ("name", "change", "refuted"),
    [
        ("components_", lambda M: 1.1 * M, "components_ orthonormal"),
        ("mean_", lambda m: m + 1, "mean_"),
        ("explained_gradient_ratio_", lambda r: r[::-1], "explained_gradient_ratio_ sums to 1, falls"),
        ("loss_", lambda v: 0.9 * v, "loss_"),
        ("noise_", lambda v: v / 2, "noise_"),
        ("noise_bound_", lambda v: v / 2, "noise_bound_"),
        ("stein_gap_", lambda v: v / 2, "stein_gap_"),
        ("certified_params_", _moved, "gradient norm <= tol"),
        ("refined_alpha_", lambda v: 2 * v, "certificate_.value"),
    ],
)
def test_tampering_with_a_student_is_caught(student, sample, name, change, refuted):
    assert refuted in _refuted(verify(_tampered(student, name, change), *sample))


def test_the_table_names_what_was_refuted(cut):
    table = str(verify(_tampered(cut, "cut_value_", lambda v: v + 1), _graph()))
    assert "cut_value_" in table and "NO" in table and "DerandMaxCut" in table


def test_bad_calls_say_what_is_missing(student, sample):
    from sklearn.linear_model import Ridge

    with pytest.raises(ValueError, match="pass y="):
        verify(student, sample[0])
    with pytest.raises(TypeError, match="got Ridge"):
        verify(Ridge().fit(*sample), *sample)
