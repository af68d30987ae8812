r"""Remove vertices whose best side is a function of their neighbours': an exact, smaller maximum cut.

* *Degree at most 3.* Given the sides of the neighbours, the best gain of the vertex is a function of at most three
  signs that does not change when all are flipped: four values, so a constant and three edges between the neighbours
  carry it exactly (the star-triangle transformation of the Ising model at zero temperature).
* *Dominance.* An edge at least as heavy as all other edges of the vertex together settles it against that
  neighbour (J.-H. Lange, B. Andres, P. Swoboda, "Combinatorial persistency criteria for multicut and max-cut",
  CVPR 2019): the two are contracted.

Each cut of the small graph extends to one of the given graph whose value is larger by a constant, and the best to a
best; so upper bounds carry over as well, and are often below the relaxation of the given graph.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

MAX_DEGREE = 3
"""Four neighbours would need a term of four signs, which is not a cut."""


@dataclass(frozen=True)
class Reduction:
    """A smaller graph and the way back.

    Attributes
    ----------
    weights : csr_array of shape (n_kept, n_kept)
        The small graph.
    kept : ndarray of shape (n_kept,)
        Its vertices in the given graph.
    offset : float
        What every extended cut gains.
    removed : list of (int, list of (int, float))
        Vertices in the order of their removal, each with its neighbours and weights at that time.
    n_nodes : int
        Vertices of the given graph.
    """

    weights: sparse.csr_array
    kept: np.ndarray
    offset: float
    removed: list
    n_nodes: int

    def extend(self, signs):
        """Extend signs, or vectors, of the small graph to the given one.

        Parameters
        ----------
        signs : ndarray of shape (n_kept, k)
            ``k`` labellings of +-1.

        Returns
        -------
        signs : ndarray of shape (n_nodes, k)
            Each removed vertex on its best side.
        """
        full = np.ones((self.n_nodes, signs.shape[1]))
        full[self.kept] = signs
        for vertex, neighbours in reversed(self.removed):
            full[vertex] = np.where(_pull(full, neighbours) > 0, -1.0, 1.0)
        return full

    def extend_vectors(self, vectors):
        """Extend unit vectors: each removed vertex gets the best unit vector given its neighbours.

        Parameters
        ----------
        vectors : ndarray of shape (n_kept, rank)
            Unit rows.

        Returns
        -------
        vectors : ndarray of shape (n_nodes, rank)
            Unit rows. The mean cut of a random hyperplane through them is at most ``offset`` more than on the small
            graph, since there the removed vertices take their best sides.
        """
        full = np.zeros((self.n_nodes, vectors.shape[1]))
        full[:, 0] = 1.0
        full[self.kept] = vectors
        for vertex, neighbours in reversed(self.removed):
            pull = _pull(full, neighbours)
            norm = np.linalg.norm(pull)
            if norm > 0:
                full[vertex] = -pull / norm
        return full


def _pull(full, neighbours):
    if not neighbours:
        return np.zeros(full.shape[1])
    return sum(weight * full[other] for other, weight in neighbours)


def reduce_graph(weights):
    """Remove vertices until every one left has four neighbours or more and no dominant edge.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal, no stored zeros.

    Returns
    -------
    Reduction
    """
    n = weights.shape[0]
    magnitude = abs(weights)
    heaviest = magnitude.max(axis=1).toarray().ravel() if weights.nnz else np.zeros(n)
    degrees = np.diff(weights.indptr)
    start = np.flatnonzero((degrees <= MAX_DEGREE) | (2 * heaviest >= magnitude.sum(axis=1)))
    if start.size == 0:
        return Reduction(weights, np.arange(n), 0.0, [], n)
    graph = _Graph(weights)
    waiting, queued = start.tolist(), np.zeros(n, dtype=bool)
    queued[start] = True
    while waiting:
        vertex = waiting.pop()
        queued[vertex] = False
        for other in graph.try_to_remove(vertex):
            if not queued[other]:
                queued[other] = True
                waiting.append(other)
    kept = np.flatnonzero([neighbours is not None for neighbours in graph.neighbours])
    return Reduction(graph.matrix(kept), kept, graph.offset, graph.removed, n)


class _Graph:
    def __init__(self, weights):
        ends, cols, data = weights.indptr.tolist(), weights.indices.tolist(), weights.data.tolist()
        spans = list(zip(ends, ends[1:], strict=False))
        self.neighbours = [dict(zip(cols[a:b], data[a:b], strict=True)) for a, b in spans]
        self.offset = 0.0
        self.removed = []

    def try_to_remove(self, vertex):
        """Remove the vertex if a rule applies; return the vertices that this touched."""
        around = self.neighbours[vertex]
        if around is None:
            return ()
        if len(around) <= MAX_DEGREE:
            return self._replace_by_edges(vertex, list(around.items()))
        heaviest = max(around, key=lambda other: abs(around[other]))
        if 2 * abs(around[heaviest]) >= sum(map(abs, around.values())):
            return self._contract(vertex, heaviest, list(around.items()))
        return ()

    def _replace_by_edges(self, vertex, around):
        self._detach(vertex, around, around)
        if len(around) == 1:
            self.offset += max(0.0, around[0][1])
        elif len(around) == 2:
            (a, wa), (b, wb) = around
            together = max(0.0, wa + wb)
            self.offset += together
            self._add(a, b, max(wa, wb) - together)
        elif len(around) == 3:
            (a, wa), (b, wb), (c, wc) = around
            together = max(0.0, wa + wb + wc)
            without_a, without_b, without_c = max(wa, wb + wc), max(wb, wa + wc), max(wc, wa + wb)
            self.offset += together
            self._add(a, b, (without_a + without_b - without_c - together) / 2)
            self._add(a, c, (without_a + without_c - without_b - together) / 2)
            self._add(b, c, (without_b + without_c - without_a - together) / 2)
        return [other for other, _ in around]

    def _contract(self, vertex, heaviest, around):
        weight = self.neighbours[vertex][heaviest]
        self._detach(vertex, around, [(heaviest, weight)])
        opposite = weight > 0
        self.offset += max(0.0, weight)
        for other, w in around:
            if other != heaviest:
                self.offset += w if opposite else 0.0
                self._add(heaviest, other, -w if opposite else w)
        return [other for other, _ in around]

    def _detach(self, vertex, around, deciding):
        for other, _ in around:
            del self.neighbours[other][vertex]
        self.neighbours[vertex] = None
        self.removed.append((vertex, deciding))

    def _add(self, a, b, weight):
        total = self.neighbours[a].get(b, 0.0) + weight
        if total != 0.0:
            self.neighbours[a][b] = self.neighbours[b][a] = total
        elif b in self.neighbours[a]:
            del self.neighbours[a][b], self.neighbours[b][a]

    def matrix(self, kept):
        """Return the weights between the vertices kept."""
        position = np.full(len(self.neighbours), -1)
        position[kept] = np.arange(kept.size)
        around = [self.neighbours[vertex] for vertex in kept]
        sizes = np.array([len(each) for each in around], dtype=np.int64)
        cols = position[np.array([other for each in around for other in each], dtype=np.int64)]
        data = np.array([weight for each in around for weight in each.values()], dtype=np.float64)
        matrix = sparse.csr_array((data, cols, np.concatenate([[0], np.cumsum(sizes)])), shape=(kept.size,) * 2)
        matrix.sort_indices()
        return matrix
