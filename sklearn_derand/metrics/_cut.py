"""The weight that a labelling cuts, from arrays."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import check_array, column_or_1d


def cut_value(W: ArrayLike | sparse.sparray, labels: ArrayLike) -> float:
    """Total weight between the two sides: ``sum_{i<j} W_ij [labels_i != labels_j]``.

    Parameters
    ----------
    W : array-like or sparse matrix of shape (n_nodes, n_nodes)
        Symmetric weights, of any sign. The diagonal is ignored. Symmetry is not verified: of an asymmetric
        matrix the mean of both triangles is counted.
    labels : array-like of shape (n_nodes,)
        Two values at most.

    Returns
    -------
    cut : float
        The value of the cut.

    Raises
    ------
    ValueError
        If ``W`` is not square, the lengths differ, or there are more than two labels.

    Examples
    --------
    >>> from sklearn_derand.metrics import cut_value
    >>> cut_value([[0, 1, 2], [1, 0, 3], [2, 3, 0]], [0, 1, 0])
    4.0
    """
    W = check_array(W, accept_sparse=["csr", "csc", "coo"], dtype=np.float64)
    labels = column_or_1d(labels)
    if W.shape[0] != W.shape[1]:
        raise ValueError(f"W must be square (n_nodes, n_nodes); got shape {W.shape}.")
    if labels.shape[0] != W.shape[0]:
        raise ValueError(f"labels has {labels.shape[0]} entries for the {W.shape[0]} nodes of W; give one a node.")
    values, side = np.unique(labels, return_inverse=True)
    if values.size > 2:
        raise ValueError(f"labels must take at most two values; got {values.size} of them.")
    if sparse.issparse(W):
        W = W.tocoo()
        return 0.5 * float(W.data[side[W.row] != side[W.col]].sum())
    return 0.5 * float(W[side == 0][:, side == 1].sum() + W[side == 1][:, side == 0].sum())
