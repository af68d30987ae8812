"""A multi-layer perceptron, its loss and its backward pass in numpy: the student's independent twin."""

import numpy as np
from scipy import special

SHARPNESS = 10.0
"""Of ``smooth_relu``: ``softplus(10 x) / 10``."""


def _sigmoid_times(x):
    return x * special.expit(x)


ACTIVATIONS = {
    "tanh": (np.tanh, lambda x: 1 / np.cosh(np.clip(x, -300, 300)) ** 2),
    "gelu": (
        lambda x: x * special.ndtr(x),
        lambda x: special.ndtr(x) + x * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi),
    ),
    "softplus": (lambda x: np.logaddexp(0, x), special.expit),
    "silu": (_sigmoid_times, lambda x: special.expit(x) * (1 + x * special.expit(-x))),
    "smooth_relu": (lambda x: np.logaddexp(0, SHARPNESS * x) / SHARPNESS, lambda x: special.expit(SHARPNESS * x)),
}

LOSSES = {
    "squared_error": (lambda p, t: 0.5 * (p - t) ** 2, lambda p, t: p - t),
    "pseudo_huber": (
        lambda p, t: np.sqrt(1 + (p - t) ** 2) - 1,
        lambda p, t: (p - t) / np.sqrt(1 + (p - t) ** 2),
    ),
    "log_cosh": (lambda p, t: np.logaddexp(p - t, t - p) - np.log(2), lambda p, t: np.tanh(p - t)),
    "poisson": (lambda p, t: np.exp(p) - t * p, lambda p, t: np.exp(p) - t),
}


def losses_of(loss: str, prediction, target) -> np.ndarray:
    """Loss of each row, summed over outputs."""
    return LOSSES[loss][0](prediction, target).sum(axis=1)


class Perceptron:
    """Weighted mean loss of a perceptron on fixed rows.

    Parameters
    ----------
    activation, loss : str
        Keys of the tables above.
    inputs, targets, weights : ndarray
        Rows and their weights.
    offset : ndarray of shape (n_outputs,) or None, default=None
        Added to the output before the loss.
    """

    def __init__(self, activation, loss, inputs, targets, weights, offset=None):
        self.activate, self.slope = ACTIVATIONS[activation]
        self.loss, self.loss_slope = LOSSES[loss]
        self.inputs, self.targets, self.weights = inputs, targets, weights
        self.offset = 0.0 if offset is None else offset

    def forward(self, coefs, intercepts) -> list[np.ndarray]:
        """Return the preactivations of each layer; the last is the output."""
        layers, hidden = [], self.inputs
        for coef, intercept in zip(coefs, intercepts, strict=True):
            layers.append(hidden @ coef + intercept)
            hidden = self.activate(layers[-1])
        return layers

    def value(self, coefs, intercepts) -> float:
        """Return the weighted mean loss."""
        output = self.forward(coefs, intercepts)[-1] + self.offset
        return float(self.weights @ self.loss(output, self.targets).sum(axis=1))

    def gradient(self, coefs, intercepts) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the gradient in the weights and in the biases of each layer."""
        layers = self.forward(coefs, intercepts)
        error = self.weights[:, None] * self.loss_slope(layers[-1] + self.offset, self.targets)
        in_coefs: list[np.ndarray] = []
        in_intercepts: list[np.ndarray] = []
        for i in range(len(coefs) - 1, -1, -1):
            below = self.activate(layers[i - 1]) if i else self.inputs
            in_coefs.insert(0, below.T @ error)
            in_intercepts.insert(0, error.sum(axis=0))
            if i:
                error = (error @ np.asarray(coefs[i]).T) * self.slope(layers[i - 1])
        return in_coefs, in_intercepts

    def input_slopes(self, coefs, intercepts) -> np.ndarray:
        """Return the derivatives of each output in each input: rows, outputs, inputs."""
        layers = self.forward(coefs, intercepts)
        slopes = np.broadcast_to(coefs[-1].T, (len(self.inputs), *coefs[-1].T.shape))
        for coef, layer in zip(coefs[-2::-1], layers[-2::-1], strict=True):
            slopes = (slopes * self.slope(layer)[:, None]) @ coef.T
        return slopes

    def cost(self, coefs) -> int:
        """Return the numbers that one value touches."""
        return len(self.inputs) * sum(coef.size for coef in coefs)

    def flat_objective(self, rank, sizes, penalties, train_bias):
        """Return value and gradient of the penalised risk on a student's flat vector, and its layers of one."""
        # Layout: [B (rank, inputs) if rank, W_1, b_1 if train_bias, W_2, b_2, ...], matrices row by row and of shape
        # (outputs, inputs). The first penalty multiplies ||W_1 B||^2, the second the other weights.
        fans = [self.inputs.shape[1] if rank is None else rank, *sizes]
        shapes = [] if rank is None else [(rank, self.inputs.shape[1])]
        for i, (fan_in, fan_out) in enumerate(zip(fans[:-1], fans[1:], strict=True)):
            shapes.append((fan_out, fan_in))
            if i or train_bias:
                shapes.append((fan_out,))
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

        def layers(params):
            blocks = [part.reshape(shape) for part, shape in zip(np.split(params, ends[:-1]), shapes, strict=True)]
            indices = None if rank is None else blocks.pop(0)
            if not train_bias:
                blocks.insert(1, np.zeros(sizes[0]))
            first = blocks[0] if indices is None else blocks[0] @ indices
            return indices, blocks[0], [first.T, *(block.T for block in blocks[2::2])], blocks[1::2]

        def value(params):
            _, _, coefs, intercepts = layers(params)
            decay = sum((coef**2).sum() for coef in coefs[1:])
            return self.value(coefs, intercepts) + penalties[0] * (coefs[0] ** 2).sum() + penalties[1] * decay

        def gradient(params):
            indices, outer, coefs, intercepts = layers(params)
            in_coefs, in_intercepts = self.gradient(coefs, intercepts)
            in_coefs = [g + 2 * penalties[min(i, 1)] * c for i, (g, c) in enumerate(zip(in_coefs, coefs, strict=True))]
            blocks = [] if rank is None else [outer.T @ in_coefs[0].T]
            blocks.append(in_coefs[0].T if rank is None else in_coefs[0].T @ indices.T)
            blocks += [in_intercepts[0]] if train_bias else []
            for in_coef, in_intercept in zip(in_coefs[1:], in_intercepts[1:], strict=True):
                blocks += [in_coef.T, in_intercept]
            return np.concatenate([block.ravel() for block in blocks])

        return value, gradient, layers
