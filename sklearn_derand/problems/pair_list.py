r"""Sums over a list of pairs of rows, and their derivatives of every order, without the list's differences in memory.

For rows ``z`` and pairs ``u = (i, j)`` let ``P(z, v)_u = (z_i - z_j) . (v_i - v_j)``, and ``L(w)`` be the Laplacian of
the graph with edges ``u`` of weights ``w_u``. Then

.. math:: \frac{\partial}{\partial z} \sum_u w_u P(z, v)_u = L(w) v, \qquad
          \frac{\partial}{\partial w} \langle x, L(w) z \rangle = P(z, x),

so that the two are closed under differentiation. torch's own derivative of an indexed row adds one row at a time, and
keeps the differences of all pairs: five times as slow on a list of many pairs.
"""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

BLOCK = 4096
"""Pairs whose differences are formed at once: they stay in the cache."""


class PairList:
    """Pairs of rows.

    Parameters
    ----------
    first, second : Tensor of shape (m,)
        Indices of the rows, int64, on one device.
    n_rows : int
        Number of rows that they point into.
    """

    def __init__(self, first: Tensor, second: Tensor, n_rows: int) -> None:
        self.first, self.second, self.n_rows = first, second, n_rows
        if first.device.type == "cpu":
            rows, columns = (torch.cat(ends).cpu().numpy() for ends in ((first, second), (second, first)))
            self._order = np.argsort(rows, kind="stable")
            self._columns = columns[self._order].astype(np.int32)
            self._starts = np.append(0, np.cumsum(np.bincount(rows, minlength=n_rows))).astype(np.int32)

    def squares(self, rows: Tensor) -> Tensor:
        """Return ``|z_i - z_j|^2`` of each pair, differentiable twice.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, k)
            ``z``.

        Returns
        -------
        Tensor of shape (m,)
        """
        return _Squares.apply(rows, self)

    def products(self, left: Tensor, right: Tensor) -> Tensor:
        """Return ``P(left, right)``, no derivatives.

        Parameters
        ----------
        left, right : Tensor of shape (n_rows, k)
            Rows.

        Returns
        -------
        Tensor of shape (m,)
        """
        out = left.new_empty(len(self.first))
        for start in range(0, len(out), BLOCK):
            first, second = self.first[start : start + BLOCK], self.second[start : start + BLOCK]
            difference = left.index_select(0, first) - left.index_select(0, second)
            other = difference
            if right is not left:
                other = right.index_select(0, first) - right.index_select(0, second)
            torch.sum(difference * other, dim=1, out=out[start : start + BLOCK])
        return out

    def laplacian(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Return ``L(weights) rows``, no derivatives.

        Parameters
        ----------
        weights : Tensor of shape (m,)
            Of the pairs.
        rows : Tensor of shape (n_rows, k)
            What is multiplied.

        Returns
        -------
        Tensor of shape (n_rows, k)
        """
        if rows.device.type != "cpu":
            difference = weights[:, None] * (rows[self.first] - rows[self.second])
            out = torch.zeros_like(rows).index_add_(0, self.first, difference)
            return out.index_add_(0, self.second, difference, alpha=-1)
        data = torch.cat([weights, weights]).cpu().numpy()[self._order]
        adjacency = sparse.csr_array((data, self._columns, self._starts), shape=(self.n_rows, self.n_rows))
        degrees, values = adjacency.sum(axis=1), rows.cpu().numpy()
        return torch.as_tensor(degrees[:, None] * values - adjacency @ values)


class _Squares(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, pairs):
        ctx.save_for_backward(rows)
        ctx.pairs = pairs
        return pairs.products(rows, rows)

    @staticmethod
    def backward(ctx, weights):
        (rows,) = ctx.saved_tensors
        return 2 * _Laplacian.apply(weights, rows, ctx.pairs), None


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left, right, pairs):
        ctx.save_for_backward(left, right)
        ctx.pairs = pairs
        return pairs.products(left, right)

    @staticmethod
    def backward(ctx, weights):
        left, right = ctx.saved_tensors
        wanted = zip(ctx.needs_input_grad[:2], (right, left), strict=True)
        return *(_Laplacian.apply(weights, other, ctx.pairs) if needed else None for needed, other in wanted), None


class _Laplacian(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weights, rows, pairs):
        ctx.save_for_backward(weights, rows)
        ctx.pairs = pairs
        return pairs.laplacian(weights, rows)

    @staticmethod
    def backward(ctx, out):
        weights, rows = ctx.saved_tensors
        of_weights, of_rows = ctx.needs_input_grad[:2]
        return (
            _Products.apply(rows, out, ctx.pairs) if of_weights else None,
            _Laplacian.apply(weights, out, ctx.pairs) if of_rows else None,
            None,
        )
