r"""The two exponents of a pair of points under the random map ``A = M + sigma G``, and their exponentials.

With ``q`` the ratio of squared distances under ``M`` and ``s`` the noise in its natural unit,
``sigma^2 = s^2 / (2 t (1 + s^2))``,

.. math:: e^+ = t (\alpha q - 1) + \tfrac k2 \log\alpha, \qquad e^- = t (1 - \gamma q) + \tfrac k2 \log\gamma,
          \qquad \alpha = 1 + s^2, \quad \gamma = (1 + s^2) / (1 + 2 s^2),

the Laplace transform of a noncentral chi-square with ``1 - 2 t sigma^2 = 1/alpha`` and
``1 + 2 t sigma^2 = 1/gamma``. The unit makes every real ``s`` legal and the moments smooth and even in ``s``.
"""

import math

import torch
from torch import Tensor

from .pair_blocks import Block

LARGEST_RECIPROCAL = 300.0
"""Shift up to which ``exp(+-2 shift)`` is far from overflow. Beyond it the lesser moment of a pair, at most
``exp(-shift)``, is lost beside the sum, which is 1 and more."""

LEAST_EXPONENT = -700.0
"""What is below is raised to it: near underflow an exponential takes eight times as long in torch."""


class Exponents:
    """``e^+`` and ``e^-`` as functions of ``q``.

    Parameters
    ----------
    t : float
        Exponent, positive.
    n_components : int
        Dimension ``k`` of the images.
    s : float
        Noise in its natural unit.
    """

    def __init__(self, t: float, n_components: int, s: float):
        self.t, self.n_components, self.s = t, n_components, s
        u = 1 + 2 * s * s
        self.alpha, self.gamma = 1 + s * s, (1 + s * s) / u
        self.gamma1, self._gamma2 = -2 * s / u**2, (12 * s * s - 2) / u**3

    def largest(self, change: Tensor) -> float:
        """Return the largest exponent of some pairs, given ``q - 1``."""
        low, high = (x.item() for x in torch.aminmax(change))
        t, k, alpha, gamma = self.t, self.n_components, self.alpha, self.gamma
        return max(
            t * alpha * high + t * (alpha - 1) + k / 2 * math.log(alpha),
            -t * gamma * low + t * (1 - gamma) + k / 2 * math.log(gamma),
        )

    def exponentials(self, change: Tensor, block: Block, shift: float) -> tuple[Tensor, Tensor]:
        """Return ``exp(e^+ - shift), exp(e^- - shift)``; without noise pairs that do not count give ``exp(-shift)``."""
        t, k, alpha, gamma = self.t, self.n_components, self.alpha, self.gamma
        if self.s == 0.0:
            if shift < LARGEST_RECIPROCAL:  # the two are reciprocal: one exponential serves both
                plus = torch.mul(change, t).sub_(shift).exp_()
                return plus, plus.reciprocal().mul_(math.exp(-2 * shift))
            # Pairs that do not count give exp(-shift) and 0, either below 1e-130
            greater = change.abs().mul_(t).sub_(shift).clamp_min_(LEAST_EXPONENT).exp_()
            plus = torch.copysign(greater, change).clamp_min_(0.0)  # a mask takes twice as long
            return plus, greater.sub_(plus)
        plus = torch.mul(change, t * alpha).add_(t * (alpha - 1) + k / 2 * math.log(alpha) - shift)
        minus = torch.mul(change, -t * gamma).add_(t * (1 - gamma) + k / 2 * math.log(gamma) - shift)
        # By far the largest where both M and a distance are 0: no known share could be taken off the sum.
        return plus.exp_().mul_(block.valid), minus.exp_().mul_(block.valid)

    def sums(self, plus: Tensor, minus: Tensor, block: Block, shift: float) -> tuple[float, float]:
        """Return the sums of a block's exponentials over the pairs that count."""
        rest = block.uncounted * math.exp(-shift) if self.s == 0.0 else 0.0
        return plus.sum().item() - rest, minus.sum().item() - rest

    def first(self) -> tuple[float, float, float, float]:
        """Return ``a, b, c, d`` with ``de^+/ds = a q + b`` and ``de^-/ds = c q + d``."""
        s, t, k = self.s, self.t, self.n_components
        return 2 * s * t, k * s / self.alpha, -t * self.gamma1, k / 2 * self.gamma1 / self.gamma

    def second(self) -> tuple[float, float, float, float]:
        """Return the same for the second derivative in ``s``."""
        s, t, k, alpha, gamma = self.s, self.t, self.n_components, self.alpha, self.gamma
        return (
            2 * t,
            k / alpha - 2 * k * s * s / alpha**2,
            -t * self._gamma2,
            k / 2 * (self._gamma2 / gamma - (self.gamma1 / gamma) ** 2),
        )


def weighted(weights: Tensor, total: float, change: Tensor, coefficients: tuple[float, float]) -> float:
    """Return the sum of ``weights * (a q + b)`` over pairs that count: ``total`` is that of their weights."""
    a, b = coefficients
    return a * torch.vdot(weights.view(-1), change.view(-1)).item() + (a + b) * total
