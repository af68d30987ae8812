"""The one entry: which claims belong to which estimator."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_derand.verification import _cut, _embedding, _student
from sklearn_derand.verification._claims import Verification, equal


def verify(
    estimator: BaseEstimator,
    X: ArrayLike | sparse.sparray,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> Verification:
    """Recompute every published number of a fitted estimator, in plain numpy and scipy.

    Nothing of what fitted it is used: no engine, no problem, no kernel of this package, only the arrays that the user
    holds and the data. Gradients and Hessians of the certified objective are formed anew, the Hessian in full; claims
    that would take too many values are listed as not checked.

    Parameters
    ----------
    estimator : MultiIndexStudentRegressor, DerandJLEmbedding or DerandMaxCut
        Fitted.
    X : {array-like, sparse matrix}
        The data of its fit.
    y : array-like or None, default=None
        The target of its fit, for the student.
    sample_weight : array-like or None, default=None
        The weights of its fit, for the student.

    Returns
    -------
    Verification
        ``print`` it for a table; ``.holds`` is false if any claim was refuted.

    Raises
    ------
    TypeError
        If the estimator is not one of the three.
    ValueError
        If the student's target is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_derand import DerandMaxCut
    >>> from sklearn_derand.verification import verify
    >>> weights = np.ones((5, 5)) - np.eye(5)
    >>> cut = DerandMaxCut(metric="precomputed", random_state=0).fit(weights)
    >>> verify(cut, weights).holds
    True
    """
    check_is_fitted(estimator)
    name = type(estimator).__name__
    X = X if hasattr(X, "shape") else np.asarray(X)
    width = equal("n_features_in_", estimator.n_features_in_, X.shape[1])
    if hasattr(estimator, "cut_value_"):
        return Verification(name, (width, *_cut.claims(estimator, X)))
    if hasattr(estimator, "distortion_"):
        return Verification(name, (width, *_embedding.claims(estimator, X)))
    if not hasattr(estimator, "explained_gradient_ratio_"):
        raise TypeError(f"verify knows the three estimators of sklearn_derand; got {name}.")
    if y is None:
        raise ValueError("verify needs the y that the student was fitted on; pass y=.")
    return Verification(name, (width, *_student.claims(estimator, X, y, sample_weight)))
