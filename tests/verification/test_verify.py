"""The independent checker agrees with honest fits and catches each number that is tampered with."""

import dataclasses
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from outcomes import fitted_state, leaves
from scipy.spatial.distance import cdist

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.datasets import make_multi_index
from sklearn_derand.verification import _certificate, _cut, _lower_bound, verify


def _points():
    return np.random.RandomState(0).randn(14, 5)


def _graph(n=30):
    rng = np.random.RandomState(0)
    upper = np.triu(rng.rand(n, n) < 0.3, 1) * rng.choice([-1.0, 1.0, 2.5], size=(n, n))
    return upper + upper.T


@pytest.fixture(scope="module")
def embedding():
    return DerandJLEmbedding(n_components=2, compute_inverse_components=True, random_state=0).fit(_points())


@pytest.fixture(scope="module")
def cut():
    return DerandMaxCut(metric="precomputed", random_state=0).fit(_graph())


@pytest.fixture(scope="module")
def sample():
    return make_multi_index(60, 3, 1, link="square", noise=0.1, random_state=0)


@pytest.fixture(scope="module")
def student(sample):
    return MultiIndexStudentRegressor(1, hidden_layer_sizes=(2,), alpha=0.01, random_state=0).fit(*sample)


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
    X = sp.random_array((20, 12), density=0.4, random_state=np.random.default_rng(0), format="csr").astype(dtype)
    assert verify(DerandJLEmbedding(n_components=3, random_state=0).fit(X), X).holds


def test_an_eps_is_not_checked_on_pairs_that_rounding_moves():
    """Nine points and one of them again, but for 1e-9: that pair is out of the objective and in ``distortion_``."""
    X = np.random.RandomState(0).standard_normal((9, 6))
    X = np.vstack([X, X[:1] + 1e-9 * np.random.RandomState(1).standard_normal((1, 6))])
    embedding = DerandJLEmbedding(3, objective="failure_probability", eps=0.5, random_state=0)
    for points, checked in ((X, False), (X[:9], True)):
        verification = verify(embedding.fit(points), points)
        (claim,) = (each for each in verification.claims if each.name == "distortion_ <= the certified eps")
        assert claim.holds is (True if checked else None)
        assert verification.holds


def test_a_lower_bound_ascends_where_a_weight_is_zero_to_rounding():
    """A point of no weight changes the path and, but for where its steps end, not the bound."""
    points = np.random.RandomState(0).standard_normal((8, 5))
    squared = cdist(points, points, "sqeuclidean")
    theta = np.zeros(8)
    without = _lower_bound._by_pairs(squared[1:, 1:], 2, 1.0, theta[1:])
    theta[0] = -1e4
    assert _lower_bound._by_pairs(squared, 2, 1.0, theta) == pytest.approx(without, rel=1e-2)
    assert without > 0


def test_cut_of_points_holds():
    X = _points()
    assert verify(DerandMaxCut(random_state=0).fit(X), X).holds


def test_a_heavy_edge_is_seen_in_tenths_as_in_units():
    """In float64 twice .6 is less than .1 + .2 + .3 + .6, but the fit, which counts tenths, contracts that edge."""
    weights = np.ones((6, 6)) - np.eye(6)
    assert not _cut._has_settled_vertex(sp.csr_array(weights))
    weights[0] = weights[:, 0] = 0.0, 0.1, 0.2, 0.3, 0.6, 0.0
    assert 2 * 0.6 < 0.1 + 0.2 + 0.3 + 0.6
    assert _cut._has_settled_vertex(sp.csr_array(weights))


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "pseudo_huber", "activation": "gelu"},
        {"loss": "log_cosh", "activation": "smooth_relu"},
        {"activation": "silu", "hidden_layer_sizes": (3, 2)},
        {"alpha": "auto"},
        {"loss": "poisson", "activation": "softplus"},
        {"train_bias": False},
        {"refine": False},
    ],
)
def test_students_of_every_loss_activation_and_depth_hold(sample, changes):
    X, y = sample
    y = np.floor(3 * np.abs(y)) if changes.get("loss") == "poisson" else y
    weights = np.random.RandomState(0).rand(len(y)) + 0.5
    settings = {"n_components": 1, "hidden_layer_sizes": (3,), "alpha": 0.01, "random_state": 0} | changes
    student = MultiIndexStudentRegressor(**settings).fit(X, y, sample_weight=weights)
    verification = verify(student, X, y, sample_weight=weights)
    assert verification.holds, str(verification)


def test_a_small_loss_of_targets_far_from_zero_holds():
    """Of targets near 1e12 that vary by 5, outputs in the user's units are known to 3e-5 of that."""
    rng = np.random.RandomState(58)
    X = rng.standard_normal((12, 3))
    y = 1e12 + 4.75 * np.tanh(X[:, 0])
    student = MultiIndexStudentRegressor(1, hidden_layer_sizes=(4,), alpha=1e-3, weight_decay=1e-3, random_state=0)
    verification = verify(student.fit(X, y), X, y)
    assert student.loss_ < 1e-3
    assert verification.holds, str(verification)


def _tampered(estimator, name, change):
    twin = type(estimator)(**estimator.get_params())
    twin.__dict__.update(estimator.__dict__)
    setattr(twin, name, change(getattr(estimator, name)))
    return twin


NOT_CLAIMED = {
    "n_iter_": "how the fit got there",
    "polish_": "how the fit got there",
    "n_hvp": "how the certificate was had",
    "rounding_floor": "how the certificate was had",
    "dtype": "how the certificate was had",
    "lipschitz_measured": "not asked for: nan",
    "noise_bound": "of no named block: nan",
    "gradient_mismatch": "along a random direction; the gradient by differences takes its place",
}
WEAKER = {
    ("initial_value", 1): "of a law that the estimator does not keep; any value above is as good",
    ("initial_value", -1): "likewise, down to the value itself",
    ("distortion_lower_bound_", -1): "any smaller number is a bound too",
}


