"""What DerandJLEmbedding claims: distortions over all pairs, the bounds on them, and the certificate."""

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from sklearn_derand.verification._claims import Claim, at_least, at_most, equal, skipped
from sklearn_derand.verification._differences import certificate_claims

COORDINATE_POWER = 0.5
"""The certificate's coordinates: columns of the map in units of (singular value of the centred points)^-1/2."""

DENSE_POINTS = 3000
"""Above so many points the certificate is of the worst pairs, listed."""

CLOSEST = 1e7
"""Largest ratio of squared distances at which the objective is known to nine digits."""

LONGEST = 1e3
"""Largest ratio of singular values at which their axes, from the Gram matrix, are known to ten digits."""


def claims(estimator, X) -> list[Claim]:
    """Recompute every published number of a fitted ``DerandJLEmbedding``."""
    dense = X.toarray() if sparse.issparse(X) else np.asarray(X)
    dense = dense if dense.dtype == np.float32 else dense.astype(float)
    images = dense @ np.asarray(estimator.components_).astype(dense.dtype, copy=False).T
    points, images = dense.astype(float), images.astype(float)
    worst, n_pairs, nearest = _distortion(points, images)
    single = np.finfo(np.asarray(estimator.components_).dtype).eps
    k = estimator.n_components_
    # What rounding of the images changes in the smallest distance.
    rounding = 64 * single * float(np.linalg.norm(points, axis=1).max()) / nearest if n_pairs else 0.0
    # The union bound may count equal points too.
    in_union = estimator.n_pairs_ if n_pairs else 0
    if estimator.n_pairs_ < len(points) * (len(points) - 1) // 2:
        return _claims_of_some_pairs(estimator, worst, in_union)
    found = [
        equal("components_ has n_components_ rows", len(estimator.components_), k),
        equal("distortion_", estimator.distortion_, worst, rtol=1e-7, atol=max(1e-9, 1e3 * single, rounding)),
        equal("distortion_bound_", estimator.distortion_bound_, _gaussian_bound(in_union, k), rtol=1e-6),
        at_most("distortion_ <= distortion_bound_", worst, estimator.distortion_bound_),
        at_most("distortion_lower_bound_ <= distortion_", estimator.distortion_lower_bound_, worst, slack=1e-12),
        at_least("noise_ is 0", 1e-9, estimator.noise_),
    ]
    if n_pairs == 0:
        return found
    if hasattr(estimator, "validation_distortion_"):
        return [*found, skipped("certificate_", n_pairs, "it is of a path on the fitted points, not of this map")]
    if len(points) > DENSE_POINTS:
        return [*found, skipped("certificate_", n_pairs, f"of listed pairs above {DENSE_POINTS} points")]
    return found + _certificate(estimator, points)


def _claims_of_some_pairs(estimator, worst, n_pairs) -> list[Claim]:
    """Check what can be without knowing which pairs ``max_pairs`` left."""
    k = estimator.n_components_
    return [
        equal("components_ has n_components_ rows", len(estimator.components_), k),
        at_most("distortion_ <= that of all pairs", estimator.distortion_, worst, slack=1e-9),
        equal("distortion_bound_", estimator.distortion_bound_, _gaussian_bound(n_pairs, k), rtol=1e-6),
        at_most("distortion_ <= distortion_bound_", estimator.distortion_, estimator.distortion_bound_),
        at_most("distortion_lower_bound_ <= distortion_", estimator.distortion_lower_bound_, worst, slack=1e-12),
        at_least("noise_ is 0", 1e-9, estimator.noise_),
        skipped("certificate_", n_pairs, "of the pairs that max_pairs left"),
    ]


