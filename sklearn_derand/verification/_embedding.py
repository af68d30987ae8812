"""What DerandJLEmbedding claims: distortions over all pairs, the bounds on them, and the certificate."""

import numpy as np
from scipy import sparse
from scipy.linalg import block_diag
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from sklearn_derand.verification._certificate import asked_claims, certificate_claims, history_claim
from sklearn_derand.verification._claims import Claim, at_least, at_most, equal, skipped
from sklearn_derand.verification._lower_bound import lower_bound_claims

COORDINATE_POWER = 0.5
"""The certificate's coordinates: columns of the map in units of (singular value of the centred points)^-1/2."""

BLOCK_ROWS = 500
"""Rows whose distances are formed at once."""

DENSE_POINTS = 3000
"""Above so many points the certificate is of the worst pairs, listed."""

CLOSEST = 1e7
"""Largest ratio of squared distances at which the objective is known to nine digits."""

FARTHEST = 1e6
"""Largest ratio of a norm to a distance at which the squared distance, as the Gram matrix has it, is known at all."""

LONGEST = 1e3
"""Largest ratio of singular values at which their axes, from the Gram matrix, are known to ten digits."""


def claims(estimator, X) -> list[Claim]:
    """Recompute every published number of a fitted ``DerandJLEmbedding``."""
    components = np.asarray(estimator.components_)
    worst, n_pairs, nearest, longest = _distortion(X, components)
    # What rounding of points and images changes in the smallest distance.
    growth = max(1.0, float(np.linalg.norm(components, 2)) * np.sqrt(1 + worst))
    rounding = 64 * np.finfo(components.dtype).eps * growth * longest / nearest if n_pairs else 0.0
    n = X.shape[0]
    found = [
        equal("components_ has n_components_ rows", len(components), estimator.n_components_),
        *_distortion_claims(estimator, worst, n * (n - 1) // 2, n_pairs > 0, rounding),
        at_most("distortion_lower_bound_ <= distortion_", estimator.distortion_lower_bound_, worst, slack=1e-12),
        at_least("noise_ is 0", 1e-9, abs(estimator.noise_)),
        *_inverse_claims(estimator),
    ]
    if n_pairs == 0:
        return found
    if estimator.n_pairs_ < n * (n - 1) // 2:
        return [*found, skipped("certificate_", n_pairs, "of the pairs that max_pairs left")]
    if hasattr(estimator, "validation_distortion_"):
        return [*found, skipped("certificate_", n_pairs, "it is of a path on the fitted points, not of this map")]
    if n > DENSE_POINTS:
        return [*found, skipped("certificate_", n_pairs, f"of listed pairs above {DENSE_POINTS} points")]
    dense = (X.toarray() if sparse.issparse(X) else np.asarray(X)).astype(float)
    found += lower_bound_claims(estimator, dense)
    if estimator.objective == "failure_probability":
        level = estimator.history_["eps"][-1]
        name = "distortion_ <= the certified eps"
        if longest > FARTHEST * nearest:
            found.append(skipped(name, estimator.distortion_, "some pairs are so close that rounding moves them"))
        else:
            found.append(at_most(name, estimator.distortion_, level))
        return [*found, skipped("certificate_", level, "of the failure probability")]
    return [*found, *_certificate(estimator, dense, rounding)]


def _distortion_claims(estimator, worst, n_all, apart, rounding) -> list[Claim]:
    """Check the distortion and what the law guarantees; of ``max_pairs`` it is not known which pairs were left."""
    single = np.finfo(np.asarray(estimator.components_).dtype).eps
    # The union bound may count equal points too.
    in_union = estimator.n_pairs_ if apart else 0
    limit = n_all if estimator.max_pairs is None else min(n_all, estimator.max_pairs)
    if estimator.n_pairs_ < n_all:
        first = [
            at_most("n_pairs_ <= max_pairs", estimator.n_pairs_, max(limit, 1)),
            at_most("distortion_ <= that of all pairs", estimator.distortion_, worst, slack=1e-9),
        ]
    else:
        first = [
            equal("n_pairs_", estimator.n_pairs_, limit),
            equal("distortion_", estimator.distortion_, worst, rtol=1e-7, atol=max(1e-9, 1e3 * single, rounding)),
        ]
    return [
        *first,
        equal(
            "distortion_bound_",
            estimator.distortion_bound_,
            _gaussian_bound(in_union, estimator.n_components_),
            rtol=1e-6,
        ),
        at_most("distortion_ <= distortion_bound_", estimator.distortion_, estimator.distortion_bound_),
    ]


def _inverse_claims(estimator) -> list[Claim]:
    if not hasattr(estimator, "inverse_components_"):
        return []
    inverse = np.asarray(estimator.inverse_components_, dtype=float)
    components = np.asarray(estimator.components_, dtype=float)
    single = np.finfo(np.asarray(estimator.components_).dtype).eps
    size = np.linalg.norm(inverse, 2) * np.linalg.norm(components, 2)
    projector = inverse @ components
    off = np.abs(components @ projector - components).max() / np.linalg.norm(components, 2)
    skew = max(off, np.abs(projector - projector.T).max())
    return [Claim("inverse_components_ is the pseudo-inverse", 0.0, skew, bool(skew <= 100 * single * size))]


def _distortion(X, components) -> tuple[float, int, float, float]:
    """Return the largest distortion, how many pairs differ, the smallest distance of these, and the largest norm."""
    n = X.shape[0]
    blocks = [slice(start, min(start + BLOCK_ROWS, n)) for start in range(0, n, BLOCK_ROWS)]
    worst, n_pairs, nearest, longest = 0.0, 0, np.inf, 0.0
    for j, block in enumerate(blocks):
        columns, column_images = _rows(X, block, components)
        longest = max(longest, float(np.linalg.norm(columns, axis=1).max()))
        for other in blocks[: j + 1]:
            rows, images = _rows(X, other, components)
            before, after = cdist(rows, columns, "sqeuclidean"), cdist(images, column_images, "sqeuclidean")
            if other is block:
                before = np.triu(before, 1)
            apart = before > 0
            n_pairs += int(apart.sum())
            if apart.any():
                worst = max(worst, float(np.abs(after[apart] / before[apart] - 1).max()))
                nearest = min(nearest, float(np.sqrt(before[apart].min())))
    return worst, n_pairs, nearest, longest


def _rows(X, block, components):
    """Return some rows and their images, in the precision of the fit, then in float64."""
    rows = sparse.csr_array(X)[block].toarray() if sparse.issparse(X) else np.asarray(X)[block]
    rows = rows if rows.dtype == components.dtype == np.float32 else rows.astype(float)
    return rows.astype(float), (rows @ components.astype(rows.dtype, copy=False).T).astype(float)


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


def _certificate(estimator, points, rounding) -> list[Claim]:
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
    certificate, t = estimator.certificate_, float(estimator.history_["t"][-1])

    def with_noise(curvature):
        # At sigma = 0 the noise's own second derivative, by the heat equation; mixed ones vanish.
        steepest = slopes(maps.ravel()).reshape(maps.shape) * scales
        trace = (np.diag(curvature).reshape(maps.shape) * scales**2).sum()
        return block_diag(curvature, (trace + t**2 * (steepest**2).sum()) / (2 * t))

    value, slopes = _objective(coordinates, inverse, maps.shape, t)
    cost = len(points) ** 2 * (4 + estimator.n_components_)
    # Far from the origin the map on features is less exact than that on the span, and sparse rows are not centred.
    uncentred = np.finfo(float).eps * (np.linalg.norm(points) / singular[-1]) ** 2
    within = max(1e-6, rounding, uncentred)
    norms = equal("certified map = components_", np.linalg.norm(certified[:-1]), np.linalg.norm(maps), rtol=within)
    accuracy = min(within, max(rounding, abs(norms.claimed - norms.recomputed) / max(norms.recomputed, 1e-300)))
    ends = {"value": t * certificate.value, "gradient_norm": t * certificate.gradient_norm, "noise": estimator.noise_}
    return [
        norms,
        equal("certified noise is 0", certified[-1], 0.0),
        *asked_claims(certificate, estimator.tol, estimator.curvature_tol),
        *certificate_claims(
            certificate, value, slopes, maps.ravel(), certified, cost=cost, hessian_of=with_noise, accuracy=accuracy
        ),
        history_claim(estimator.history_, **ends, t=t),
    ]


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
