"""Data and estimators that the ranks and the test itself make alike."""

import numpy as np

from sklearn_derand import DerandJLEmbedding, MultiIndexStudentRegressor

CUT = 23
"""Rows of rank 0; all others are rank 1's."""


def table():
    """Return correlated inputs, targets of one index, and weights some of which are 0."""
    random = np.random.RandomState(5)
    X = random.standard_normal((60, 5)) @ random.standard_normal((5, 5)) + 3.0
    y = np.tanh(X[:, 0] - X[:, 3]) + 0.1 * random.standard_normal(60)
    weights = random.uniform(0.5, 2.0, 60)
    weights[[3, 40]] = 0.0
    return X, y, weights


def unstructured():
    """Return inputs that all matter, targets and weights."""
    random = np.random.RandomState(6)
    X = random.standard_normal((60, 2))
    return X, np.tanh(2 * X[:, 0]) + 2 * np.tanh(X[:, 1] - 1) + 0.1 * random.standard_normal(60), np.ones(60)


def own_rows(rank, *arrays):
    """Return this rank's rows."""
    return tuple(array[:CUT] if rank == 0 else array[CUT:] for array in arrays)


def points():
    """Return points far from the origin, two of them equal, of four numbers each."""
    random = np.random.RandomState(7)
    X = random.standard_normal((40, 4)) * [4.0, 3.0, 2.0, 1.0] + 50.0
    X[30] = X[5]
    return X


def estimator(name):
    """Return an estimator, not fitted."""
    if name == "embedding":
        return DerandJLEmbedding(2, solver="trust_region", tol=1e-12, random_state=0)
    if name == "smallest embedding":
        return DerandJLEmbedding(eps=0.9, max_pairs=400, random_state=0)
    if name in ("student", "several"):
        # Rounding differs; a sharp and well-conditioned minimum makes it stay rounding.
        return MultiIndexStudentRegressor(
            1 if name == "student" else "auto",
            hidden_layer_sizes=(3,),
            alpha=0.05,
            weight_decay=0.03,
            solver="trust_region",
            tol=1e-10,
            random_state=0,
        )
    return MultiIndexStudentRegressor(hidden_layer_sizes=(3,), solver="trust_region", tol=1e-12, random_state=1)
