"""A pair matrix by blocks: where one stands, what its pairs weigh, and sums over the neighbours of each point."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Block:
    """Pairs of some rows with some columns: where they stand here and among all, and one over their distances."""

    rows: slice
    own: slice
    columns: slice
    inverse: Tensor
    valid: Tensor
    uncounted: int

    @classmethod
    def of(cls, inverse_distances: Tensor, rows: slice, first: int, once: bool) -> "Block":
        """Cut out rows, of the points from ``first`` on: all their pairs, or ``once`` those to the right alone."""
        start = rows.start if once else 0
        inverse = inverse_distances[rows, start:].triu(1) if once else inverse_distances[rows]
        valid = (inverse > 0).to(inverse.dtype)
        uncounted = inverse.numel() - int(valid.sum().item())
        own = slice(rows.start + first, rows.stop + first)
        return cls(rows, own, slice(start, inverse_distances.shape[1]), inverse, valid, uncounted)

    def product(self, sides: tuple[Tensor, Tensor]) -> Tensor:
        """Return the entries of this block in the product of two matrices with a column for each point."""
        left, right = sides
        return torch.mm(left[:, self.own].T, right[:, self.columns])

    def change(self, sides: tuple[Tensor, Tensor]) -> Tensor:
        """Return ``q - 1`` from two matrices whose product is that of squared distances; 0 where none counts."""
        return self.product(sides).mul_(self.inverse).sub_(self.valid)

    def unshifted(self, sides: tuple[Tensor, Tensor], offset: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Return ``exp(t (q - 1))`` and its reciprocal, given ``-t`` where a pair counts; 1 where none does."""
        product = self.product(sides)
        plus = torch.addcmul(offset, product, self.inverse, value=t, out=product).exp_()
        return plus, plus.reciprocal()


@dataclass(frozen=True)
class Curvature:
    """Of the pairs of a block, each weighed by its share of ``F``.

    ``pull`` is the weight of ``y_i - y_j`` in the gradient, ``stiffness`` and ``mixed`` are its derivatives along
    ``(y_i - y_j) . (v_i - v_j)`` and ``s`` (None where 0), ``noise`` is the second derivative in ``s``, summed.
    """

    pull: Tensor
    stiffness: Tensor
    mixed: Tensor | None
    noise: float


class Neighbours:
    """``sum_j w_ij y_j``, and ``sum_j w_ij`` as its last row, of the points here, over pairs added block by block.

    Parameters
    ----------
    rows : Tensor of shape (k + 1, n)
        Images of all points, and ones.
    n_own : int
        Points here.
    by_rows, by_columns : bool
        Which points of a block its pairs are added to: all blocks that meet each pair once take both.
    """

    def __init__(self, rows: Tensor, n_own: int, *, by_rows: bool, by_columns: bool):
        self.rows, self.by_rows, self.by_columns = rows, by_rows, by_columns
        self.sums = rows.new_zeros(len(rows), n_own)

    def add(self, weights: Tensor, block: Block) -> None:
        """Add the pairs of a block."""
        if self.by_rows:
            self.sums[:, block.rows].addmm_(self.rows[:, block.columns], weights.T)
        if self.by_columns:
            self.sums[:, block.columns].addmm_(self.rows[:, block.own], weights)

    def laplacian(self, images: Tensor) -> Tensor:
        """Return ``sum_j w_ij (y_i - y_j)``."""
        return images * self.sums[-1] - self.sums[:-1]
