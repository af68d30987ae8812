"""A pair matrix by blocks: where one stands, what its pairs weigh, and sums over the neighbours of each point."""

from dataclasses import dataclass

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
    """``sum_j w_ij y_j``, and ``sum_j w_ij`` as its last row, of the points here, over pairs added block by block."""

    def __init__(self, rows: Tensor, n_own: int, once: bool):
        self.rows, self.once = rows, once
        self.sums = rows.new_zeros(len(rows), n_own)

    def add(self, weights: Tensor, block: Block) -> None:
        """Add the pairs of a block."""
        self.sums[:, block.rows].addmm_(self.rows[:, block.columns], weights.T)
        if self.once:
            self.sums[:, block.columns].addmm_(self.rows[:, block.own], weights)

    def laplacian(self, images: Tensor) -> Tensor:
        """Return ``sum_j w_ij (y_i - y_j)``."""
        return images * self.sums[-1] - self.sums[:-1]
