"""What every step on a weighted graph needs: its edges once each, and the cuts of many labellings."""

import numpy as np


def upper_edges(weights):
    """Return rows, columns and weights of the edges ``i < j``.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric.

    Returns
    -------
    rows, cols : ndarray of shape (n_edges,)
        Ends.
    data : ndarray of shape (n_edges,)
        Weights.
    """
    entries = weights.tocoo()
    upper = entries.row < entries.col
    return entries.row[upper], entries.col[upper], entries.data[upper]


def cut_values(weights, signs):
    """Cut of each column of signs.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal.
    signs : ndarray of shape (n_nodes, n_replicas)
        Of +-1.

    Returns
    -------
    cuts : ndarray of shape (n_replicas,)
        ``sum_{i<j} w_ij (1 - s_i s_j) / 2``.
    """
    return 0.25 * (weights.sum() - np.einsum("ir,ir->r", signs, weights @ signs))
