from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_derand.datasets import make_multi_index
from sklearn_derand.engine import certify
from sklearn_derand.engine.tensors import as_tensor
from sklearn_derand.estimators import MultiIndexStudentRegressor, _student_ensemble, _student_penalties
from sklearn_derand.estimators._student_choice import ALPHAS
from sklearn_derand.estimators._student_data import prepare_data
from sklearn_derand.estimators._student_readout import ACTIVATIONS
from sklearn_derand.estimators._student_search import descend_briefly
from sklearn_derand.metrics import subspace_distance
from sklearn_derand.problems import student_network
from sklearn_derand.problems.ranks import Ranks
from sklearn_derand.verification import verify


def student(n_components=1, **settings):
    settings = {"alpha": 0.03, "hidden_layer_sizes": (12,), "random_state": 0} | settings
    return MultiIndexStudentRegressor(n_components, **settings)


@pytest.fixture(scope="module")
def single():
    return make_multi_index(400, 6, 1, link="square", noise=0.1, coef=True, random_state=0)


@pytest.fixture(scope="module")
def fitted(single):
    X, y, _ = single
    return student().fit(X, y)


def spec_of(estimator, X, y):
    return estimator._pose(X, y, None)


def test_finds_the_product_of_two_indices():
    X, y, U = make_multi_index(2000, 50, 2, link="product", noise=1 / 3, coef=True, random_state=0)
    fitted = MultiIndexStudentRegressor(2, alpha=0.03, random_state=0).fit(X, y)
    assert subspace_distance(fitted.components_, U) <= 0.07
    assert fitted.certificate_.holds and fitted.discovery_certificate_.holds
    assert fitted.explained_gradient_ratio_[:2].sum() > 0.9


def test_certificate_is_of_the_risk_at_the_published_point(single, fitted):
    """Pose the risk again from the arrays: value, gradient and curvature are those of the certificate."""
    X, y, _ = single
    data, spec = spec_of(clone(fitted), X, y)
    risk = replace(spec, weight_decay=fitted.weight_decay_).risk(data, 1, fitted.refined_alpha_)
    again = certify(
        risk, as_tensor(fitted.certified_params_), tol=1e-5, curvature_tol=fitted.certificate_.curvature_tol
    )
    assert again.holds
    assert again.value == pytest.approx(fitted.certificate_.value, rel=1e-12)
    assert again.gradient_norm == pytest.approx(fitted.certificate_.gradient_norm, rel=1e-6)
    assert (
        fitted.certificate_.curvature_tol <= fitted.alpha_
        and fitted.discovery_certificate_.curvature_tol <= fitted.alpha_
    )


def test_loss_is_that_of_the_predictions(single, fitted):
    X, y, _ = single
    assert fitted.loss_ == pytest.approx(0.5 * np.mean((fitted.predict(X) - y) ** 2) / np.var(y), rel=1e-9)


def test_prediction_depends_on_the_indices_alone(single, fitted):
    X, _, _ = single
    basis = fitted.components_
    np.testing.assert_allclose(basis @ basis.T, np.eye(1), atol=1e-12)
    moved = X + np.random.default_rng(0).standard_normal(X.shape) @ (np.eye(6) - basis.T @ basis)
    np.testing.assert_allclose(fitted.predict(moved), fitted.predict(X), atol=1e-9)
    np.testing.assert_allclose(fitted.transform(X), (X - X.mean(axis=0)) @ basis.T, atol=1e-12)


def test_gauge_is_fixed():
    X, y, _ = make_multi_index(500, 5, 2, link="additive", noise=0.1, coef=True, random_state=1)
    fitted = student(2).fit(X, y)
    rows = fitted.components_
    np.testing.assert_allclose(rows @ rows.T, np.eye(2), atol=1e-12)
    assert (rows[np.arange(2), np.abs(rows).argmax(axis=1)] > 0).all()
    # The prediction's squared slope along each row, by finite differences, decreases and has no cross term.
    slopes = np.stack([(fitted.predict(X + 1e-4 * r) - fitted.predict(X - 1e-4 * r)) / 2e-4 for r in rows])
    gram = slopes @ slopes.T / len(X)
    assert gram[0, 0] > gram[1, 1]
    assert abs(gram[0, 1]) < 1e-6 * gram[0, 0]


