"""What MultiIndexStudentRegressor claims: its loss, its directions, the lemma on this sample, and the certificates."""

from dataclasses import replace

import numpy as np

from sklearn_derand.verification._certificate import asked_claims, certificate_claims, history_claim
from sklearn_derand.verification._claims import Claim, at_most, equal, skipped
from sklearn_derand.verification._perceptron import Perceptron, losses_of
from sklearn_derand.verification._student_ensemble import n_members, side_by_side

DISCOVERY_TOL, FULL_DECAY = 1e-2, 1e-4
"""Gradient norm asked of the full student, whose negative curvature may be alpha; and its least weight decay."""


def claims(estimator, X, y, sample_weight=None) -> list[Claim]:
    """Recompute every published number of a fitted ``MultiIndexStudentRegressor``."""
    if callable(estimator.loss):
        return [skipped("loss_", estimator.loss_, "a callable loss has no independent twin")]
    sample = _Sample(estimator, X, y, sample_weight)
    return [
        *_direction_claims(estimator, sample),
        *_prediction_claims(estimator, sample),
        *_lemma_claims(estimator, sample),
        *_certificate(estimator, sample),
        *_discovery_certificate(estimator, sample),
    ]


class _Sample:
    """Rows as the objective sees them: whitened inputs, targets in the units of the loss, weights of sum 1."""

    def __init__(self, estimator, X, y, sample_weight):
        X = np.asarray(X, dtype=float)
        y = np.asarray(y, dtype=float).reshape(len(X), -1)
        weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        kept, self.n_rows = weights > 0, len(X)
        self.X, self.y, self.weights = X[kept], y[kept], weights[kept] / weights.sum()
        self.mean = self.weights @ self.X
        centred = self.X - self.mean
        deviation = np.sqrt(self.weights @ centred**2)
        moving = deviation > 1e-10 * np.abs(self.mean)
        inverse = np.where(moving, 1 / np.where(moving, deviation, 1.0), 0.0)
        self.unit = deviation + 1e-6 * np.abs(self.mean) + np.finfo(float).tiny
        # A prediction from the columns as they are loses as many digits as their means have before they vary.
        self.condition = (np.abs(self.mean) * inverse).max()
        scaled = centred * inverse
        values, vectors = np.linalg.eigh(scaled.T @ (self.weights[:, None] * scaled))
        large = values > 1e-10 * max(values[-1], 1.0)
        self.whitening = inverse[:, None] * ((vectors[:, large] / np.sqrt(values[large])) @ vectors[:, large].T)
        # Two computations of a root of correlations agree to so much; outliers make columns all but collinear.
        self.accuracy = 1e-15 * values[-1] / values[large].min() if large.any() else 0.0
        self.inputs = centred @ self.whitening
        self.shift = self.weights @ self.y
        spread = np.sqrt(self.weights @ (self.y - self.shift) ** 2)
        self.scale = np.where(spread > 1e-12 * np.abs(self.shift), spread, 1.0)
        if estimator.loss == "poisson":
            self.shift, self.scale = np.log(self.shift), np.ones_like(self.scale)
            self.targets = self.y
        else:
            self.targets = (self.y - self.shift) / self.scale


def _network(estimator, sample, activation=None) -> Perceptron:
    offset = sample.shift if estimator.loss == "poisson" else None
    activation = activation or estimator.activation_
    return Perceptron(activation, estimator.loss, sample.inputs, sample.targets, sample.weights, offset)


def _discovery_network(estimator, sample) -> Perceptron:
    return _network(estimator, sample, "tanh" if estimator.activation == "auto" else estimator.activation)


