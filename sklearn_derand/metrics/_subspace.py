"""Distance between the row spans of two matrices."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array


def subspace_distance(A: ArrayLike, B: ArrayLike) -> float:
    """Distance between the spans of the rows of A and of B, ``||P_A - P_B||_F / sqrt(2 k)``.

    ``P_A`` is the orthogonal projector on the span of the rows of A and k the larger of the two
    dimensions: 0 for the same span, 1 for orthogonal ones, and ``|sin(angle)|`` for two lines. Only spans
    count, not the rows that describe them.

    Parameters
    ----------
    A : array-like of shape (n_directions_a, n_features)
        Rows that span the first subspace, for example ``components_``.
    B : array-like of shape (n_directions_b, n_features)
        Rows that span the second one.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the numbers of columns differ, or a matrix is zero and spans nothing.

    Examples
    --------
    >>> from sklearn_derand.metrics import subspace_distance
    >>> subspace_distance([[1.0, 0.0]], [[-3.0, 0.0]])
    0.0
    >>> round(subspace_distance([[1.0, 0.0]], [[1.0, 1.0]]), 4)
    0.7071
    """
    bases = []
    for name, rows in (("A", A), ("B", B)):
        rows = check_array(rows, dtype=np.float64, input_name=name)
        _, values, basis = np.linalg.svd(rows, full_matrices=False)
        rank = int(np.sum(values > values[0] * max(rows.shape) * np.finfo(np.float64).eps))
        if rank == 0:
            raise ValueError(f"{name} is a matrix of zeros and spans nothing; give at least one non-zero row.")
        bases.append(basis[:rank])
    first, second = bases
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"A has {first.shape[1]} columns and B has {second.shape[1]}; both must live in the same space."
        )
    k = max(len(first), len(second))
    # sin^2 summed over principal angles; written as residuals, since 1 - cos^2 loses half the digits.
    outside = np.linalg.norm(first - (first @ second.T) @ second) ** 2
    outside += np.linalg.norm(second - (second @ first.T) @ first) ** 2
    return float(min(1.0, np.sqrt(outside / (2.0 * k))))