def test_units_of_x_and_y_do_not_matter(single):
    """Powers of two scale without rounding, so that the descents are the same to the last step."""
    X, y, _ = single
    scale = np.array([2.0**-9, 4.0, 2.0**9, 1.0, -8.0, 0.5])
    base, scaled = student().fit(X, y), student().fit(X * np.abs(scale), 8.0 * y)
    np.testing.assert_allclose(scaled.predict(X * np.abs(scale)), 8.0 * base.predict(X), rtol=1e-6, atol=1e-6)
    shifted = student().fit(X * scale + 100.0, y - 5.0)
    assert subspace_distance(shifted.components_ * scale, base.components_) < 0.02


def test_constant_repeated_and_correlated_columns(single):
    X, y, U = single
    wide = np.column_stack([X, np.full(len(X), 3.0), X[:, 0], X @ np.ones(6)])
    fitted = student().fit(wide, y)
    assert fitted.certificate_.holds
    assert fitted.score(wide, y) > 0.95
    # Repeated columns share their direction: summed back on the six, it is the teacher's.
    row = fitted.components_[0]
    on_six = row[:6] + np.eye(6)[0] * row[7] + row[8]
    assert subspace_distance(on_six[None], U) < 0.1
    assert row[6] == pytest.approx(0.0, abs=1e-8)


def test_fewer_rows_than_features():
    X, y = make_multi_index(15, 30, 1, link="tanh", random_state=0)
    fitted = student().fit(X, y)
    assert fitted.certificate_.holds and fitted.components_.shape == (1, 30)


@pytest.mark.parametrize("n_components, width", [(3, 1), (2, 2)])
def test_more_components_than_the_student_can_use(single, n_components, width):
    X, y, _ = single
    fitted = student(n_components, hidden_layer_sizes=width).fit(X[:, :3], y)
    np.testing.assert_allclose(fitted.components_ @ fitted.components_.T, np.eye(n_components), atol=1e-10)
    assert (fitted.noise_ == 0.0) == (n_components == 3)
    assert verify(fitted, X[:, :3], y).holds


def test_noise_is_within_its_bound(single, fitted):
    assert 0.0 <= fitted.noise_ <= fitted.noise_bound_
    first = fitted.discovery_coefs_[0].T
    data, _ = spec_of(clone(fitted), *single[:2])
    basis = np.linalg.qr(np.linalg.solve(data.whitening, fitted.components_.T))[0]
    assert fitted.noise_ == pytest.approx(np.linalg.norm(first - first @ basis @ basis.T), rel=1e-6)


def test_same_result_for_any_number_of_jobs(single):
    X, y, _ = single
    one, two = (student(n_init=2, n_jobs=jobs, hidden_layer_sizes=(3,)).fit(X[:100], y[:100]) for jobs in (1, 2))
    np.testing.assert_array_equal(one.certified_params_, two.certified_params_)
    np.testing.assert_array_equal(one.components_, two.components_)


def test_more_starts_never_end_higher(single):
    X, y, _ = single
    values = [student(n_init=n, hidden_layer_sizes=(3,)).fit(X, y).discovery_certificate_.value for n in (1, 4)]
    assert values[1] <= values[0]


def test_what_is_given_as_any_number_comes_back_as_a_plain_one(single):
    X, y, _ = single
    fitted = student(np.int64(1), alpha=1, weight_decay=np.float32(0.5), n_init=np.int32(1)).fit(X[:60], y[:60])
    assert [type(fitted.n_components_), type(fitted.alpha_), type(fitted.weight_decay_)] == [int, float, float]


def waves(n_samples, noise, seed):
    """Rows so few, 3.75 for each entry of the indices, that a single start misses these."""
    return make_multi_index(
        n_samples,
        20,
        2,
        link=lambda Z: np.sin(2 * Z[:, 0]) + np.cos(2 * Z[:, 1]),
        noise=noise,
        coef=True,
        random_state=seed,
    )


def searching(**settings):
    return student(2, alpha="auto", hidden_layer_sizes=(16,), **settings)


