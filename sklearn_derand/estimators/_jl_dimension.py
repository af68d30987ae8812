"""The smallest number of components whose distortion, verified on all fitted pairs, is at most eps."""

import numpy as np


def smallest_dimension(attempt, lowest, highest, first):
    """Search for the smallest k at which an attempt succeeds, the highest being known to.

    Distortion falls with k, so the search is a bisection on a logarithmic scale from a guess. An attempt that fails
    at one k may only mean that its descent fell short there; it is not repeated.

    Parameters
    ----------
    attempt : callable
        ``k -> result``, ``None`` for failure.
    lowest : int
        Below it no map can succeed.
    highest : int
        Known to succeed.
    first : int
        The first guess.

    Returns
    -------
    k : int
        The smallest success found: its predecessor failed, or is below ``lowest``.
    result
        Of the attempt there; ``None`` where that is ``highest``, which is not attempted.
    """
    result, guess = None, first
    while lowest < highest:
        k = int(np.clip(guess, lowest, highest - 1))
        found = attempt(k)
        if found is None:
            lowest = k + 1
            guess = min(round(1.3 * k) + 1, (lowest + highest) // 2) if result is None else (lowest + highest) // 2
        else:
            highest, result = k, found
            guess = max(round(k / 1.3), (lowest + highest) // 2) if k == first else (lowest + highest) // 2
    return highest, result