def _tampers(path, value):
    """Yield a direction and a changed value: each number up and down, each array in its last and largest entries."""
    # Earlier entries of the history tell how the fit got there.
    if isinstance(value, str):
        yield 0, {"dense": "lanczos", "lanczos": "dense", "sparse": "lanczos", "tanh": "silu"}[value]
    elif isinstance(value, np.ndarray):
        for at in {-1} if "history_" in path else {-1, int(np.abs(value).argmax())}:
            changed = value.copy()
            changed.flat[at] = 1 - changed.flat[at] if value.dtype.kind == "i" else 1.01 * changed.flat[at] + 1e-3
            yield 0, changed
    elif not np.isnan(value):
        step = 1 if isinstance(value, int) else max(0.05 * abs(value), 0.05)
        yield from ((sign, value + sign * step) for sign in (1, -1))


def _with(value, steps, new):
    """Return a copy of a fitted attribute with the leaf at the end of ``steps`` replaced."""
    if not steps:
        return new
    if dataclasses.is_dataclass(value):
        return replace(value, **{steps[0]: _with(getattr(value, steps[0]), steps[1:], new)})
    key = int(steps[0]) if isinstance(value, list) else steps[0]
    twin = value.copy()
    twin[key] = _with(value[key], steps[1:], new)
    return twin


@pytest.mark.parametrize("name", ["embedding", "cut", "student"])
def test_every_published_number_is_checked(name, request):
    """Each fitted number is changed in turn, and each change is refuted."""
    estimator = request.getfixturevalue(name)
    data = {"embedding": (_points(),), "cut": (_graph(),), "student": request.getfixturevalue("sample")}[name]
    missed, checked = [], 0
    for path, value in leaves(fitted_state(estimator)):
        attribute, *steps = path.split(".")
        leaf = path.split(".")[-1]
        if leaf in NOT_CLAIMED:
            continue
        for sign, new in _tampers(path, value):
            if (leaf, sign) in WEAKER:
                continue
            twin = _tampered(estimator, attribute, partial(_with, steps=steps, new=new))
            checked += 1
            if verify(twin, *data).holds:
                missed.append((path, value, new))
    assert missed == []
    assert checked > 40


@pytest.fixture(scope="module")
def additive():
    return make_multi_index(60, 3, 3, link="additive", noise=0.1, random_state=0)


@pytest.fixture(scope="module")
def students(additive):
    """Four of all features, whose mean predicts."""
    fitted = MultiIndexStudentRegressor(hidden_layer_sizes=(2,), alpha=0.01, random_state=0).fit(*additive)
    assert fitted.coefs_[0].shape == (3, 4 * 2)
    return fitted


def test_four_honest_students_hold_and_everything_was_checked(students, additive):
    verification = verify(students, *additive)
    assert verification.holds, str(verification)
    assert len(_checked(verification)) == len(verification.claims)


def test_the_work_of_four_students_is_counted_once(students, additive, monkeypatch):
    size = students.certified_params_.size
    one_value = len(additive[0]) * sum(coef.size for coef in students.coefs_)
    monkeypatch.setattr(_certificate, "WORK_LIMIT", max(20 * size, 24 * size // 4) * one_value)
    enough = verify(students, *additive)
    assert all(claim.holds and not claim.note for claim in enough.claims if not claim.name.startswith("discovery"))
    monkeypatch.setattr(_certificate, "WORK_LIMIT", 24 * size // 4 * one_value - 1)
    assert any("not by differences" in claim.note for claim in verify(students, *additive).claims)


def test_a_change_in_any_of_four_students_is_refuted(students, additive):
    size = students.certified_params_.size // 4
    for member in range(4):
        moved, coefs = students.certified_params_.copy(), [coef.copy() for coef in students.coefs_]
        moved[member * size + 1] += 1e-3
        coefs[1][2 * member] += 1e-3
        for name, new in (("certified_params_", moved), ("coefs_", coefs)):
            refuted = _refuted(verify(_tampered(students, name, lambda _, new=new: new), *additive))
            assert "coefs_ and intercepts_ are the certified" in refuted


@pytest.mark.parametrize(
    "name, change", [("value", 0.1), ("gradient_norm", 0.1), ("min_eigenvalue", -0.1), ("min_eigenvalue_bound", 0.1)]
)
def test_a_false_number_of_four_students_is_refuted(students, additive, name, change):
    twin = _tampered(students, "certificate_", lambda c: replace(c, **{name: getattr(c, name) + change}))
    assert not verify(twin, *additive).holds


@pytest.mark.parametrize("name", ["embedding", "cut", "student"])
def test_a_value_above_the_law_that_was_descended_from_is_refuted(name, request):
    estimator = request.getfixturevalue(name)
    data = {"embedding": (_points(),), "cut": (_graph(),), "student": request.getfixturevalue("sample")}[name]
    twin = _tampered(estimator, "certificate_", lambda c: replace(c, initial_value=c.value - 0.01))
    assert "value <= initial value" in _refuted(verify(twin, *data))


def test_the_table_names_what_was_refuted(cut):
    table = str(verify(_tampered(cut, "cut_value_", lambda v: v + 1), _graph()))
    assert "cut_value_" in table and "NO" in table and "DerandMaxCut" in table


def test_bad_calls_say_what_is_missing(student, sample):
    from sklearn.linear_model import Ridge

    with pytest.raises(ValueError, match="pass y="):
        verify(student, sample[0])
    with pytest.raises(TypeError, match="got Ridge"):
        verify(Ridge().fit(*sample), *sample)
