"""What DerandMaxCut claims: the cut, the expectation, the bound on every cut, and the certificate."""

from dataclasses import replace

import numpy as np
from scipy import sparse, special
from scipy.spatial.distance import cdist

from sklearn_derand.verification._certificate import asked_claims, certificate_claims, history_claim
from sklearn_derand.verification._claims import Claim, at_least, at_most, equal, skipped

SCIPY_NAMES = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "cityblock": "cityblock",
    "l1": "cityblock",
    "manhattan": "cityblock",
}
"""Distances from differences of coordinates."""

COSINE_ROUNDING = 1e-15
"""One minus a cosine is known to the rounding of 1."""

SCALED = ("value", "initial_value", "gradient_norm", "min_eigenvalue", "min_eigenvalue_bound", "tol", "curvature_tol")
"""What a certificate says in the units of the objective."""

ENUMERATION_LIMIT = 18
"""Largest graph whose cuts are all enumerated."""

EIGENVALUE_LIMIT = 3000
"""Largest graph whose bound is recomputed through all eigenvalues."""


def claims(estimator, X) -> list[Claim]:
    """Recompute every published number of a fitted ``DerandMaxCut``."""
    weights = _weights(estimator.metric, X)
    labels = np.asarray(estimator.labels_)
    edges = sparse.coo_array(sparse.triu(weights, 1))
    rows, cols, w = edges.row, edges.col, edges.data
    cut = float(w[labels[rows] != labels[cols]].sum())
    vectors = np.asarray(estimator.embedding_, dtype=float)
    cosines = np.clip(np.einsum("ij,ij->i", vectors[rows], vectors[cols]), -1.0, 1.0)
    expected = float(w @ np.arccos(cosines) / np.pi)
    rounding = _rounding(estimator.metric, w)
    magnitude = float(np.abs(w).sum()) + (w.size if estimator.metric == "cosine" else 1e-300)
    doubt = 1e-12 * magnitude + w.size * rounding
    bound = estimator.upper_bound_
    gap = 0.0 if bound == cut == 0 else (bound - cut) / abs(bound) if bound else np.inf
    lengths = np.linalg.norm(vectors, axis=1)
    return [
        Claim("labels_ in {0, 1}", len(labels), weights.shape[0], _are_labels(labels, weights.shape[0])),
        equal("cut_value_", estimator.cut_value_, cut, atol=1e-9 * magnitude),
        equal("embedding_ rows have norm 1", 1.0, lengths[np.argmax(np.abs(lengths - 1))], rtol=1e-6),
        equal("expected_cut_", estimator.expected_cut_, expected, atol=1e-7 * magnitude),
        at_least("cut_value_ >= expected_cut_", cut, expected, slack=1e-9 * magnitude),
        at_most("cut_value_ <= upper_bound_", cut, bound, slack=1e-9 * magnitude),
        equal("gap_", estimator.gap_, gap, rtol=1e-6, atol=max(1e-12, doubt / abs(bound)) if bound else 0.0),
        _bound_claim(estimator, weights, vectors, w, magnitude, doubt),
        _method_claim(estimator),
        equal("noise_", estimator.noise_, 0.0),
        _unit_claim(estimator.weight_unit_, w, rounding),
        *_certificate(estimator, weights, expected, magnitude),
    ]


def _method_claim(estimator) -> Claim:
    """Only a bound by Lanczos may fail, and only as seldom as the default allows."""
    method, failure = estimator.bound_method_, estimator.bound_failure_probability_
    allowed = {"dense": 0.0, "sparse": 0.0, "lanczos": 1e-6}.get(method, -1.0)
    right = 0 <= failure <= allowed and (failure > 0) == (allowed > 0)
    return Claim("bound_failure_probability_", failure, allowed, bool(right), method)


def _certificate(estimator, weights, expected, magnitude) -> list[Claim]:
    """Check the certificate in units of ``weight_unit_``, in which its tolerances were asked."""
    unit, point = estimator.weight_unit_, estimator.certified_params_
    in_units = {name: getattr(estimator.certificate_, name) / unit for name in SCALED}
    certificate = replace(estimator.certificate_, **in_units)
    weights, terms = weights / unit, magnitude / unit
    ends = {"value": certificate.value, "gradient_norm": certificate.gradient_norm, "noise": estimator.noise_}
    history = {name: column / (1.0 if name == "noise" else unit) for name, column in estimator.history_.items()}
    value, slopes = _objective(weights, weights.sum() / 2)
    return [
        *asked_claims(certificate, estimator.tol, estimator.curvature_tol),
        *certificate_claims(certificate, value, slopes, point, point, terms=terms, cost=weights.nnz + point.size),
        equal("certificate_.initial_value", certificate.initial_value, -expected / unit, atol=1e-7 * terms),
        history_claim(history, **ends),
    ]


