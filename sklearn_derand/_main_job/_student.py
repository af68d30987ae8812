"""Multi-index regression: scikit-learn's diabetes, and made data whose index subspace is known."""

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_derand import MultiIndexStudentRegressor
from sklearn_derand._main_job._task import CpuClock, Row, Task, holds
from sklearn_derand.datasets import make_multi_index
from sklearn_derand.metrics import subspace_distance

N_FOLDS = 5
OURS = "MultiIndexStudentRegressor"


def _models(seed, n_components):
    """Return our student and its peers; the perceptron has the student's width, scaled inputs and targets."""
    perceptron = MLPRegressor(hidden_layer_sizes=(32,), activation="tanh", max_iter=2000, random_state=seed)
    return {
        OURS: MultiIndexStudentRegressor(random_state=seed),
        "Ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))),
        "PLSRegression": PLSRegression(n_components),
        "MLPRegressor": TransformedTargetRegressor(
            make_pipeline(StandardScaler(), perceptron), transformer=StandardScaler()
        ),
    }


def predict_diabetes(seed):
    """Predict diabetes progression by 5-fold cross-validation: pooled R2 of the held-out predictions."""
    X, y = load_diabetes(return_X_y=True)
    folds = list(KFold(N_FOLDS, shuffle=True, random_state=seed).split(X))
    rows, fits = [], []
    for method, model in _models(seed, n_components=2).items():
        clock, predicted = CpuClock(), np.empty_like(y)
        for train, test in folds:
            with clock.timed():
                fitted = clone(model).fit(X[train], y[train])
            predicted[test] = np.ravel(fitted.predict(X[test]))
            if method == OURS:
                fits.append(fitted)
        evidence = _evidence(fits) if method == OURS else ()
        rows.append(Row(method, {"R2": _r2(y, predicted)}, clock.seconds, *evidence))
    last, (_, test) = fits[-1], folds[-1]
    return Task(
        name="diabetes",
        title=f"Regression: diabetes, {len(X)} patients, {X.shape[1]} inputs",
        note=f"R2 of held-out predictions, {N_FOLDS}-fold cross-validation. The student chose "
        f"{', '.join(str(fit.n_components_) for fit in fits)} indices in the folds.",
        rows=rows,
        certificates={f"{OURS}, last fold": last.certificate_},
        arrays={"student": last, "X": X[test], "y": y[test]},
    )


def find_made_indices(seed):
    """Recover a known two-dimensional index subspace of R^30: its distance, and R2 on fresh data."""
    X, y, true_components = make_multi_index(
        n_samples=3000, n_features=30, n_components=2, link="additive", random_state=seed, coef=True
    )
    train, test = slice(0, 1000), slice(1000, None)
    rows, ours = [], None
    for method, model in _models(seed, n_components=2).items():
        clock = CpuClock()
        with clock.timed():
            model.fit(X[train], y[train])
        evidence = ()
        if method == OURS:
            ours, evidence = model, _evidence([model])
        found = _directions(method, model)
        quality = {
            "R2": _r2(y[test], np.ravel(model.predict(X[test]))),
            "subspace distance": np.nan if found is None else subspace_distance(found, true_components),
        }
        rows.append(Row(method, quality, clock.seconds, *evidence))
    return Task(
        name="multi_index",
        title="Regression: made multi-index data, 1000 rows, 30 inputs, 2 indices",
        note="R2 on 2000 fresh rows; distance of the found to the true index subspace (0 same, 1 orthogonal). "
        f"The student, not told k, chose {ours.n_components_}.",
        rows=rows,
        certificates={OURS: ours.certificate_},
        arrays={"student": ours, "X": X[test], "y": y[test]},
    )


def _evidence(fits):
    """Return the bound and certificate columns: noise weights beside the sample form of the lemma's bound."""
    noise = max(fit.noise_ for fit in fits)
    bound = max(fit.noise_bound_ for fit in fits)
    limit = f"<= {bound:.1e}" if np.isfinite(bound) else "(no bound)"
    return f"noise {noise:.1e} {limit}", holds(*(fit.certificate_ for fit in fits))


def _directions(method, model):
    """Return two directions a method considers relevant, as rows, or None where it has only one."""
    if method == OURS:
        return model.components_
    if method == "PLSRegression":
        return model.x_rotations_.T
    if method == "MLPRegressor":
        pipeline = model.regressor_
        first_layer = pipeline[-1].coefs_[0].T / pipeline[0].scale_
        return np.linalg.svd(first_layer, full_matrices=False)[2][:2]
    return None


def _r2(y, predicted):
    return 1 - np.sum((y - predicted) ** 2) / np.sum((y - y.mean()) ** 2)
