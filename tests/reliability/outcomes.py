"""What may become of a fit: an answer that an independent checker confirms, or an error that says what is wrong."""

import dataclasses
import traceback
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, DataDimensionalityWarning

from sklearn_derand.verification import verify

OURS = (ConvergenceWarning, DataConversionWarning, DataDimensionalityWarning)
"""Warnings that a fit may give."""

NOT_NAMED = ("lipschitz_measured", "noise_norm", "noise_bound")
"""Fields of a certificate documented to be NaN where nobody asked for them or the objective does not name them."""

MAY_BE_INFINITE = ("noise_bound_",)
"""Documented to be inf where a denominator is not positive."""


def leaves(value, path=""):
    """Yield the leaves below a fitted attribute, with their paths."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}".strip("."))
    else:
        yield path, value


def fitted_state(estimator):
    return {name: value for name, value in vars(estimator).items() if name.endswith("_") and name[0] != "_"}


def assert_finite(estimator):
    for path, value in leaves(fitted_state(estimator)):
        if np.asarray(value).dtype.kind != "f" or ("certificate_." in path and path.endswith(NOT_NAMED)):
            continue
        assert not np.isnan(value).any(), f"{path} holds NaN"
        assert path in MAY_BE_INFINITE or np.isfinite(value).all(), f"{path} holds inf"


def assert_same_state(one, other):
    one, other = dict(leaves(vars(one))), dict(leaves(vars(other)))
    assert one.keys() == other.keys()
    for path, value in one.items():
        np.testing.assert_array_equal(value, other[path], err_msg=path, strict=True)


def is_specific(error):
    """Whether an error was raised on purpose: a ValueError out of this package or scikit-learn's validation."""
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    deliberate = type(error) is ValueError or isinstance(error, TypeError)
    return deliberate and "sklearn" in where and len(str(error)) > 20


def fit_or_refuse(estimator, X, *targets):
    """Fit; return None where the data were refused with a specific error. Anything else fails the test."""
    return fit_and_listen(estimator, X, *targets)[0]


def fit_and_listen(estimator, X, *targets):
    """Return what `fit_or_refuse` does, and the warnings given."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X, *targets)
        except (ValueError, TypeError) as error:
            if not is_specific(error):
                raise
            return None, []
    strange = [str(warning.message) for warning in caught if not issubclass(warning.category, OURS)]
    assert strange == []
    assert_finite(estimator)
    return estimator, [str(warning.message) for warning in caught]


def assert_ends_well(estimator, X, *targets, plain=None):
    """Fit ``X``; check shapes, numbers and claims of what comes back. ``plain`` is what the checker sees."""
    fitted, warned = fit_and_listen(estimator, X, *targets)
    if fitted is None:
        return None
    plain = X if plain is None else plain
    n = plain.shape[0]
    if hasattr(fitted, "labels_"):
        assert fitted.labels_.shape == (n,)
    else:
        images = fitted.transform(X)
        assert images.shape == (n, fitted.n_components_)
        assert np.isfinite(images).all()
    if hasattr(fitted, "predict"):
        predictions = fitted.predict(X)
        assert predictions.shape == np.shape(targets[0])
        assert np.isfinite(predictions).all()
    verification = verify(fitted, plain, *targets)
    refuted = {claim.name for claim in verification.claims if claim.holds is False}
    if any("exceeds distortion_bound_" in message for message in warned):
        refuted.remove("distortion_ <= distortion_bound_")
    assert refuted == set(), str(verification)
    return fitted
