r"""The pairs of a point set under the random map ``A = M + sigma G``, through the Gram matrix of the images.

With ``q_ij = |y_i - y_j|^2 / |x_i - x_j|^2`` for ``y = M x`` and ``s`` the noise in its natural unit,
``sigma^2 = s^2 / (2 t (1 + s^2))``, the two exponential moments of one pair's distortion are ``exp`` of

.. math:: e^+ = t (\alpha q - 1) + \tfrac k2 \log\alpha, \qquad e^- = t (1 - \gamma q) + \tfrac k2 \log\gamma,
          \qquad \alpha = 1 + s^2, \quad \gamma = (1 + s^2) / (1 + 2 s^2),

the Laplace transform of a noncentral chi-square with ``1 - 2 t sigma^2 = 1/alpha`` and
``1 + 2 t sigma^2 = 1/gamma``. The unit makes every real ``s`` legal and the moments smooth and even in ``s``.
``log F``, its gradient (a weighted graph Laplacian applied to the images) and its Hessian-vector product are all
written here in closed form, at ``O(n^2 k)`` time; above ``BLOCK`` entries the n x n work is done by blocks of rows.
"""

import math

import numpy as np
import torch
from torch import Tensor

from .ranks import Ranks

BLOCK = 4_000_000
"""Entries of one n x n block (32 MB in float64): one block up to 2,000 points."""

