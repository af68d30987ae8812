r"""From a law of labellings to one labelling that is no worse.

At ``V = 0`` the signs are independent with means ``s``, and ``E cut = sum w_ij (1 - s_i s_j) / 2`` is linear in each
``s_i``: putting ``s_i = -sign(sum_j w_ij s_j)`` one after the other never lowers it (the method of conditional
expectations, P. Erdos and J. Selfridge, 1973). Vertices without a common edge may be set at once, so the graph is
split into independent sets. The same sweep on signs is one-flip local search.

For the law of a random hyperplane the same idea takes the normals one by one: ``E cut(V, mu)`` is the mean over
``s ~ N(0, 1)`` of ``E cut(V without its last column, mu + s * last column)``, so some ``s`` is no worse.
"""

import numpy as np
import torch

from sklearn_derand.special import gauss_hermite, sign_product

DENSE_SHARE = 0.25
"""Share of non-zero weights above which independent sets are not looked for: each vertex is its own."""


def independent_sets(weights):
    """Split the vertices into sets without an edge inside.

    Each set takes the vertices whose priority (a fixed random order) beats that of all neighbours left
    (M. T. Jones, P. E. Plassmann, SIAM J. Sci. Comput. 14, 1993).

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal.

    Returns
    -------
    sets : list of (ndarray, csr_array, ndarray)
        Vertices of each set, their rows of ``weights``, and 1e-12 of the sum of absolute weights of each: a gain
        below it is rounding.
    """
    n = weights.shape[0]
    if weights.nnz > DENSE_SHARE * n * n:
        return [_set_of(weights, np.array([i])) for i in range(n)]
    priority = np.random.RandomState(0).permutation(n).astype(np.int64)
    occupied = np.flatnonzero(np.diff(weights.indptr))
    starts = weights.indptr[occupied]
    left = np.ones(n, dtype=bool)
    sets = []
    while left.any():
        rank = np.where(left, priority, -1)
        rival = np.full(n, -1)
        if occupied.size:
            rival[occupied] = np.maximum.reduceat(rank[weights.indices], starts)
        chosen = np.flatnonzero(left & (rank > rival))
        left[chosen] = False
        sets.append(_set_of(weights, chosen))
    return sets


def _set_of(weights, vertices):
    rows = weights[vertices]
    return vertices, rows, 1e-12 * abs(rows).sum(axis=1)[:, None]


def round_means(sets, means):
    """Conditional expectations: fix the mean signs to +-1 without lowering the multilinear expected cut.

    Parameters
    ----------
    sets : list of (ndarray, csr_array, ndarray)
        As from :func:`independent_sets`.
    means : ndarray of shape (n_nodes, n_replicas)
        Mean signs in [-1, 1]; left alone.

    Returns
    -------
    signs : ndarray of shape (n_nodes, n_replicas)
        Of +-1.
    """
    signs = np.array(means, dtype=np.float64)
    for vertices, rows, _ in sets:
        field = rows @ signs
        tie = np.where(signs[vertices] < 0, -1.0, 1.0)
        signs[vertices] = np.where(field == 0, tie, -np.sign(field))
    return signs


def one_flip(sets, signs, out_of_time=None):
    """Flip vertices while a single flip raises the cut.

    Parameters
    ----------
    sets : list of (ndarray, csr_array, ndarray)
        As from :func:`independent_sets`.
    signs : ndarray of shape (n_nodes, n_replicas)
        Of +-1; left alone.
    out_of_time : callable or None, default=None
        Stop after a sweep when it returns true; without it the result is one-flip optimal, up to gains within
        rounding of zero.

    Returns
    -------
    signs : ndarray of shape (n_nodes, n_replicas)
        No cut is lower than before.
    """
    signs = np.array(signs, dtype=np.float64)
    moving = True
    while moving and not (out_of_time is not None and out_of_time()):
        moving = False
        for vertices, rows, scale in sets:
            current = signs[vertices]
            flip = current * (rows @ signs) > scale
            if flip.any():
                signs[vertices] = np.where(flip, -current, current)
                moving = True
    return signs