def _distortion(points, images) -> tuple[float, int, float]:
    """Return the largest distortion, how many pairs differ, and the smallest distance of these."""
    worst, n_pairs, nearest = 0.0, 0, np.inf
    for i in range(1, len(points)):
        before = ((points[:i] - points[i]) ** 2).sum(axis=1)
        after = ((images[:i] - images[i]) ** 2).sum(axis=1)
        apart = before > 0
        n_pairs += int(apart.sum())
        if apart.any():
            worst = max(worst, float(np.abs(after[apart] / before[apart] - 1).max()))
            nearest = min(nearest, float(np.sqrt(before[apart].min())))
    return worst, n_pairs, nearest


def _gaussian_bound(n_pairs: int, k: int) -> float:
    """``min_t (1/t) log F_t(0, 1/k)``: what the union bound over all pairs grants some Gaussian draw."""
    if n_pairs == 0:
        return 0.0

    def bound(log_t):
        t = np.exp(log_t)
        up = -0.5 * k * np.log1p(-2 * t / k) - t
        down = -0.5 * k * np.log1p(2 * t / k) + t
        return (np.log(n_pairs) + np.logaddexp(up, down)) / t

    top = np.log(k / 2)
    return float(minimize_scalar(bound, bounds=(top - 20, top - 1e-12), method="bounded", options={"xatol": 1e-12}).fun)


def _certificate(estimator, points) -> list[Claim]:
    """Check the objective ``t^-2 log sum_u 2 cosh(t (|M u|^2 - 1))`` at sigma = 0, in its coordinates."""
    # A mean of numbers far from 0 is off by more than they vary; of differences it is not.
    centred = points - points[0]
    centred -= centred.mean(axis=0)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    kept = singular > 1e-7 * singular[0]
    singular, right = singular[kept], right[kept]
    certified = estimator.certified_params_
    if certified.size != estimator.n_components_ * kept.sum() + 1:
        return [skipped("certificate_", certified.size, "the rank of the points is not clear to rounding")]
    if singular[0] > LONGEST * singular[-1]:
        return [skipped("certificate_", certified.size, "axes of lengths so different that rounding turns them")]
    if np.asarray(estimator.components_).dtype != np.float64:
        return [skipped("certificate_", certified.size, "components_ were rounded to float32")]
    unit = np.sqrt(np.mean(singular**2))
    scales = (singular / unit) ** COORDINATE_POWER
    coordinates = centred @ right.T / unit / scales
    maps = estimator.components_ @ right.T * scales
    squared = cdist(centred, centred, "sqeuclidean") / unit**2
    inverse = np.divide(1.0, squared, out=np.zeros_like(squared), where=squared > 0)
    if inverse.max() * squared.max() > CLOSEST:
        return [skipped("certificate_", certified.size, "some pairs are so close that rounding moves the objective")]
    norms = equal("certified map = components_", np.linalg.norm(certified[:-1]), np.linalg.norm(maps), rtol=1e-6)
    objective = _objective(coordinates, inverse, maps.shape, float(estimator.history_["t"][-1]))
    return [norms, *certificate_claims(estimator.certificate_, *objective, maps.ravel(), whole=False)]


def _objective(coordinates, inverse, shape, t):
    """Return ``t^-2 log sum_u 2 cosh(t (q_u - 1))`` and its gradient, ``u`` over pairs of distinct points."""
    pairs = inverse > 0

    def stretches(params):
        images = coordinates @ params.reshape(shape).T
        squares = np.einsum("ij,ij->i", images, images)
        exponents = np.where(pairs, t * ((squares[:, None] + squares - 2 * images @ images.T) * inverse - 1), 0.0)
        top = np.abs(exponents).max()
        up, down = (np.where(pairs, np.exp(sign * exponents - top), 0.0) for sign in (1, -1))
        return images, top, up, down

    def value(params):
        _, top, up, down = stretches(params)
        return (top + np.log(0.5 * (up + down).sum())) / t**2

    def slopes(params):
        images, _, up, down = stretches(params)
        pull = 2 * (up - down) * inverse / (0.5 * (up + down).sum() * t)
        return ((pull.sum(axis=1)[:, None] * images - pull @ images).T @ coordinates).ravel()

    return value, slopes