def _unit_claim(unit, w, rounding) -> Claim:
    """Either all weights are multiples without a common divisor, or the unit is the largest, known to ``rounding``."""
    sizes = np.abs(w[w != 0])
    largest = sizes.max(initial=0.0) or 1.0
    multiples = np.rint(sizes / unit) if unit > 0 else np.zeros(0)
    common = multiples.size and multiples.max() < 1e6 and np.gcd.reduce(multiples.astype(np.int64)) == 1
    common = common and np.abs(sizes - unit * multiples).max() <= 1e-12 * largest
    same = abs(unit - largest) <= 1e-12 * largest + rounding or np.max(sizes, initial=0.0) <= rounding
    # A common divisor of weights that are rounded, each otherwise, is one of rounding errors.
    same = same or unit <= min(1e3 * rounding, largest)
    return Claim("weight_unit_", unit, unit if common else largest, bool(common or same))


def _weights(metric, X):
    if metric != "precomputed":
        X = (X.toarray() if sparse.issparse(X) else np.asarray(X)).astype(float)
        X = cdist(X, X, SCIPY_NAMES[metric]) if metric in SCIPY_NAMES else _cosine_distances(X)
    weights = sparse.csr_array(X, dtype=float)
    return sparse.csr_array(weights - sparse.diags_array(weights.diagonal()))


def _cosine_distances(X):
    """Return one minus the cosine of each pair of rows; that of a row of zeros is 0."""
    largest = np.abs(X).max(axis=1, keepdims=True)
    X = np.divide(X, largest, out=np.zeros_like(X), where=largest > 0)
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    X = np.divide(X, lengths, out=np.zeros_like(X), where=lengths > 0)
    distances = 1 - np.clip(X @ X.T, -1.0, 1.0)
    return np.where(distances > COSINE_ROUNDING, distances, 0.0)


def _rounding(metric, w) -> float:
    """Return how far a weight may be off: distances of sparse rows are known to 1e-9 of the largest at worst."""
    if metric == "cosine":
        return COSINE_ROUNDING
    return 1e-9 * float(np.abs(w).max(initial=0.0)) if metric != "precomputed" else 0.0


def _are_labels(labels, n) -> bool:
    return labels.shape == (n,) and bool(np.isin(labels, (0, 1)).all()) and labels[0] == 0


def _bound_claim(estimator, weights, vectors, w, magnitude, doubt) -> Claim:
    """Compare with ``sum y - n lambda_min(Diag(y) - L/4)``, ``y_i = ((L/4) V)_i . v_i``: ours may not lie below it."""
    # Small graphs: all cuts are enumerated instead. A vertex that its neighbours settle may make for a smaller bound,
    # by way of a smaller graph; that is not retraced here.
    n, bound = weights.shape[0], estimator.upper_bound_
    if n <= ENUMERATION_LIMIT:
        return at_least("upper_bound_ >= every cut", bound, _largest_cut(weights), slack=doubt)
    name = "upper_bound_ is dual feasible"
    if n > EIGENVALUE_LIMIT:
        return skipped(name, bound, f"{n} nodes, limit {EIGENVALUE_LIMIT}")
    laplacian = np.diag(np.asarray(weights.sum(axis=1)).ravel()) - weights.toarray()
    y = np.einsum("ij,ij->i", laplacian @ vectors, vectors) / 4
    least = np.linalg.eigvalsh(np.diag(y) - laplacian / 4)[0]
    dual = y.sum() - n * least
    multiples = w / estimator.weight_unit_
    if np.all(np.abs(multiples - np.rint(multiples)) <= 1e-12 * np.abs(multiples)):
        dual = estimator.weight_unit_ * np.floor((dual + 1e-9 * magnitude) / estimator.weight_unit_)
    if bound < dual - 1e-8 * magnitude and _has_settled_vertex(weights):
        return skipped(name, bound, f"below {dual:.8g}, which some vertices of degree <= 3 or heavy edges may explain")
    return at_least(name, bound, dual, slack=1e-8 * magnitude)


def _largest_cut(weights) -> float:
    """Enumerate all cuts, the last vertex staying on its side."""
    n, dense = weights.shape[0], weights.toarray()
    labelings = np.arange(2 ** (n - 1))
    signs = 1.0 - 2.0 * ((labelings[:, None] >> np.arange(n)) & 1)
    return float((dense.sum() - np.einsum("ij,ij->i", signs @ dense, signs)).max() / 4)


def _has_settled_vertex(weights) -> bool:
    magnitude = abs(weights)
    degrees = np.diff(weights.indptr)
    heaviest = magnitude.max(axis=1).toarray().ravel()
    # In units of the weights .3 is .1 + .1 + .1; in float64 it is not.
    needed = (1 - 1e-12) * np.asarray(magnitude.sum(axis=1)).ravel()
    return bool(np.any((degrees <= 3) | (2 * heaviest >= needed)))


def _objective(weights, total, smoothing=0.1):
    """Return ``-E cut`` of independent signs with means ``erf(mu / (eps sqrt 2))``, and its gradient."""

    def sides(mean):
        return special.erf(mean / (smoothing * np.sqrt(2.0)))

    def value(mean):
        means = sides(mean)
        return -0.5 * float(total - 0.5 * means @ (weights @ means))

    def slopes(mean):
        density = np.exp(-0.5 * (mean / smoothing) ** 2) * np.sqrt(2 / np.pi) / smoothing
        return 0.5 * (weights @ sides(mean)) * density

    return value, slopes
