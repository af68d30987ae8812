"""What MultiIndexStudentRegressor claims: its loss, its directions, the lemma on this sample, and the certificates."""

import numpy as np

from sklearn_derand.verification._claims import Claim, at_most, equal, skipped
from sklearn_derand.verification._differences import certificate_claims
from sklearn_derand.verification._perceptron import Perceptron, losses_of


def claims(estimator, X, y, sample_weight=None) -> list[Claim]:
    """Recompute every published number of a fitted ``MultiIndexStudentRegressor``."""
    if callable(estimator.loss):
        return [skipped("loss_", estimator.loss_, "a callable loss has no independent twin")]
    sample = _Sample(estimator, X, y, sample_weight)
    return [
        *_direction_claims(estimator, sample),
        equal("loss_", estimator.loss_, _predictive_loss(estimator, sample), rtol=max(1e-7, 1e-14 * sample.condition)),
        *_lemma_claims(estimator, sample),
        *_certificate(estimator, sample),
    ]


class _Sample:
    """Rows as the objective sees them: whitened inputs, targets in the units of the loss, weights of sum 1."""

    def __init__(self, estimator, X, y, sample_weight):
        X = np.asarray(X, dtype=float)
        y = np.asarray(y, dtype=float).reshape(len(X), -1)
        weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        kept = weights > 0
        self.X, self.y, self.weights = X[kept], y[kept], weights[kept] / weights.sum()
        self.mean = self.weights @ self.X
        centred = self.X - self.mean
        deviation = np.sqrt(self.weights @ centred**2)
        moving = deviation > 1e-10 * np.abs(self.mean)
        inverse = np.where(moving, 1 / np.where(moving, deviation, 1.0), 0.0)
        # A prediction from the columns as they are loses as many digits as their means have before they vary.
        self.condition = (np.abs(self.mean) * inverse).max()
        scaled = centred * inverse
        values, vectors = np.linalg.eigh(scaled.T @ (self.weights[:, None] * scaled))
        large = values > 1e-10 * max(values[-1], 1.0)
        self.whitening = inverse[:, None] * ((vectors[:, large] / np.sqrt(values[large])) @ vectors[:, large].T)
        self.inputs = centred @ self.whitening
        self.shift = self.weights @ self.y
        spread = np.sqrt(self.weights @ (self.y - self.shift) ** 2)
        self.scale = np.where(spread > 1e-12 * np.abs(self.shift), spread, 1.0)
        if estimator.loss == "poisson":
            self.shift, self.scale = np.log(self.shift), np.ones_like(self.scale)
            self.targets = self.y
        else:
            self.targets = (self.y - self.shift) / self.scale


def _network(estimator, sample) -> Perceptron:
    offset = sample.shift if estimator.loss == "poisson" else None
    return Perceptron(estimator.activation, estimator.loss, sample.inputs, sample.targets, sample.weights, offset)


def _direction_claims(estimator, sample) -> list[Claim]:
    components = np.asarray(estimator.components_, dtype=float)
    gram = components @ components.T
    ratios = np.asarray(estimator.explained_gradient_ratio_)
    falling = bool(np.all(np.diff(ratios) <= 1e-12) and np.all(ratios >= 0))
    return [
        equal("components_ orthonormal", 0.0, np.abs(gram - np.eye(len(components))).max(), atol=1e-9),
        equal("mean_", np.linalg.norm(estimator.mean_), np.linalg.norm(sample.mean), rtol=1e-6),
        Claim(
            "explained_gradient_ratio_ sums to 1, falls",
            1.0,
            ratios.sum(),
            bool(abs(ratios.sum() - 1) < 1e-9) and falling,
        ),
    ]


def _predictive_loss(estimator, sample) -> float:
    """Loss of the network in the user's units, which is what ``predict`` evaluates."""
    network = Perceptron(estimator.activation, estimator.loss, sample.X, sample.y, sample.weights)
    output = network.forward(estimator.coefs_, estimator.intercepts_)[-1]
    if estimator.loss != "poisson":
        output = (output - sample.y) / sample.scale + sample.targets
    return float(sample.weights @ losses_of(estimator.loss, output, sample.targets))


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
    outside = first - first @ basis @ basis.T
    noise = np.linalg.norm(outside)
    network = _network(estimator, sample)
    in_weights = network.gradient(coefs, intercepts)[0][0].T

    def bias_gradient(bias):
        return network.gradient(coefs, [bias, *intercepts[1:]])[1][0]

    curvature = _jacobian(bias_gradient, np.asarray(intercepts[0], dtype=float))
    curvature = (curvature + curvature.T) / 2
    data = in_weights - in_weights @ basis @ basis.T
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


def _certificate(estimator, sample) -> list[Claim]:
    network = _network(estimator, sample)
    rank = len(estimator.components_) if estimator.refine and estimator.n_components_ < len(sample.whitening) else None
    penalties = (estimator.refined_alpha_, estimator.weight_decay_)
    sizes = [coef.shape[1] for coef in estimator.coefs_]
    value, gradient = network.flat_objective(rank, sizes, penalties, estimator.train_bias)
    return certificate_claims(estimator.certificate_, value, gradient, estimator.certified_params_)


def _jacobian(function, point) -> np.ndarray:
    step = 1e-5
    identity = np.eye(point.size)
    return np.array([(function(point + step * e) - function(point - step * e)) / (2 * step) for e in identity])
