"""What every step on a weighted graph needs: its edges once each, and the cuts of many labellings."""

import math

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


def binary_unit(data):
    """Return the power of two at or below the largest magnitude, 1 if there is none.

    Dividing by it is exact, and keeps squares in float32 from overflowing.

    Parameters
    ----------
    data : ndarray or Tensor of shape (n_entries,)
        Finite.

    Returns
    -------
    unit : float
    """
    largest = float(abs(data).max()) if len(data) else 0.0
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest > 0 else 1.0


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