def test_few_rows_are_searched_from_many_starts():
    X, y, U = waves(150, 0.2, 2)
    alone, one, two = (
        searching(**settings).fit(X, y) for settings in ({"n_init": 1}, {"n_init": 4}, {"n_init": 4, "n_jobs": 2})
    )
    assert subspace_distance(alone.components_, U) > 0.5
    assert subspace_distance(one.components_, U) < 0.15
    assert one.certificate_.holds and verify(one, X, y).holds
    np.testing.assert_array_equal(one.certified_params_, two.certified_params_)


def test_search_does_not_take_noise_for_indices():
    """Several starts find deep valleys in noise too; what predicted rows set aside is kept."""
    X, _, _ = waves(150, 1.0, 3)
    y = 0.5 * (X[:, 0] + X[:, 1]) + np.random.RandomState(0).standard_normal(len(X))
    plain, more = (searching(n_init=n_init).fit(X, y) for n_init in (1, "auto"))
    np.testing.assert_array_equal(plain.certified_params_, more.certified_params_)


def test_weights_are_repeated_rows_at_a_converged_optimum():
    """What holds; scikit-learn asks for equal predictions to 1e-7 along a path that is not convex."""
    rng = np.random.RandomState(0)
    X, y = make_multi_index(40, 3, 1, link="tanh", random_state=0)
    times = rng.randint(0, 4, size=40)
    settings = {"alpha": 0.1, "weight_decay": 0.05, "tol": 1e-9, "hidden_layer_sizes": (3,)}
    weighted = student(**settings).fit(X, y, sample_weight=times)
    repeated = student(**settings).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    removed = student(**settings).fit(X[times > 0], y[times > 0], sample_weight=times[times > 0])
    np.testing.assert_allclose(weighted.predict(X), removed.predict(X), rtol=0, atol=1e-12)
    # alpha of the refined student depends on the number of rows, which repetition changes.
    np.testing.assert_allclose(weighted.discovery_certificate_.value, repeated.discovery_certificate_.value, rtol=1e-4)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_numpy_and_torch_activations_agree(activation):
    x = np.linspace(-30.0, 30.0, 1001)
    expected = student_network.ACTIVATIONS[activation](as_tensor(x)).numpy()
    np.testing.assert_allclose(ACTIVATIONS[activation](x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "smooth_relu", "hidden_layer_sizes": (6, 4)},
        {"loss": "pseudo_huber", "activation": "gelu"},
        {"loss": "log_cosh", "activation": "silu"},
        {"train_bias": False, "activation": "softplus"},
        {"refine": False},
        {"solver": "trust_region"},
        {"loss": lambda prediction, target: (prediction - target).square().sum(dim=1)},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_settings_certify_and_fit(single, settings):
    X, y, U = single
    fitted = student(**settings).fit(X, y)
    assert fitted.certificate_.holds
    assert fitted.score(X, y) > 0.9
    assert subspace_distance(fitted.components_, U) < 0.1


def test_poisson_has_a_log_link():
    X, _, U = make_multi_index(1500, 5, 1, noise=0.0, coef=True, random_state=0)
    y = np.random.default_rng(0).poisson(np.exp(1.0 + np.tanh(X @ U[0])))
    fitted = student(loss="poisson").fit(X, y)
    assert (fitted.predict(X) > 0).all()
    assert subspace_distance(fitted.components_, U) < 0.1
    # The last bias is free: at a stationary point the predicted total is the observed one.
    assert fitted.predict(X).sum() == pytest.approx(y.sum(), rel=1e-4)


def test_multi_output_shares_its_indices():
    X, y, U = make_multi_index(600, 5, 2, link=lambda Z: Z[:, 0], noise=0.0, coef=True, random_state=0)
    both = np.column_stack([np.tanh(X @ U[0]), (X @ U[1]) ** 2])
    fitted = student(2).fit(X, both)
    assert fitted.predict(X).shape == both.shape
    assert fitted.score(X, both) > 0.95
    assert subspace_distance(fitted.components_, U) < 0.05
    assert student().fit(X, y[:, None]).predict(X).shape == (600, 1)


def test_float32_in_float32_out(single):
    X, y, _ = single
    fitted = student().fit(X.astype(np.float32), y)
    assert fitted.predict(X.astype(np.float32)).dtype == np.float32
    assert fitted.transform(X.astype(np.float32)).dtype == np.float32
    assert fitted.transform(X).dtype == np.float64


def test_warm_start_begins_where_the_last_fit_ended(single):
    X, y, _ = single
    warm = student(warm_start=True).fit(X, y)
    first, n_iter = warm.certified_params_, warm.n_iter_
    warm.fit(X, y)
    assert warm.n_iter_ == 0 < n_iter
    np.testing.assert_array_equal(warm.certified_params_, first)
    warm.set_params(hidden_layer_sizes=(5,)).fit(X, y)
    assert warm.coefs_[0].shape == (6, 5)


def test_auto_chooses_the_rank_and_a_penalty_of_the_grid(single):
    X, y, _ = single
    chosen = student("auto", alpha="auto").fit(X, y)
    assert chosen.n_components_ == 1
    X, y = make_multi_index(800, 6, 2, link="product", noise=0.2, random_state=0)
    assert student("auto").fit(X, y).n_components_ == 2


def jump(Z):
    return np.sign(Z[:, 0])


@pytest.mark.parametrize("link, activation", [("square", "silu"), ("tanh", "tanh"), (jump, "tanh")])
def test_auto_keeps_bounded_units_for_bounded_links(link, activation):
    X, y = make_multi_index(600, 4, 1, link=link, noise=0.1, random_state=0)
    fitted = student(alpha="auto", hidden_layer_sizes=(16,)).fit(X, y)
    assert fitted.activation_ == activation
    assert fitted.certificate_.holds and verify(fitted, X, y).holds
    plain = student(alpha="auto", hidden_layer_sizes=(16,), activation="tanh").fit(X, y)
    assert plain.activation_ == "tanh"
    np.testing.assert_array_equal(plain.discovery_coefs_[0], fitted.discovery_coefs_[0])


def test_linear_tails_predict_beyond_the_rows():
    X, y = make_multi_index(600, 4, 1, link="square", noise=0.2, random_state=0)
    order = np.argsort(-np.abs(y))
    tail, middle = order[:60], order[60:]
    errors = [
        np.mean((student(alpha="auto", activation=name).fit(X[middle], y[middle]).predict(X[tail]) - y[tail]) ** 2)
        for name in ("auto", "tanh")
    ]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("link, n_components", [("tanh", 1), ("product", 2)])
def test_auto_alpha_predicts_as_well_as_a_grid_search(link, n_components, refine):
    X, y = make_multi_index(400, 5, n_components, link=link, noise=0.3, random_state=1)
    settings = {"refine": refine, "hidden_layer_sizes": (8,)}
    search = GridSearchCV(student(n_components, **settings), {"alpha": list(ALPHAS)}, cv=4).fit(X, y)
    error = search.cv_results_["std_test_score"][search.best_index_] / 2.0
    chosen = cross_val_score(student(n_components, alpha="auto", **settings), X, y, cv=4).mean()
    assert chosen > search.best_score_ - error
    if not refine:  # the refined student depends little on it
        assert search.cv_results_["mean_test_score"].min() < search.best_score_ - error


def test_with_a_given_decay_each_penalty_is_tried_once(single, monkeypatch):
    tried = []

    def recorded(*args, **settings):
        risk, solution = descend_briefly(*args, **settings)
        tried.append((risk.network.activation, risk.alpha, risk.weight_decay))
        return risk, solution

    monkeypatch.setattr(_student_penalties, "descend_briefly", recorded)
    X, y, _ = single
    fitted = student(alpha="auto", weight_decay=1e-5).fit(X, y)
    assert len(tried) >= 3
    assert len(set(tried)) == len(tried)
    assert {decay for _, _, decay in tried} == {fitted.weight_decay_} == {1e-5}


def test_no_structure_keeps_predicting():
    X, y = load_diabetes(return_X_y=True)
    assert cross_val_score(student("auto", alpha="auto"), X, y, cv=2).mean() > 0.4


@pytest.mark.parametrize("alpha", [0.03, "auto"])
def test_a_single_column_has_a_single_index(single, alpha):
    X, y, U = single
    z = X @ U.T
    one = MultiIndexStudentRegressor(alpha=alpha, hidden_layer_sizes=(8,), random_state=0).fit(z, y)
    assert one.n_components_ == 1 and one.certificate_.holds and one.score(z, y) > 0.9


def test_all_directions_are_kept_where_most_matter():
    X, y, _ = make_multi_index(300, 4, 3, link="additive", noise=0.1, coef=True, random_state=0)
    assert MultiIndexStudentRegressor(alpha=0.03, random_state=0).fit(X, y).n_components_ == 4


@pytest.fixture(scope="module")
def unstructured():
    X, y = make_multi_index(120, 3, 3, link="additive", noise=0.1, random_state=0)
    return X, y, MultiIndexStudentRegressor(hidden_layer_sizes=(8,), alpha=0.01, random_state=0).fit(X, y)


def test_without_structure_the_mean_of_four_certified_students_predicts(unstructured):
    X, y, fitted = unstructured
    assert fitted.n_components_ == 3 and fitted.certificate_.holds
    assert fitted.coefs_[0].shape == (3, 4 * 8) and fitted.coefs_[1].shape == (4 * 8, 1)
    assert fitted.certified_params_.size == fitted.certificate_.n_params == 4 * (3 * 8 + 8 + 8 + 1)
    hidden = np.tanh(X @ fitted.coefs_[0] + fitted.intercepts_[0]).reshape(len(X), 4, 8)
    # All have the mean of their intercepts here, which leaves their mean as it is
    outputs = 4 * np.einsum("nmh,mh->nm", hidden, fitted.coefs_[1].reshape(4, 8)) + fitted.intercepts_[1]
    np.testing.assert_allclose(outputs.mean(axis=1), fitted.predict(X), atol=1e-10)
    assert (np.std(outputs - outputs.mean(axis=0), axis=1) > 0).all()  # four, not one four times
    assert MultiIndexStudentRegressor(3, alpha=0.01, random_state=0).fit(X, y).coefs_[0].shape == (3, 32)


def test_several_students_do_not_depend_on_processes_and_start_warm(unstructured, monkeypatch):
    X, y, fitted = unstructured
    spread = clone(fitted).set_params(n_jobs=2, warm_start=True).fit(X, y)
    np.testing.assert_array_equal(spread.certified_params_, fitted.certified_params_)
    monkeypatch.delattr(_student_ensemble, "_member")  # none is descended from a start of its own
    warm = spread.fit(X, y)
    np.testing.assert_array_equal(warm.certified_params_, fitted.certified_params_)
    assert warm.history_["value"].size == 1


def test_a_rough_function_of_all_inputs_has_steep_units():
    def link(Z):
        return np.sign(Z[:, 0] * Z[:, 1]) + np.abs(Z[:, 2] - Z[:, 3])

    X, y = make_multi_index(900, 4, 4, link=link, noise=0.1, random_state=1)
    rough = MultiIndexStudentRegressor(hidden_layer_sizes=(16,), random_state=0).fit(X[:400], y[:400])
    assert rough.n_components_ == 4
    assert (rough.refined_alpha_, rough.weight_decay_) in _student_penalties.STEEP
    assert rough.certificate_.holds and verify(rough, X[:400], y[:400]).holds
    smooth = clone(rough).set_params(alpha=0.03).fit(X[:400], y[:400])
    assert rough.score(X[400:], y[400:]) > smooth.score(X[400:], y[400:]) + 0.01


def test_noise_in_few_rows_gets_no_wild_student():
    random = np.random.RandomState(0)
    X, y, new = random.randn(40, 2), 0.5 * random.randn(40), random.randn(500, 2)
    for k in (1, 2):
        estimate = MultiIndexStudentRegressor(k, hidden_layer_sizes=(16,), random_state=0).fit(X, y)
        assert np.mean(estimate.predict(new) ** 2) < np.var(y)


def test_does_not_converge_aloud(single):
    X, y, _ = single
    with pytest.warns(ConvergenceWarning, match="gradient norm .* is above tol"):
        student(max_iter=3).fit(X, y)


def test_in_pipelines(single):
    X, y, _ = single
    for last in (Ridge(), GaussianProcessRegressor(alpha=0.1)):
        pipe = make_pipeline(StandardScaler(), student(), last).fit(X[:200], y[:200])
        assert pipe[:-1].get_feature_names_out().tolist() == ["multiindexstudentregressor0"]
    assert pipe.score(X[200:], y[200:]) > 0.9
    search = GridSearchCV(student(), {"n_components": [1, 2], "alpha": [0.03, 0.3]}, cv=2).fit(X, y)
    assert search.best_params_["alpha"] == 0.03


def test_state_is_plain(fitted):
    assert not any(isinstance(value, torch.Tensor) for value in vars(fitted).values())
    assert all(isinstance(array, np.ndarray) for array in [*fitted.coefs_, *fitted.intercepts_])


def kinked(prediction, target):
    return (prediction - target).abs().sum(dim=1)


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({"activation": "relu"}, InvalidParameterError, "smooth_relu"),
        ({"activation": "sine"}, InvalidParameterError, "activation"),
        ({"loss": "hinge"}, InvalidParameterError, "loss"),
        ({"solver": "adam"}, InvalidParameterError, "solver"),
        ({"n_components": 0}, InvalidParameterError, "n_components"),
        ({"n_components": 7}, ValueError, "n_components=7 exceeds the 6 features"),
        ({"alpha": 0.0}, InvalidParameterError, "alpha"),
        ({"hidden_layer_sizes": ()}, ValueError, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (3, 0)}, ValueError, "hidden_layer_sizes"),
        ({"loss": kinked}, ValueError, "kink"),
        ({"loss": lambda p, t: (p - t).square()}, ValueError, r"shape \(400,\)"),
        ({"loss": lambda p, t: (p - t).sum(dim=1).log()}, ValueError, "NaN or inf"),
        ({"loss": "poisson"}, ValueError, "y >= 0"),
    ],
)
def test_bad_parameters(single, settings, error, message):
    X, y, _ = single
    with pytest.raises(error, match=message):
        student(**settings).fit(X, y - 1.0)


