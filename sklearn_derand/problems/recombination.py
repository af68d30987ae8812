r"""Combine several labellings into one that is at least as good as each.

Neighbours whose relative side is the same in all parents are tied together. What is left between the tied groups is a
maximum cut again, with groups for vertices: all parents, and all their combinations, are labellings of it. On sparse
graphs it mostly reduces exactly (:mod:`~sklearn_derand.problems.reduction`) to little or nothing, so the best
combination of all is found outright. Tying by agreement is due to J. Houdayer and O. Martin, "Renormalization for
discrete optimization", Phys. Rev. Lett. 83 (1999) 1030-1033.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from sklearn_derand.problems.reduction import reduce_graph
from sklearn_derand.problems.weighted_graph import cut_values


def tie(weights, parents):
    """Tie neighbours together that all parents agree on.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal.
    parents : ndarray of shape (n_nodes, n_parents)
        Of +-1.

    Returns
    -------
    tied : csr_array of shape (n_groups, n_groups)
        Weights between the groups, symmetric to the last bit.
    lift : csr_array of shape (n_nodes, n_groups)
        ``lift @ signs`` are the signs of the vertices. Cuts differ from those of ``tied`` by a constant.
    groups : ndarray of shape (n_groups, n_parents)
        The parents as signs of the groups; the first is all ones.
    """
    entries = weights.tocoo()
    alike = np.abs(np.einsum("er,er->e", parents[entries.row], parents[entries.col])) == parents.shape[1]
    ends = entries.row[alike], entries.col[alike]
    agreed = sparse.coo_array((np.ones(ends[0].size), ends), shape=weights.shape)
    n_groups, group = connected_components(agreed, directed=False)
    n = weights.shape[0]
    lift = sparse.csr_array((parents[:, 0], (np.arange(n), group)), shape=(n, n_groups))
    # The two entries of an edge are sums in different orders, of which one may cancel: one half speaks for both.
    half = sparse.triu(lift.T @ weights @ lift, k=1, format="csr")
    half.eliminate_zeros()
    tied = sparse.csr_array(half + half.T)
    _, first = np.unique(group, return_index=True)
    return tied, lift, parents[first] * parents[first, :1]


def combine(weights, parents, improve):
    """Search the combinations of the parents.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal.
    parents : ndarray of shape (n_nodes, n_parents)
        Of +-1.
    improve : callable
        ``(weights, signs) -> signs``: a search on what the exact reduction leaves, from the parents as they are there.

    Returns
    -------
    child : ndarray of shape (n_nodes,)
        Its cut is at least that of every parent.
    """
    tied, lift, groups = tie(weights, parents)
    small = reduce_graph(tied)
    starts = groups[small.kept]
    found = np.column_stack([starts, improve(small.weights, starts)]) if small.kept.size else np.zeros((0, 1))
    children = lift @ np.column_stack([small.extend(found), groups])
    return children[:, int(np.argmax(cut_values(weights, children)))]
