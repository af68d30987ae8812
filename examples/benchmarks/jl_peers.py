"""The peers of ``jl.py``: functions of points, dimension and random state that return a linear map of shape (k, d).

One Gaussian and one sparse projection of scikit-learn, the best of many Gaussian draws, principal components, random
orthonormal rows, principal axes plus a Gaussian remainder, and *annealed*: the soft maximum of the distortions in Gram
form in numpy, descended by scipy's L-BFGS-B from a Gaussian draw, 100 steps at each of t = 4, 8, ..., 512; the same
from principal axes plus a Gaussian remainder.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from sklearn_derand.metrics import distortions, max_distortion


def project(X, components):
    """Return the images, dense."""
    return np.asarray(X @ components.T)


def rescaled(X, components):
    """Return the map at its best scale on ``X``."""
    changes = distortions(X, project(X, components))
    return components * np.sqrt(2 / (2 + changes.min() + changes.max()))


def dense(X):
    """Return ``X`` as an array."""
    return X.toarray() if sparse.issparse(X) else X


def axes(X):
    """Return the principal axes."""
    X = dense(X)
    return np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2]


def gaussian(X, k, random):
    """One draw of iid N(0, 1/k)."""
    return GaussianRandomProjection(k, random_state=random).fit(X).components_


def very_sparse(X, k, random):
    """One draw of scikit-learn's sparse projection."""
    return SparseRandomProjection(k, dense_output=True, random_state=random).fit(X).components_.toarray()


def principal(X, k, random):  # noqa: ARG001
    """Principal components."""
    return axes(X)[:k]


def orthogonal(X, k, random):
    """Random orthonormal rows."""
    return np.linalg.qr(random.standard_normal((X.shape[1], k)))[0].T


def principal_and_gaussian(X, k, random):
    """Every image: a principal coordinate plus a Gaussian image of the rest."""
    kept = axes(X)[:k]
    rest = random.standard_normal((k, X.shape[1])) / np.sqrt(k)
    rest -= rest @ kept.T @ kept
    rest[: len(kept)] += kept
    return rest


def best_of(n_draws):
    """Return the method that keeps the best of many Gaussian draws on the fitted points."""

    def method(X, k, random):
        best, least = None, np.inf
        for _ in range(n_draws):
            components = random.standard_normal((k, X.shape[1])) / np.sqrt(k)
            distortion = max_distortion(X, project(X, rescaled(X, components)))
            if distortion < least:
                best, least = components, distortion
        return best

    return method


class SoftMaximum:
    """``(1/t) log sum exp(+-t (q - 1))`` over all pairs and its gradient in the images, in Gram form."""

    def __init__(self, X):
        squared = _squared_distances(X)
        self.counted = squared > 1e-12 * squared.max()
        self.inverse = np.divide(1.0, squared, out=np.zeros_like(squared), where=self.counted)

    def __call__(self, images, t):
        change = _squared_distances(images) * self.inverse - 1
        change[~self.counted] = 0.0
        top = np.abs(change).max()
        change *= t
        plus, minus = np.exp(change - t * top), np.exp(-change - t * top)
        plus[~self.counted] = minus[~self.counted] = 0.0
        total = plus.sum() + minus.sum()
        pull = (plus - minus) * self.inverse / total
        return top + np.log(total / 2) / t, 4 * (pull.sum(axis=1)[:, None] * images - pull @ images)


def _squared_distances(X):
    squares = np.asarray((X * X).sum(axis=1)).ravel()
    return squares[:, None] + squares - 2 * dense(X @ X.T)


def annealed(start):
    """Return the method that descends the soft maximum by L-BFGS-B from the map of another."""

    def method(X, k, random):
        f, d = SoftMaximum(X), X.shape[1]
        point = start(X, k, random).ravel()
        for t in (4, 8, 16, 32, 64, 128, 256, 512):

            def value_and_gradient(flat, t=t):
                value, slope = f(np.asarray(X @ flat.reshape(k, d).T), t)
                return value, np.asarray(X.T @ slope).T.ravel()

            point = minimize(value_and_gradient, point, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
        return point.reshape(k, d)

    return method


def peers(draws):
    """Return all of them, by the names of the tables."""
    table = {
        "Gaussian": gaussian,
        "sparse": very_sparse,
        "PCA": principal,
        "orthogonal": orthogonal,
        "PCA + Gaussian": principal_and_gaussian,
        "annealed": annealed(gaussian),
        "annealed, PCA + G": annealed(principal_and_gaussian),
    }
    return table | {f"best of {draws}": best_of(draws)} if draws else table