def test_bad_data(single):
    X, y, _ = single
    with pytest.raises(ValueError, match="y is constant"):
        student().fit(X, np.ones(len(y)))
    with pytest.raises(ValueError, match="NaN"):
        student().fit(X, np.where(y > 1, np.nan, y))
    with pytest.raises(ValueError, match="exceeds the 2 rows"):
        student(3).fit(X[:2], y[:2])
    with pytest.raises(ValueError, match="[Nn]egative"):
        student().fit(X, y, sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match="zero"):
        student().fit(X, y, sample_weight=np.zeros(len(y)))


def test_prepared_rows_are_isotropic():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4)) @ rng.standard_normal((4, 4)) + 5.0
    weights = rng.uniform(0, 1, 200)
    data = prepare_data(X, X[:, :1], weights, "squared_error", Ranks())
    np.testing.assert_allclose((data.inputs.T * data.weights) @ data.inputs, np.eye(4), atol=1e-10)
    np.testing.assert_allclose(data.weights @ data.inputs, 0.0, atol=1e-12)
    assert data.weights.sum() == pytest.approx(1.0)


def test_batches_choose_on_a_sample_and_certify_all_rows():
    X, y, U = make_multi_index(1200, 5, 1, link="square", noise=0.1, coef=True, random_state=0)
    for settings in ({"alpha": "auto"}, {"alpha": 0.03}):  # with a choice, and from a random start on growing batches
        model = student(batch_size=200, hidden_layer_sizes=(6,), **settings)
        data, spec = spec_of(model, X, y)
        model.fit(X, y)
        assert subspace_distance(model.components_, U) < 0.03
        final = replace(spec, weight_decay=model.weight_decay_, activation=model.activation_)
        risk = final.risk(data, 1, model.refined_alpha_)
        evidence = certify(risk, as_tensor(model.certified_params_), tol=1e-5, curvature_tol=1e-3, random_state=0)
        assert evidence.holds and model.certificate_.holds
        assert evidence.value == pytest.approx(model.certificate_.value, rel=1e-10)
    whole = student(hidden_layer_sizes=(6,), alpha=0.03)
    np.testing.assert_array_equal(  # as many rows as there are: no batches
        clone(whole).set_params(batch_size=1200).fit(X, y).certified_params_, whole.fit(X, y).certified_params_
    )


def test_penalties_follow_the_noise():
    """Few noisy rows ask for a stiff student; many clean ones of a cubic for a supple one."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    cubic = X[:, 0] + 0.5 * X[:, 0] ** 3
    clean = student(alpha="auto").fit(X, cubic)
    noisy = student(alpha="auto").fit(X, cubic + 10.0 * rng.standard_normal(300))
    assert clean.weight_decay_ < noisy.weight_decay_
    assert clean.refined_alpha_ <= noisy.refined_alpha_