def condition_on_normals(rows, cols, weights, vectors, *, n_grid=15):
    """Derandomise hyperplane rounding: fix one standard normal after the other, the least important first.

    Parameters
    ----------
    rows, cols : Tensor of shape (n_edges,)
        Ends of the edges, each edge once.
    weights : Tensor of shape (n_edges,)
        Their weights.
    vectors : Tensor of shape (n_nodes, rank)
        Unit rows, float64.
    n_grid : int, default=15
        Gauss-Hermite nodes tried for each normal, then refined; all but the last are chosen by value, so the
        promise "no worse than the mean" holds up to the search. The last is enumerated exactly.

    Returns
    -------
    signs : ndarray of shape (n_nodes,)
        Of +-1.
    """
    edges = (rows, cols, weights)
    _, _, right = torch.linalg.svd(vectors, full_matrices=False)
    vectors = vectors @ right.T
    mean = torch.zeros(vectors.shape[0], dtype=vectors.dtype, device=vectors.device)
    for k in range(vectors.shape[1] - 1, 0, -1):
        rest, column = vectors[:, :k], vectors[:, k]
        if column.abs().max() < 1e-14:
            continue
        grid = np.asarray(gauss_hermite(n_grid)[0])
        spacing = grid[1] - grid[0]
        best, shift = -np.inf, 0.0
        for _ in range(3):
            values = [_expected_cut(edges, mean + float(s) * column, rest) for s in grid]
            if max(values) > best:
                best, shift = max(values), float(grid[int(np.argmax(values))])
            grid, spacing = shift + spacing * np.linspace(-0.8, 0.8, 5), spacing * 0.4
        mean = mean + shift * column
    return _best_line_point(edges, mean.cpu().numpy(), vectors[:, 0].cpu().numpy())


def _expected_cut(edges, mean, vectors):
    # Hard signs: a vertex without noise left has its mean's sign, that is, a scaled mean far out in the tail.
    rows, cols, weights = edges
    spread = vectors.norm(dim=1)
    scaled = torch.where(mean < 0, -1.0, 1.0) * (mean.abs() / spread.clamp_min(1e-300)).clamp_max(40.0)
    scaled = torch.where(spread > 0, scaled, torch.where(mean < 0, -40.0, 40.0).to(mean))
    directions = vectors / spread.clamp_min(1e-300)[:, None]
    correlation = (directions[rows] * directions[cols]).sum(dim=1).clamp(-1, 1)
    return (0.5 * torch.sum(weights * (1 - sign_product(scaled[rows], scaled[cols], correlation)))).item()


def _best_line_point(edges, mean, column):
    # sign(mean + s column) changes at s = -mean / column only: walk through all of them, one vertex at a time.
    rows, cols, weights = (part.cpu().numpy() for part in edges)
    moving = np.flatnonzero(column)
    order = moving[np.argsort(-mean[moving] / column[moving])]
    signs = np.where(mean < 0, -1.0, 1.0)
    signs[moving] = -np.sign(column[moving])  # s = -inf
    step = np.full(mean.size, np.inf)
    step[order] = np.arange(order.size)
    # An edge with both ends moving changes state at the earlier of its two steps and back at the later.
    product = signs[rows] * signs[cols]
    change = np.zeros(order.size + 1)
    for ends, sense in ((np.minimum(step[rows], step[cols]), 1.0), (np.maximum(step[rows], step[cols]), -1.0)):
        finite = np.isfinite(ends)
        np.add.at(change, ends[finite].astype(np.int64), sense * (weights * product)[finite])
    n_passed = 0 if change.size == 1 else int(np.argmax(np.concatenate([[0.0], np.cumsum(change[:-1])])))
    signs[order[:n_passed]] *= -1
    return signs
