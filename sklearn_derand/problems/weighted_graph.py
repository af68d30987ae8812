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


def weight_unit(data):
    """Return what to measure weights in: the largest number that all are integer multiples of, else the largest weight.

    ``unit(c * data) = c * unit(data)`` up to rounding, and ``data / unit`` is the same for every ``c > 0``: integers,
    if they are multiples. A common divisor below a ten thousandth of the largest weight is not looked for, since
    rounding may hide it.

    Parameters
    ----------
    data : ndarray of shape (n_entries,)
        Finite, not all zero.

    Returns
    -------
    unit : float
        Positive.
    """
    magnitudes = np.abs(data)
    largest = float(magnitudes.max())
    # Weights without a common divisor mostly show it in their first thousand.
    for sample in (magnitudes[:1000], magnitudes):
        divisor = _common_divisor(sample[sample > 0], largest)
        if divisor is None:
            return largest
    unit = largest / round(largest / divisor)
    close = np.abs(magnitudes - unit * np.rint(magnitudes / unit)) <= 4 * np.finfo(np.float64).eps * magnitudes
    return unit if close.all() else largest


def _common_divisor(magnitudes, largest):
    # Euclid's algorithm on all at once, with the remainder nearest to zero.
    divisor = largest
    while divisor > 1e-4 * largest:
        remainders = np.abs(magnitudes - divisor * np.rint(magnitudes / divisor))
        remainders = remainders[remainders > 1e-8 * largest]
        if remainders.size == 0:
            return divisor
        divisor = float(remainders.min())
    return None


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
