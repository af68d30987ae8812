"""Weights in units of their own: what is done to ``W`` and to ``c * W`` is the same."""

import math
from dataclasses import replace

import numpy as np
from scipy import sparse

EPS = np.finfo(np.float64).eps


class WeightUnits:
    """The weights divided by their unit, and the way back for what is found with them.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Finite.
    """

    def __init__(self, weights):
        from sklearn_derand.problems.weighted_graph import weight_unit

        self.given = weights
        data, sizes = weights.data, np.abs(weights.data)
        self.unit = weight_unit(data) if weights.nnz else 1.0
        multiples = np.rint(data / self.unit)
        exact = np.all(np.abs(data - self.unit * multiples) <= 4 * EPS * sizes)
        scaled = multiples if exact else data / self.unit
        self.weights = sparse.csr_array((scaled, weights.indices, weights.indptr), shape=weights.shape)
        # What the division rounded, and what the sum of a cut may round where the unit is no power of two.
        self.error = float(np.abs(data - self.unit * scaled).sum())
        if weights.nnz and math.frexp(self.unit)[0] != 0.5:
            self.error += 16 * EPS * float(sizes.sum())

    def at_most(self, cut):
        """Return an upper bound of a cut of the given weights, from one in units."""
        return self.unit * cut + self.error

    def at_least(self, cut):
        """Return a lower bound of a cut of the given weights, from one in units."""
        return self.unit * cut - self.error

    def certificate(self, found, initial_value):
        """Return a certificate for the given weights: values, derivatives and tolerances times the unit."""
        scaled = (
            "value", "gradient_norm", "min_eigenvalue", "min_eigenvalue_bound", "tol", "curvature_tol",
            "gradient_mismatch", "rounding_floor", "lipschitz_measured",
        )  # fmt: skip
        values = {name: self.unit * getattr(found, name) for name in scaled}
        return replace(found, **values, initial_value=initial_value)