LARGEST_RECIPROCAL = 300.0
"""Shift up to which ``exp(+-2 shift)`` is far from overflow."""


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
    """

    def __init__(self, inverse_distances: Tensor, n_components: int, t: float, ranks: Ranks | None = None):
        self.inverse = inverse_distances
        self.valid = (inverse_distances > 0).to(inverse_distances.dtype)
        self.n_components = n_components
        self.t = t
        self.ranks = ranks or Ranks()
        n_own, n = inverse_distances.shape
        self._first = int(self.ranks.table(n_own)[: self.ranks.rank, 0].sum())
        rows = max(1, BLOCK // max(n, 1))
        self.blocks = [slice(start, min(start + rows, n_own)) for start in range(0, n_own, rows)]
        self._uncounted = [torch.count_nonzero(inverse_distances[rows] == 0).item() for rows in self.blocks]

    def log_moment(self, images: Tensor, s: Tensor) -> Tensor:
        """Return ``log F`` as a 0-d tensor, differentiable twice in both arguments.

        Parameters
        ----------
        images : Tensor of shape (n_own, k)
            ``Y``.
        s : Tensor of shape ()
            Noise in its natural unit.

        Returns
        -------
        Tensor
        """
        return _LogMoment.apply(images, s, self)

    def _noise_terms(self, s: float) -> tuple[float, ...]:
        """Return ``alpha, gamma, gamma', gamma''`` at ``s``."""
        u = 1 + 2 * s * s
        return 1 + s * s, (1 + s * s) / u, -2 * s / u**2, (12 * s * s - 2) / u**3

    def _among_all(self, rows: slice) -> slice:
        """Return where rows of this rank stand among those of all."""
        return slice(rows.start + self._first, rows.stop + self._first)

    def _change(self, images: Tensor, squares: Tensor, rows: slice) -> Tensor:
        """Return ``q - 1`` for a block of rows, 0 where a pair does not count."""
        one = torch.ones_like(squares)
        # One product in place of a Gram matrix and two broadcast sums.
        own = self._among_all(rows)
        left = torch.column_stack([images[own] * -2, squares[own], one[own]])
        right = torch.column_stack([images, one, squares])
        return torch.mm(left, right.T).mul_(self.inverse[rows]).sub_(self.valid[rows])

    def _still_exponentials(self, change: Tensor, shift: float) -> tuple[Tensor, Tensor]:
        """Return ``exp(e^+ - shift), exp(e^- - shift)`` without noise; pairs that do not count give ``exp(-shift)``."""
        plus = torch.mul(change, self.t).sub_(shift).exp_()
        if shift < LARGEST_RECIPROCAL:  # the two are reciprocal: one exponential serves both
            return plus, torch.mul(plus, math.exp(2 * shift)).reciprocal_()
        return plus, torch.mul(change, -self.t).sub_(shift).exp_()

    def _exponentials(self, change: Tensor, rows: slice, s: float, shift: float) -> tuple[Tensor, Tensor]:
        """Return ``exp(e^+ - shift), exp(e^- - shift)`` of the pairs that count."""
        alpha, gamma, _, _ = self._noise_terms(s)
        t, k = self.t, self.n_components
        if s == 0.0:
            plus, minus = self._still_exponentials(change, shift)
            return plus.mul_(self.valid[rows]), minus.mul_(self.valid[rows])
        plus = torch.mul(change, t * alpha).add_(t * (alpha - 1) + k / 2 * math.log(alpha) - shift)
        minus = torch.mul(change, -t * gamma).add_(t * (1 - gamma) + k / 2 * math.log(gamma) - shift)
        return plus.exp_().mul_(self.valid[rows]), minus.exp_().mul_(self.valid[rows])

    def _largest_exponent(self, change: Tensor, s: float) -> float:
        low, high = (x.item() for x in torch.aminmax(change))
        alpha, gamma, _, _ = self._noise_terms(s)
        t, k = self.t, self.n_components
        return max(
            t * alpha * high + t * (alpha - 1) + k / 2 * math.log(alpha),
            -t * gamma * low + t * (1 - gamma) + k / 2 * math.log(gamma),
        )

    def value(self, images: Tensor, s: float) -> float:
        """Return ``log F``."""
        images = self.ranks.gather(images)
        squares = images.square().sum(dim=1)
        total, shift = 0.0, -math.inf
        for rows in self.blocks:
            change = self._change(images, squares, rows)
            top = self._largest_exponent(change, s)
            if top > shift:
                total, shift = total * math.exp(shift - top), top
            plus, minus = self._exponentials(change, rows, s, shift)
            total += plus.sum().item() + minus.sum().item()
        shift, _, total = self._combined(shift, total)
        return shift + math.log(total / 2)  # every pair stands in the matrix twice

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
        images = self.ranks.gather(images)
        squares = images.square().sum(dim=1)
        low, high = math.inf, -math.inf
        for rows in self.blocks:
            change = self._change(images, squares, rows)[self.inverse[rows] > 0]
            if change.numel():
                low, high = min(low, change.min().item()), max(high, change.max().item())
        low, high = -self.ranks.max(-low), self.ranks.max(high)
        return (1 + low, 1 + high) if high > -math.inf else (1.0, 1.0)

    def gradient(self, images: Tensor, s: float) -> tuple[float, Tensor, float]:
        """Return ``log F`` and its gradient in ``Y`` and in ``s``."""
        slope = torch.zeros_like(images)
        images = self.ranks.gather(images)
        squares = images.square().sum(dim=1)
        slope_s, total, shift = 0.0, 0.0, -math.inf
        for b, rows in enumerate(self.blocks):
            change = self._change(images, squares, rows)
            top = self._largest_exponent(change, s)
            if top > shift:
                old = math.exp(shift - top)
                total, slope_s, shift = total * old, slope_s * old, top
                slope *= old
            if s == 0.0:  # no mask: pairs that do not count pull by 0, and their share of the sum is known
                plus, minus = self._still_exponentials(change, shift)
                total += (plus.sum() + minus.sum()).item() - 2 * self._uncounted[b] * math.exp(-shift)
                pull = plus.sub_(minus).mul_(self.inverse[rows])
            else:
                plus, minus = self._exponentials(change, rows, s, shift)
                first = self._first_s(s)
                total += (plus.sum() + minus.sum()).item()
                slope_s += _average(plus, change, first[:2]) + _average(minus, change, first[2:])
                alpha, gamma, _, _ = self._noise_terms(s)
                pull = plus.mul_(alpha).sub_(minus, alpha=gamma).mul_(self.inverse[rows])
            slope[rows] += _laplacian(pull, images, self._among_all(rows))
        shift, old, total, slope_s = self._combined(shift, total, slope_s)
        slope *= old
        return shift + math.log(total / 2), slope.mul_(4 * self.t / total), slope_s / total

    def _first_s(self, s: float) -> tuple[float, float, float, float]:
        """Return ``a, b, c, d`` with ``de^+/ds = a q + b`` and ``de^-/ds = c q + d``."""
        alpha, gamma, gamma1, _ = self._noise_terms(s)
        t, k = self.t, self.n_components
        return 2 * s * t, k * s / alpha, -t * gamma1, k / 2 * gamma1 / gamma

    def _second_s(self, s: float) -> tuple[float, float, float, float]:
        """Return the same for the second derivative in ``s``."""
        alpha, gamma, gamma1, gamma2 = self._noise_terms(s)
        t, k = self.t, self.n_components
        return (
            2 * t,
            k / alpha - 2 * k * s * s / alpha**2,
            -t * gamma2,
            k / 2 * (gamma2 / gamma - (gamma1 / gamma) ** 2),
        )

    def weights(self, images: Tensor, s: float, log_moment: float) -> list[tuple[Tensor, Tensor, Tensor]] | None:
        """Return ``q - 1`` and the two shares of ``F`` in one block, or None where they do not fit in one."""
        if len(self.blocks) > 1:
            return None
        images = self.ranks.gather(images)
        return [self._block_weights(images, images.square().sum(dim=1), s, log_moment, self.blocks[0])]

    def _block_weights(self, images, squares, s, log_moment, rows):
        change = self._change(images, squares, rows)
        return change, *self._exponentials(change, rows, s, log_moment + math.log(2))

    def hessian_product(self, images: Tensor, s: float, log_moment: float, kept, v: Tensor, r: float):
        """Return the Hessian of ``log F`` applied to ``(v, r)``, as a pair.

        Parameters
        ----------
        images, s, log_moment : Tensor of shape (n_own, k), float, float
            The point and its value.
        kept : list or None
            What ``weights`` returned there.
        v : Tensor of shape (n_own, k)
            Direction in ``Y``.
        r : float
            Direction in ``s``.

        Returns
        -------
        tuple of (Tensor of shape (n_own, k), float)
        """
        fixed, moved = torch.zeros_like(images), torch.zeros_like(images)
        if self.ranks.size > 1:
            images, v = self.ranks.gather(torch.cat([images, v], dim=1)).split(v.shape[1], dim=1)
        squares, cross = images.square().sum(dim=1), (images * v).sum(dim=1)
        first, second = self._first_s(s), self._second_s(s)
        mean = slope_s = out_s = 0.0
        alpha, gamma, gamma1 = self._noise_terms(s)[:3]
        for b, rows in enumerate(self.blocks):
            change, plus, minus = kept[b] if kept else self._block_weights(images, squares, s, log_moment, rows)
            dq = self._directional(images, v, cross, rows)
            d_plus, d_minus = dq * (self.t * alpha), dq * (-self.t * gamma)
            if r != 0.0:
                out_s += r * (_average(plus, change, second[:2]) + _average(minus, change, second[2:]))
            if s != 0.0:
                q = change + self.valid[rows]
                es_plus, es_minus = first[0] * q + first[1], first[2] * q + first[3]
                d_plus += r * es_plus
                d_minus += r * es_minus
                slope_s += (plus * es_plus).sum().item() + (minus * es_minus).sum().item()
                out_s += (plus * d_plus * es_plus).sum().item() + (minus * d_minus * es_minus).sum().item()
                mixed = (plus * dq).sum() * (2 * s * self.t) - (minus * dq).sum() * (self.t * gamma1)
                out_s += mixed.item()
            d_plus *= plus
            d_minus *= minus
            mean += d_plus.sum().item() + d_minus.sum().item()
            pull = torch.mul(plus, alpha).sub_(minus, alpha=gamma).mul_(self.inverse[rows])
            change_of_pull = d_plus.mul_(alpha).sub_(d_minus, alpha=gamma)
            if s != 0.0:
                change_of_pull += (2 * s * r) * plus - (gamma1 * r) * minus
            change_of_pull *= self.inverse[rows]
            own = self._among_all(rows)
            fixed[rows] = _laplacian(pull, images, own)
            moved[rows] = _laplacian(change_of_pull, images, own) + _laplacian(pull, v, own)
        if self.ranks.size > 1:
            mean, slope_s, out_s = self.ranks.sum(np.array([mean, slope_s, out_s])).tolist()
        return moved.sub_(fixed, alpha=mean).mul_(4 * self.t), out_s - mean * slope_s

    def _directional(self, images, v, cross, rows):
        """Return the derivative of ``q`` along ``v`` for a block of rows."""
        own = self._among_all(rows)
        dq = torch.mm(images[own], v.T)
        dq += torch.mm(v[own], images.T)
        dq.neg_()
        dq += cross[own, None]
        dq += cross
        return dq.mul_(self.inverse[rows]).mul_(2)


def _average(weights, change, coefficients):
    """Return the sum of ``weights * (a q + b)`` over a block, ``q`` being ``change + 1``."""
    a, b = coefficients
    weighted = torch.vdot(weights.view(-1), change.view(-1)).item() if a != 0.0 else 0.0
    return a * weighted + (a + b) * weights.sum().item()


def _laplacian(pull, images, own):
    """Return ``sum_j pull_ij (y_i - y_j)`` for the rows of a block."""
    return torch.addmm(pull.sum(dim=1)[:, None] * images[own], pull, images, alpha=-1)


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
        value, slope, slope_s = known
        ctx.save_for_backward(images, s)
        ctx.value = value
        return slope.clone(), images.new_tensor(slope_s)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, v, r):
        images, s = ctx.saved_tensors
        if ctx.kept is None:
            ctx.kept = ctx.moments.weights(images, s.item(), ctx.value)
        out, out_s = ctx.moments.hessian_product(images, s.item(), ctx.value, ctx.kept, v, r.item())
        return out, images.new_tensor(out_s), None, None
