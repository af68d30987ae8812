"""Numbers whose squares leave float64 are refused before any work."""

import numpy as np
from scipy import sparse

LARGEST, SMALLEST = 1e150, 1e-150
"""Squares between 1e-300 and 1e300 are exact to rounding, and a sum of 1e8 of them does not overflow."""


def check_magnitude(values, name: str, each_column: bool = False) -> None:
    """Refuse numbers above 1e150 and variation, other than none, below 1e-150.

    Parameters
    ----------
    values : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Finite; only differences between rows are going to matter.
    name : str
        As the user knows them.
    each_column : bool, default=False
        Whether each column is measured in its own units, so that none may vary too little.

    Raises
    ------
    ValueError
        Naming the magnitude and the remedy.
    """
    stored = values.data if sparse.issparse(values) else values
    largest = float(np.abs(stored).max(initial=0.0))
    if largest > LARGEST:
        raise ValueError(
            f"{name} holds numbers up to {largest:.2g}, whose squares overflow float64; "
            f"divide {name} by a constant such as {largest:.0e}."
        )
    if sparse.issparse(values):
        spread = np.array([largest])
    else:
        spread = np.ptp(values, axis=0) if values.size else np.zeros(1)
    spread = spread if each_column else spread.max(keepdims=True)
    small = (spread > 0) & (spread < SMALLEST)
    if small.any():
        least = float(spread[small].min())
        raise ValueError(
            f"{name} varies by {least:.2g} only, whose square underflows float64; "
            f"divide {name} by a constant such as {least:.0e}."
        )
