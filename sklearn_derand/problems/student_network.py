"""The student ``f(x) = W_L s( ... s(W_1 x + b_1) ... ) + b_L`` on a flat vector of parameters.

With a rank the first layer is ``W_1 = A B``, ``A`` (width, rank) and ``B`` (rank, inputs): a student
of ``rank`` indices, the same function class as far as the data are concerned but with far fewer
parameters (Tsikouras et al., arXiv 2510.19382, Section 4, give the student without a rank).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional

SMOOTH_RELU_SHARPNESS = 10.0
"""``smooth_relu`` is ``iota softplus(x / iota)`` with ``iota = 1 / SMOOTH_RELU_SHARPNESS``."""

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    # Beyond its threshold torch replaces softplus by the identity; at 40 the two agree to rounding.
    "softplus": partial(functional.softplus, threshold=40.0),
    "silu": functional.silu,
    "smooth_relu": partial(functional.softplus, beta=SMOOTH_RELU_SHARPNESS, threshold=40.0),
}


@dataclass(frozen=True)
class StudentNetwork:
    """A multi-layer perceptron of fixed shape; its parameters are one flat float64 vector.

    Layout: ``[B (if rank), W_1 or A, b_1 (if train_bias), W_2, b_2, ..., W_L, b_L]``, each matrix
    row by row and of shape (outputs, inputs). Nothing is checked about the vector but its length.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Columns of the data and of the prediction.
    hidden_layer_sizes : tuple of int
        Width of each hidden layer, at least one.
    activation : str
        A key of ``ACTIVATIONS``.
    rank : int or None
        Number of indices of the first layer; None leaves it free.
    train_bias : bool
        False fixes the biases of the first layer at 0, the setting in which Lemma 3.1 fails.

    Examples
    --------
    >>> network = StudentNetwork(n_inputs=3, n_outputs=1, hidden_layer_sizes=(4,))
    >>> network.n_params
    21
    >>> start = network.initial(torch.Generator().manual_seed(0))
    >>> network.forward(start, torch.zeros(5, 3, dtype=torch.float64)).shape
    torch.Size([5, 1])
    """

    n_inputs: int
    n_outputs: int
    hidden_layer_sizes: tuple[int, ...]
    activation: str = "tanh"
    rank: int | None = None
    train_bias: bool = True

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        sizes = [self.n_inputs if self.rank is None else self.rank, *self.hidden_layer_sizes, self.n_outputs]
        shapes: list[tuple[int, ...]] = [] if self.rank is None else [(self.rank, self.n_inputs)]
        for layer, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            shapes.append((fan_out, fan_in))
            if layer > 0 or self.train_bias:
                shapes.append((fan_out,))
        return shapes

    @property
    def n_params(self) -> int:
        """Length of the parameter vector."""
        return sum(math.prod(shape) for shape in self._shapes)

    def unpack(self, params: Tensor) -> tuple[Tensor | None, list[Tensor], list[Tensor]]:
        """Split the flat vector into its blocks.

        Parameters
        ----------
        params : Tensor of shape (n_params,)
            The flat vector.

        Returns
        -------
        indices : Tensor of shape (rank, n_inputs) or None
            The matrix ``B``.
        weights : list of Tensor
            ``W_1`` (or ``A``), ..., ``W_L``.
        biases : list of Tensor
            ``b_1``, ..., ``b_L``.
        """
        blocks = []
        for piece, shape in zip(params.split([math.prod(shape) for shape in self._shapes]), self._shapes, strict=True):
            blocks.append(piece.reshape(shape))
        indices = None if self.rank is None else blocks.pop(0)
        if not self.train_bias:
            blocks.insert(1, params.new_zeros(self.hidden_layer_sizes[0]))
        return indices, blocks[0::2], blocks[1::2]

    def pack(self, indices: Tensor | None, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
        """Join blocks into the flat vector: the inverse of `unpack`.

        Parameters
        ----------
        indices : Tensor of shape (rank, n_inputs) or None
            The matrix ``B``.
        weights, biases : sequence of Tensor
            The layers, first to last.

        Returns
        -------
        Tensor of shape (n_params,)
            The flat vector.
        """
        blocks = [] if indices is None else [indices]
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            blocks.append(weight)
            if layer > 0 or self.train_bias:
                blocks.append(bias)
        return torch.cat([block.reshape(-1) for block in blocks])

    def first_layer(self, params: Tensor) -> Tensor:
        """``W_1``, or the product ``A B`` where the student has a rank.

        Parameters
        ----------
        params : Tensor of shape (n_params,)
            The flat vector.

        Returns
        -------
        Tensor of shape (hidden_layer_sizes[0], n_inputs)
            The first layer's weights.
        """
        indices, weights, _ = self.unpack(params)
        return weights[0] if indices is None else weights[0] @ indices

    def initial(self, generator: Generator) -> Tensor:
        """Draw the random law: normal weights of variance 1 / fan-in, normal biases in the first layer.

        The output layer starts small, so that the first prediction is close to a constant.

        Parameters
        ----------
        generator : torch.Generator
            Source of randomness, on the CPU so that every device starts from the same point.

        Returns
        -------
        Tensor of shape (n_params,)
            A draw.
        """

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        sizes = [self.n_inputs if self.rank is None else self.rank, *self.hidden_layer_sizes, self.n_outputs]
        indices = None
        if self.rank is not None:
            indices = torch.linalg.qr(normal(self.n_inputs, self.rank)).Q.T
        weights, biases = [], []
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
            weights.append(normal(fan_out, fan_in) / math.sqrt(fan_in))
            biases.append(torch.zeros(fan_out, dtype=torch.float64))
        weights[-1] *= 0.1
        if self.train_bias:
            biases[0] = normal(self.hidden_layer_sizes[0])
        return self.pack(indices, weights, biases)

    def preactivations(self, params: Tensor, inputs: Tensor) -> Tensor:
        """Arguments of the first activation, ``W_1 x + b_1``.

        Parameters
        ----------
        params : Tensor of shape (n_params,)
            The flat vector.
        inputs : Tensor of shape (n_samples, n_inputs)
            Rows.

        Returns
        -------
        Tensor of shape (n_samples, hidden_layer_sizes[0])
            One row for each row.
        """
        indices, weights, biases = self.unpack(params)
        projected = inputs if indices is None else inputs @ indices.T
        return torch.addmm(biases[0], projected, weights[0].T)

    def readout(self, params: Tensor, preactivations: Tensor) -> Tensor:
        """Apply the rest of the network, from the first activation on.

        Parameters
        ----------
        params : Tensor of shape (n_params,)
            The flat vector.
        preactivations : Tensor of shape (n_samples, hidden_layer_sizes[0])
            What `preactivations` returns.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
            The prediction.
        """
        activation = ACTIVATIONS[self.activation]
        _, weights, biases = self.unpack(params)
        hidden = preactivations
        for weight, bias in zip(weights[1:], biases[1:], strict=True):
            hidden = torch.addmm(bias, activation(hidden), weight.T)
        return hidden

    def forward(self, params: Tensor, inputs: Tensor) -> Tensor:
        """Prediction for each row.

        Parameters
        ----------
        params : Tensor of shape (n_params,)
            The flat vector.
        inputs : Tensor of shape (n_samples, n_inputs)
            Rows.

        Returns
        -------
        Tensor of shape (n_samples, n_outputs)
            The prediction.
        """
        return self.readout(params, self.preactivations(params, inputs))
