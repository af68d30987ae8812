r"""An upper bound on every cut, from any unit vectors.

With ``L`` the weighted Laplacian and any ``y``,

.. math:: \mathrm{maxcut} \le \sum_i y_i - n\,\ell \quad\text{for every}\quad
          \ell \le \lambda_{\min}(\mathrm{Diag}(y) - L / 4),

because a cut is ``x' L x / 4`` with ``x`` of signs, so ``sum y - cut = x' (Diag(y) - L/4) x >= n l``. The best ``y``
for given unit vectors is ``y_i = ((L / 4) V)_i . v_i``; then ``Diag(y) - L/4 = (W + Diag(c)) / 4`` with
``c_i = -(W V)_i . v_i``, and ``sum y`` is the value of the relaxation.

The eigenvalue is bounded from *below*: by a factorisation whose pivots are all positive where that is affordable,
else by what the caller passes in (Lanczos from a random start, with its failure probability). A Ritz value minus its
residual is no bound: a small residual places some eigenvalue, not the least.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import eigh_tridiagonal, lapack
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import splu

DENSE_LIMIT = 3000
"""Largest order that is factorised densely: 72 MB and about 0.7 s an attempt."""

ENVELOPE_SHARE = 0.1
"""Share of a full matrix that the envelope (after reverse Cuthill-McKee) may fill for SuperLU: grids and the like."""

DENSE_SHARE, FILL_LIMIT = 0.1, 8_000_000
"""Other matrices are eliminated until this share is not zero and the rest is factorised densely, unless it is larger
than ``DENSE_LIMIT`` or has more entries than this on the way."""


@dataclass(frozen=True)
class DualBound:
    """An upper bound on the maximum cut and where it comes from.

    Attributes
    ----------
    value : float
        The bound.
    method : {"dense", "sparse", "lanczos"}
        How the eigenvalue was bounded.
    failure_probability : float
        0.0 for a factorisation.
    """

    value: float
    method: str
    failure_probability: float


def dual_bound(weights, vectors, lanczos, *, relative_accuracy=2e-5):
    """Bound the maximum cut from above.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal, any sign.
    vectors : ndarray of shape (n_nodes, rank)
        Unit rows, float64; the closer to the optimum of the relaxation, the tighter the bound. Never invalid.
    lanczos : callable
        ``(matrix, accuracy) -> (lower_bound, failure_probability)`` of the least eigenvalue of a sparse matrix;
        called only where no factorisation is affordable. ``accuracy`` is a wish.
    relative_accuracy : float, default=2e-5
        Slack given away at once, relative to ``sum |w|``; the bound is looser only as far as ``vectors`` are.

    Returns
    -------
    DualBound
        Rounding included.
    """
    n = weights.shape[0]
    magnitude = float(np.abs(weights.data).sum())
    if magnitude == 0:
        return DualBound(0.0, "dense", 0.0)
    along = np.einsum("ij,ij->i", weights @ vectors, vectors)
    total = float(np.sum(np.asarray(weights.sum(axis=1)).ravel() - along)) / 4
    slack_matrix = ((weights - sparse.diags_array(along)) * 0.25).tocsc()
    allowance = relative_accuracy * magnitude / 2 / n
    factorise, method = _factorisation(slack_matrix)
    least, probability = _shift_by_trial(slack_matrix, factorise, allowance), 0.0
    if least is None:
        least, probability = lanczos(slack_matrix, 10 * allowance)
        method = "lanczos"
    # n l and the sums above, in float64: n + 64 units in the last place of their magnitudes.
    rounding = (n + 64) * np.finfo(np.float64).eps * magnitude
    return DualBound(total - n * min(least, 0.0) + rounding, method, probability)


def round_down_if_integer(bound, weights):
    """Round an upper bound down to an integer if all weights are integers: so is every cut.

    Parameters
    ----------
    bound : float
        Valid for ``weights``.
    weights : csr_array
        Of the graph that the bound is for.

    Returns
    -------
    bound : float
        Still valid.
    """
    return float(np.floor(bound)) if np.all(weights.data == np.rint(weights.data)) else float(bound)


def _factorisation(matrix):
    n = matrix.shape[0]
    if n <= 200 or matrix.nnz > DENSE_SHARE * n * n:
        return _eliminated_positive, "dense"
    pattern = sparse.csr_array(matrix)
    order = reverse_cuthill_mckee(pattern, symmetric_mode=True)
    position = np.empty(n, dtype=np.int64)
    position[order] = np.arange(n)
    entries = pattern.tocoo()
    reach = np.arange(n)
    np.minimum.at(reach, position[entries.row], position[entries.col])
    envelope = int(np.sum(np.arange(n) - reach))
    return (_sparse_positive if envelope <= ENVELOPE_SHARE * n * n else _eliminated_positive), "sparse"


def _shift_by_trial(matrix, factorise, allowance):
    # Positive pivots of S + d I show lambda_min(S) >= -d up to rounding. The first d is a guess from the Ritz value,
    # which costs little and need not be right; if it fails, d grows.
    # None where no factorisation is affordable.
    n = matrix.shape[0]
    eps = np.finfo(np.float64).eps
    ceiling = float(np.max(np.abs(matrix).sum(axis=1)))  # Gershgorin: always sufficient
    shift = max(0.0, -1.02 * _ritz_value(matrix.tocsr())) + allowance
    step = 0.5 * shift
    while shift < ceiling:
        positive = factorise(matrix + shift * sparse.eye_array(n, format="csc"))
        if positive is None:
            return None
        if positive:
            break
        shift, step = shift + step, 2 * step
    shift = min(shift, ceiling)
    return -shift - 4 * (n + 1) * eps * float(np.sum(np.abs(matrix.diagonal())) + n * shift)


def _ritz_value(matrix, n_products=150):
    # Plain Lanczos: losing orthogonality repeats Ritz values but does not move the extreme one. A guess, no bound.
    n = matrix.shape[0]
    vector = np.random.RandomState(0).standard_normal(n)
    vector /= np.linalg.norm(vector)
    previous, off, diagonal, beside = np.zeros(n), 0.0, [], []
    for _ in range(min(n, n_products)):
        product = matrix @ vector - off * previous
        diagonal.append(float(product @ vector))
        product -= diagonal[-1] * vector
        off = float(np.linalg.norm(product))
        if off <= 1e-14 * abs(diagonal[0]) or off == 0:
            break
        beside.append(off)
        previous, vector = vector, product / off
    beside = beside[: len(diagonal) - 1]
    return float(eigh_tridiagonal(diagonal, beside, select="i", select_range=(0, 0), eigvals_only=True)[0])


def _eliminated_positive(matrix):
    # Independent sets of vertices of few neighbours are eliminated at once, S_RR - S_RI D^-1 S_IR, and what is left is
    # factorised densely: the pivots of L D L' in some order. On random graphs several times as fast as SuperLU, whose
    # factors are dense there. None where it is not affordable.
    left = sparse.csr_array(matrix)
    ties = np.random.RandomState(0).permutation(matrix.shape[0]) / matrix.shape[0]
    while left.shape[0] > 200 and left.nnz < DENSE_SHARE * left.shape[0] ** 2:
        if left.nnz > FILL_LIMIT:
            return None
        diagonal = left.diagonal()
        if not diagonal.min() > 0:
            return False
        degrees = np.diff(left.indptr)
        rank = degrees + ties[: left.shape[0]]
        row = np.repeat(np.arange(left.shape[0]), degrees)
        rival = np.minimum.reduceat(np.where(left.indices == row, np.inf, rank[left.indices]), left.indptr[:-1])
        chosen = (rank < rival) & (degrees <= 2 * degrees.min() + 1)
        rows = left[np.flatnonzero(~chosen)]
        beside = rows[:, np.flatnonzero(chosen)]
        left = sparse.csr_array(rows[:, np.flatnonzero(~chosen)] - (beside * (1 / diagonal[chosen])) @ beside.T)
    if left.shape[0] > DENSE_LIMIT:
        return None
    return left.shape[0] == 0 or lapack.dpotrf(left.toarray(), lower=1, overwrite_a=1)[1] == 0


def _sparse_positive(matrix):
    # No pivoting off the diagonal, one permutation for rows and columns: L U = L D L', and D > 0 shows A > 0.
    try:
        factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:  # exactly singular
        return False
    return bool(np.array_equal(factors.perm_r, factors.perm_c) and factors.U.diagonal().min() > 0)