def _direction_claims(estimator, sample) -> list[Claim]:
    components = np.asarray(estimator.components_, dtype=float)
    gram = components @ components.T
    network = _discovery_network(estimator, sample)
    spectrum, vectors = _spectrum(network, estimator.discovery_coefs_, estimator.discovery_intercepts_)
    ratios = np.asarray(estimator.explained_gradient_ratio_)
    expected = spectrum / spectrum.sum() if spectrum.sum() > 0 else np.full(len(spectrum), 1 / len(spectrum))
    claims = [
        equal("n_components_", estimator.n_components_, len(components)),
        equal("components_ orthonormal", 0.0, np.abs(gram - np.eye(len(components))).max(), atol=1e-9),
        equal("mean_", 0.0, np.abs((estimator.mean_ - sample.mean) / sample.unit).max(), atol=1e-6),
        equal("explained_gradient_ratio_", 0.0, np.abs(ratios - expected).max(), atol=max(1e-7, 10 * sample.accuracy)),
        *_sign_claims(components),
    ]
    rank = _rank(estimator, sample)
    directions = vectors[: len(components)]
    if rank is not None:
        directions = estimator.certified_params_[: rank * len(sample.whitening)].reshape(rank, -1)
    if len(components) == len(sample.whitening) or np.linalg.matrix_rank(directions @ sample.whitening) < len(
        directions
    ):
        return claims
    span = np.linalg.qr(sample.whitening @ directions.T)[0]
    away = np.linalg.norm(components - components @ span @ span.T, 2)
    return [
        *claims,
        equal("components_ span the certified directions", 0.0, away, atol=max(1e-6, 100 * sample.accuracy)),
    ]


def _sign_claims(components) -> list[Claim]:
    largest = components[np.arange(len(components)), np.abs(components).argmax(axis=1)]
    return [Claim("components_ have positive largest entries", 0.0, largest.min(), bool(largest.min() > 0))]


def _spectrum(network, coefs, intercepts) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, decreasing, and eigenvectors, in rows, of the mean outer product of the network's gradients."""
    slopes = network.input_slopes(coefs, intercepts)
    outer = np.einsum("i,ior,ios->rs", network.weights, slopes, slopes, optimize=True)
    values, vectors = np.linalg.eigh(outer)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1].T


def _prediction_claims(estimator, sample) -> list[Claim]:
    """Evaluate the network in the user's units, as ``predict`` does; it must be the certified one."""
    poisson = estimator.loss == "poisson"
    network = Perceptron(estimator.activation_, estimator.loss, sample.X, sample.y, sample.weights)
    output = network.forward(estimator.coefs_, estimator.intercepts_)[-1]
    output = output - sample.shift if poisson else (output - sample.y) / sample.scale + sample.targets
    loss = sample.weights @ losses_of(estimator.loss, output + sample.shift * poisson, sample.targets)
    rounding = max(1e-7, 1e-14 * sample.condition, 10 * sample.accuracy)
    # In the user's units outputs lose the digits of their mean, and a loss near 0 is known less well than they are.
    lost = np.finfo(float).eps * np.max(np.abs(sample.y).max(axis=0) / sample.scale)
    return [
        equal("loss_", estimator.loss_, loss, rtol=rounding, atol=(rounding + 2 * lost) * np.sqrt(2 * abs(loss))),
        equal("coefs_ and intercepts_ are the certified", 0.0, _departure(estimator, sample), atol=rounding),
    ]


def _departure(estimator, sample) -> float:
    """Bring the certified network into the units of X and y; return the largest relative difference of an array."""
    _, _, layers = _network(estimator, sample).flat_objective(*_layout(estimator, sample))
    members = np.split(np.asarray(estimator.certified_params_), n_members(estimator))
    coefs, intercepts = side_by_side([layers(member)[2:] for member in members])
    coefs[0] = sample.whitening @ coefs[0]
    shifts = sample.mean @ coefs[0]
    intercepts[0] = intercepts[0] - shifts
    coefs[-1] = coefs[-1] * sample.scale
    intercepts[-1] = intercepts[-1] * sample.scale + sample.shift
    sizes = [np.abs(array).max() for array in (*coefs, *intercepts)]
    sizes[len(coefs)] += (np.abs(sample.mean) @ np.abs(coefs[0])).max()
    published = (*estimator.coefs_, *estimator.intercepts_)
    apart = [np.abs(mine - other).max() for mine, other in zip(published, (*coefs, *intercepts), strict=True)]
    return max(a / max(size, 1e-12) for a, size in zip(apart, sizes, strict=True))


