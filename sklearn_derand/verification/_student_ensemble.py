"""Several students whose mean predicts, and the wide one that they make, in numpy."""

import numpy as np
from scipy import linalg


def n_members(estimator) -> int:
    """Tell how many students predict: their hidden units lie side by side."""
    return estimator.coefs_[0].shape[1] // int(np.atleast_1d(estimator.hidden_layer_sizes)[0])


def side_by_side(members) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Join (coefs, intercepts) of the members into those of the student whose output is their mean."""
    coefs = [list(layer) for layer in zip(*(coefs for coefs, _ in members), strict=True)]
    intercepts = [list(layer) for layer in zip(*(intercepts for _, intercepts in members), strict=True)]
    wide = [np.hstack(coefs[0]), *(linalg.block_diag(*layer) for layer in coefs[1:-1])]
    wide.append(np.vstack(coefs[-1]) / len(members))
    return wide, [*map(np.concatenate, intercepts[:-1]), np.mean(intercepts[-1], axis=0)]
