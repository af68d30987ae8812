"""Maps whose singular values are drawn together: fitted to few points, they spread too far.

A map ``M = U diag(s) V^T`` that was descended on a sample has longer and shorter directions than one descended on all
points would have, as the eigenvalues of a sample covariance spread further than the true ones (Ledoit and Wolf 2004).
``U diag(s^a) V^T``, ``0 < a < 1``, keeps the directions and takes off some of that. With many points beside the
dimension, or where new points lie in directions that the fitted ones do not show, it costs more than it gives, so that
``a`` is chosen by the points set aside.
"""

import numpy as np
from scipy import linalg

EXPONENTS = (1.0, 0.9, 0.8, 0.7)
"""Of the singular values, the least shrunk first."""


def shrinkages(components, exponents):
    """Return the matrices that raise the singular values of a map to powers, up to a scale.

    Parameters
    ----------
    components : ndarray of shape (k, d)
        ``M = U diag(s) V^T``.
    exponents : tuple of float
        Positive.

    Returns
    -------
    list of ndarray of shape (k, k)
        ``P`` with ``P M = U diag(s^a) V^T``, symmetric; the identity for ``a = 1``.
    """
    values, vectors = linalg.eigh(components @ components.T)
    # Rows beyond the rank are 0 and stay so, times any finite number.
    values = np.maximum(values, 1e-12 * values[-1] + np.finfo(float).tiny)
    return [np.eye(len(values)) if a == 1 else (vectors * values ** ((a - 1) / 2)) @ vectors.T for a in exponents]
