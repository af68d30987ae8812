"""The pairs of a point set under the random map ``A = M + sigma G``, through the Gram matrix of the images.

With ``q_ij = |y_i - y_j|^2 / |x_i - x_j|^2`` for ``y = M x`` the two exponential moments of one pair's distortion are
``exp`` of the exponents in :mod:`~sklearn_derand.problems.pair_exponents`. ``log F``, its gradient (a weighted graph
Laplacian applied to the images) and its Hessian-vector product are written here in closed form, at ``O(n^2 k)`` time,
by blocks of rows.
"""

import math
from copy import copy

import numpy as np
import torch
from torch import Tensor

from .pair_blocks import Block, Curvature, Neighbours
from .pair_exponents import Exponents, weighted
from .ranks import Ranks

ROWS = 128
"""Rows of one block: its arrays stay in the cache, and blocks right of the diagonal leave out half the pairs."""

WHOLE = 350
"""Points up to which a descent without noise holds every pair twice, in one block: fewer and simpler products gain more
than that loses (15 to 20 % of a gradient's time at 250 points; at 500, where the arrays leave the cache, it would take
twice as long). Rounding then differs between the two times."""

BLOCK = 4_000_000
"""Entries of the n x n matrix (32 MB in float64) up to which what the Hessian needs is kept, and of one block on a GPU,
where many small operations are dear."""

UNSHIFTED = 600.0
"""Exponent ``t`` up to which no shift is looked for: ``exp(-t)`` is far from underflow, and no pair is shorter than
0. Should one be so long that the sum is not finite, all is done again with a shift."""