def _lemma_claims(estimator, sample) -> list[Claim]:
    """``||W P|| <= (||dR/dW P|| + ||D||) / (2 alpha + lambda_min(Hess_b))`` for the full student."""
    if not estimator.train_bias:
        return [skipped("noise_bound_", estimator.noise_bound_, "first-layer biases were not trained")]
    if np.linalg.matrix_rank(sample.whitening) < len(sample.whitening):
        return [skipped("noise_", estimator.noise_, "X has linearly dependent columns")]
    coefs, intercepts = estimator.discovery_coefs_, estimator.discovery_intercepts_
    directions = np.linalg.solve(sample.whitening, np.asarray(estimator.components_, dtype=float).T)
    basis = np.linalg.qr(directions)[0]
    first = coefs[0].T
    complement = np.eye(len(basis)) - basis @ basis.T if basis.shape[1] < len(basis) else np.zeros((len(basis),) * 2)
    outside = first @ complement
    noise = np.linalg.norm(outside)
    network = _discovery_network(estimator, sample)
    in_weights = network.gradient(coefs, intercepts)[0][0].T

    def bias_gradient(bias):
        return network.gradient(coefs, [bias, *intercepts[1:]])[1][0]

    curvature = _jacobian(bias_gradient, np.asarray(intercepts[0], dtype=float))
    curvature = (curvature + curvature.T) / 2
    data = in_weights @ complement
    gap = np.linalg.norm(data - curvature @ outside)
    slope = np.linalg.norm(data + 2 * estimator.alpha_ * outside)
    denominator = 2 * estimator.alpha_ + np.linalg.eigvalsh(curvature)[0]
    bound = (slope + gap) / denominator if denominator > 0 else np.inf
    return [
        equal("noise_", estimator.noise_, noise, rtol=1e-5, atol=1e-9),
        equal("stein_gap_", estimator.stein_gap_, gap, rtol=1e-5, atol=1e-8),
        equal("noise_bound_", estimator.noise_bound_, bound, rtol=1e-4),
        at_most("noise_ <= noise_bound_", noise, bound, slack=1e-9),
    ]


def _rank(estimator, sample):
    k = len(estimator.components_)
    return k if estimator.refine and k < len(sample.whitening) else None


def _layout(estimator, sample):
    sizes = [coef.shape[1] // n_members(estimator) for coef in estimator.coefs_[:-1]] + [estimator.coefs_[-1].shape[1]]
    penalties = (estimator.refined_alpha_, estimator.weight_decay_)
    return _rank(estimator, sample), sizes, penalties, estimator.train_bias


def _certificate(estimator, sample) -> list[Claim]:
    network, certificate = _network(estimator, sample), estimator.certificate_
    value, gradient, _ = network.flat_objective(*_layout(estimator, sample))
    asked = min(estimator.curvature_tol, estimator.alpha_) if estimator.refine else estimator.alpha_
    tol = estimator.tol if estimator.refine else max(estimator.tol, DISCOVERY_TOL)
    point = estimator.certified_params_
    ends = {"value": certificate.value, "gradient_norm": certificate.gradient_norm}
    return [
        *asked_claims(certificate, tol, asked),
        *certificate_claims(
            certificate,
            value,
            gradient,
            point,
            point,
            cost=network.cost(estimator.coefs_),
            accuracy=sample.accuracy,
            n_members=n_members(estimator),
        ),
        history_claim(estimator.history_, **ends),
    ]


def _discovery_certificate(estimator, sample) -> list[Claim]:
    """Check that of the full student, whose penalties are ``alpha_`` and its own weight decay."""
    network, certificate = _discovery_network(estimator, sample), estimator.discovery_certificate_
    decay = estimator.weight_decay
    if decay == "auto":
        decay = FULL_DECAY * np.clip(40 * len(sample.mean) / sample.n_rows, 1, 10) ** 2
    coefs, intercepts = estimator.discovery_coefs_, estimator.discovery_intercepts_
    sizes = [coef.shape[1] for coef in coefs]
    value, gradient, _ = network.flat_objective(None, sizes, (estimator.alpha_, decay), estimator.train_bias)
    blocks = [coefs[0].T, *([intercepts[0]] if estimator.train_bias else [])]
    for coef, intercept in zip(coefs[1:], intercepts[1:], strict=True):
        blocks += [coef.T, intercept]
    point = np.concatenate([block.ravel() for block in blocks])
    claims = [
        *asked_claims(certificate, max(estimator.tol, DISCOVERY_TOL), estimator.alpha_),
        *certificate_claims(
            certificate, value, gradient, point, point, cost=network.cost(coefs), accuracy=sample.accuracy
        ),
    ]
    return [replace(claim, name=f"discovery: {claim.name}") for claim in claims]


def _jacobian(function, point) -> np.ndarray:
    step = 1e-5
    identity = np.eye(point.size)
    return np.array([(function(point + step * e) - function(point - step * e)) / (2 * step) for e in identity])