class PairMoments:
    """``log F(Y, s) = log sum over pairs (exp e^+ + exp e^-)`` with first and second derivatives.

    Parameters
    ----------
    inverse_distances : Tensor of shape (n_own, n)
        ``1 / |x_i - x_j|^2``; 0 for the diagonal and for pairs that do not count (duplicates).
    n_components : int
        Dimension ``k`` of the images.
    t : float
        Exponent, positive.
    ranks : Ranks or None, default=None
        Processes over which the points are spread. Each holds the rows of its own points in the matrix, ``n_own`` of
        them, and passes and receives images and slopes of these; else ``n_own = n``.

    Notes
    -----
    Images are columns of a matrix of shape (k, n_own): products with it are then twice as fast in torch.
    """

    def __init__(self, inverse_distances: Tensor, n_components: int, t: float, ranks: Ranks | None = None):
        self.n_components = n_components
        self.ranks = ranks or Ranks()
        n_own, n = inverse_distances.shape
        alone = self.ranks.size == 1
        # A rank meets pairs of its own points twice, as it does all others; so does a single block: it sums but once.
        self._once = alone and n > ROWS
        step = max(ROWS, BLOCK // max(n, 1)) if inverse_distances.device.type != "cpu" else ROWS
        first = int(self.ranks.table(n_own)[: self.ranks.rank, 0].sum())
        rows = [slice(start, min(start + step, n_own)) for start in range(0, n_own, step)]
        self.blocks = [Block.of(inverse_distances, each, first, self._once) for each in rows]
        # Certificates need a Hessian that is symmetric to the last digit, descents do not.
        self._whole = Block.of(inverse_distances, slice(0, n), 0, False) if alone and n <= WHOLE else None
        self._kept = n_own * n <= BLOCK
        self._set_exponent(t)

    def at(self, t: float) -> "PairMoments":
        """Return the same pairs at another exponent."""
        other = copy(self)
        other._set_exponent(t)
        return other

    def _set_exponent(self, t):
        self.t = t
        blocks = self.blocks if self._whole is None else [self._whole]
        self._still = [(block, block.valid * -t) for block in blocks] if t < UNSHIFTED else []

    def log_moment(self, images: Tensor, s: Tensor) -> Tensor:
        """Return ``log F`` as a 0-d tensor, differentiable twice in both arguments.

        Parameters
        ----------
        images : Tensor of shape (k, n_own)
            ``Y``.
        s : Tensor of shape ()
            Noise in its natural unit.

        Returns
        -------
        Tensor
        """
        return _LogMoment.apply(images, s, self)

    @property
    def _copies(self) -> int:
        """How often each pair is met."""
        return 1 if self._once else 2

    def _neighbours(self, rows: Tensor, n_own: int) -> Neighbours:
        return Neighbours(rows, n_own, by_rows=True, by_columns=self._once)

    def _gathered(self, images: Tensor) -> Tensor:
        return images if self.ranks.size == 1 else self.ranks.gather(images.T).T

    def _sides(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return two matrices whose product is that of squared distances; the second is ``Y``, ones and more."""
        images = self._gathered(images)
        squares = images.square().sum(dim=0, keepdim=True)
        one = torch.ones_like(squares)
        return torch.cat([images * -2, squares, one]), torch.cat([images, one, squares])

    def value(self, images: Tensor, s: float) -> float:
        """Return ``log F``."""
        sides, exponents = self._sides(images), Exponents(self.t, self.n_components, s)
        total, shift = 0.0, -math.inf
        for block in self.blocks:
            change = block.change(sides)
            top = exponents.largest(change)
            if top > shift:
                total, shift = total * math.exp(shift - top), top
            plus, minus = exponents.exponentials(change, block, shift)
            total += sum(exponents.sums(plus, minus, block, shift))
        shift, _, total = self._combined(shift, total)
        return shift + math.log(total / self._copies)

    def _combined(self, shift: float, *sums: float) -> tuple[float, ...]:
        """Return the common shift, what it changes in the sums here, and the sums over all ranks."""
        if self.ranks.size == 1:
            return shift, 1.0, *sums
        table = self.ranks.table(shift, *sums)
        top = table[:, 0].max()
        factors = np.exp(table[:, 0] - top)
        return float(top), float(factors[self.ranks.rank]), *(factors @ table[:, 1:]).tolist()

    def extremes(self, images: Tensor) -> tuple[float, float]:
        """Return the least and the largest ``q``; (1, 1) where no pair counts."""
        sides = self._sides(images)
        low, high = math.inf, -math.inf
        for block in self.blocks:
            change = block.change(sides)[block.inverse > 0]
            if change.numel():
                low, high = min(low, change.min().item()), max(high, change.max().item())
        low, high = -self.ranks.max(-low), self.ranks.max(high)
        return (1 + low, 1 + high) if high > -math.inf else (1.0, 1.0)

    def gradient(self, images: Tensor, s: float) -> tuple[float, Tensor, float]:
        """Return ``log F`` and its gradient in ``Y`` and in ``s``."""
        if s == 0.0 and self.t < UNSHIFTED:
            found = self._still_gradient(images)
            if math.isfinite(found[0]):
                return found
        return self._shifted_gradient(images, s)

    def _still_gradient(self, images):
        """Return the same without noise, where exponentials neither overflow nor vanish."""
        sides, exponents, total = self._sides(images), Exponents(self.t, self.n_components, 0.0), 0.0
        whole = self._whole is not None
        copies = 2 if whole else self._copies
        # Sums over the pairs of a row take a transposed product, which costs more than one over those of a column.
        neighbours = Neighbours(sides[1][:-1], images.shape[1], by_rows=not whole, by_columns=whole or self._once)
        for block, offset in self._still:
            plus, minus = block.unshifted(sides, offset, self.t)
            total += sum(exponents.sums(plus, minus, block, 0.0))
            neighbours.add(plus.sub_(minus).mul_(block.inverse), block)
        _, _, total = self._combined(0.0, total)
        slope = neighbours.laplacian(images).mul_(2 * copies * self.t / total)
        return math.log(total / copies), slope, 0.0

    def _shifted_gradient(self, images, s):
        """Return the same with the largest exponent as the shift."""
        sides, exponents = self._sides(images), Exponents(self.t, self.n_components, s)
        neighbours = self._neighbours(sides[1][:-1], images.shape[1])
        slope_s, total, shift = 0.0, 0.0, -math.inf
        first = exponents.first()
        for block in self.blocks:
            change = block.change(sides)
            top = exponents.largest(change)
            if top > shift:
                old = math.exp(shift - top)
                total, slope_s, shift = total * old, slope_s * old, top
                neighbours.sums *= old
            plus, minus = exponents.exponentials(change, block, shift)
            sum_plus, sum_minus = exponents.sums(plus, minus, block, shift)
            total += sum_plus + sum_minus
            if s != 0.0:
                slope_s += weighted(plus, sum_plus, change, first[:2]) + weighted(minus, sum_minus, change, first[2:])
                plus.mul_(exponents.alpha)
            neighbours.add(plus.sub_(minus, alpha=exponents.gamma).mul_(block.inverse), block)
        shift, old, total, slope_s = self._combined(shift, total, slope_s)
        slope = neighbours.laplacian(images).mul_(2 * self._copies * self.t * old / total)
        return shift + math.log(total / self._copies), slope, slope_s / total

    def curvature(self, images: Tensor, s: float, log_moment: float) -> list[Curvature] | None:
        """Return what the Hessian needs of all blocks, or None where that would take too much memory."""
        if not self._kept:
            return None
        sides = self._sides(images)
        return [self._curvature(sides, s, log_moment, block) for block in self.blocks]

    def _curvature(self, sides, s, log_moment, block):
        exponents = Exponents(self.t, self.n_components, s)
        change, shift = block.change(sides), log_moment + math.log(self._copies)
        plus, minus = exponents.exponentials(change, block, shift)
        sum_plus, sum_minus = exponents.sums(plus, minus, block, shift)
        alpha, gamma, second = exponents.alpha, exponents.gamma, exponents.second()
        noise = weighted(plus, sum_plus, change, second[:2]) + weighted(minus, sum_minus, change, second[2:])
        mixed = None
        if s != 0.0:  # at 0 every first derivative in s is 0
            a, b, c, d = exponents.first()
            first_plus = change.mul(a).add_(block.valid, alpha=a + b)
            first_minus = change.mul(c).add_(block.valid, alpha=c + d)
            mixed = plus * (alpha * first_plus + 2 * s) - minus * (gamma * first_minus + exponents.gamma1)
            mixed *= block.inverse
            noise += (plus * first_plus.square_() + minus * first_minus.square_()).sum().item()
        pull = torch.mul(plus, alpha).sub_(minus, alpha=gamma).mul_(block.inverse)
        stiffness = plus.mul_(alpha**2).add_(minus, alpha=gamma**2).mul_(block.inverse).mul_(block.inverse)
        return Curvature(pull, stiffness.mul_(2 * self.t), mixed, noise)

    def hessian_product(self, images: Tensor, s: float, known, kept, v: Tensor, r: float):
        """Return the Hessian of ``log F`` applied to ``(v, r)``, as a pair.

        Parameters
        ----------
        images, s : Tensor of shape (k, n_own), float
            The point.
        known : tuple
            What ``gradient`` returned there.
        kept : list or None
            What ``curvature`` returned there.
        v : Tensor of shape (k, n_own)
            Direction in ``Y``.
        r : float
            Direction in ``s``.

        Returns
        -------
        tuple of (Tensor of shape (k, n_own), float)
        """
        log_moment, slope, slope_s = known
        sides, ahead = self._sides(images), self._gathered(v)
        y, one = sides[1][: self.n_components], sides[1][self.n_components :][:1]
        cross = (y * ahead).sum(dim=0, keepdim=True)
        left, right = torch.cat([-y, -ahead, cross, one]), torch.cat([ahead, y, one, cross])
        steady = self._neighbours(sides[1][:-1], images.shape[1])
        moving = self._neighbours(torch.cat([ahead, one]), v.shape[1])
        out_s = 0.0
        for b, block in enumerate(self.blocks):
            at = kept[b] if kept else self._curvature(sides, s, log_moment, block)
            product = block.product((left, right))
            out_s += r * at.noise
            if at.mixed is not None:
                out_s += 2 * self.t * torch.vdot(at.mixed.view(-1), product.view(-1)).item()
            change_of_pull = product.mul_(at.stiffness)
            if at.mixed is not None:
                change_of_pull.add_(at.mixed, alpha=r)
            steady.add(change_of_pull, block)
            moving.add(at.pull, block)
        along = torch.vdot(slope.reshape(-1), v.reshape(-1)).item()
        if self.ranks.size > 1:
            along, out_s = self.ranks.sum(np.array([along, out_s])).tolist()
        along += slope_s * r
        out = steady.laplacian(images).add_(moving.laplacian(v)).mul_(2 * self._copies * self.t)
        return out.sub_(slope, alpha=along), out_s - along * slope_s


class _LogMoment(torch.autograd.Function):
    """``log F``; the gradient comes with the value, so that one n x n pass serves both."""

    @staticmethod
    def forward(ctx, images, s, moments):
        ctx.moments = moments
        if not any(ctx.needs_input_grad[:2]):
            return images.new_tensor(moments.value(images, s.item()))
        value, slope, slope_s = moments.gradient(images, s.item())
        ctx.save_for_backward(images, s)
        ctx.known = value, slope, slope_s
        return images.new_tensor(value)

    @staticmethod
    def backward(ctx, grad):
        images, s = ctx.saved_tensors
        slope, slope_s = _LogMomentGradient.apply(images, s, ctx.moments, ctx.known)
        return grad * slope, grad * slope_s, None


class _LogMomentGradient(torch.autograd.Function):
    """The gradient of ``log F``, already known; its backward is the Hessian, which is symmetric."""

    @staticmethod
    def forward(ctx, images, s, moments, known):
        ctx.moments, ctx.kept = moments, None
        _, slope, slope_s = known
        ctx.save_for_backward(images, s)
        ctx.known = known
        return slope.clone(), images.new_tensor(slope_s)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, v, r):
        images, s = ctx.saved_tensors
        if ctx.kept is None:
            ctx.kept = ctx.moments.curvature(images, s.item(), ctx.known[0])
        out, out_s = ctx.moments.hessian_product(images, s.item(), ctx.known, ctx.kept, v, r.item())
        return out, images.new_tensor(out_s), None, None
