r"""Quadratic problems in bits or signs as maximum cut, with the way back.

With one more node for the linear terms, whose sign is +1 by convention, an Ising energy is
``sum_{i<j} w_ij s_i s_j``, and the cut of the signs is ``(sum_{i<j} w_ij - energy) / 2``: the largest cut is the least
energy (F. Barahona, M. Juenger, G. Reinelt, 1989).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import check_array, column_or_1d


@dataclass(frozen=True)
class CutToProblem:
    """The way back from a cut to the problem that the graph was made from.

    Attributes
    ----------
    offset : float
        The objective is ``offset - 2 * cut``.
    n_variables : int
        Variables of the problem.
    n_nodes : int
        Nodes of the graph: one more where there are linear terms.
    binary : bool
        Whether variables are bits 0, 1, or signs -1, 1.
    """

    offset: float
    n_variables: int
    n_nodes: int
    binary: bool

    def solution(self, labels: ArrayLike) -> np.ndarray:
        """Return the variables of a labelling.

        Parameters
        ----------
        labels : array-like of shape (n_nodes,)
            Two labels. The last node's is +1, or bit 1, where the graph has a node for linear terms; else the first
            node's is.

        Returns
        -------
        variables : ndarray of shape (n_variables,), int64
            Bits or signs.

        Raises
        ------
        ValueError
            If the number of labels is not that of the nodes.
        """
        labels = column_or_1d(labels)
        if labels.shape[0] != self.n_nodes:
            raise ValueError(f"labels has {labels.shape[0]} entries for a graph of {self.n_nodes} nodes.")
        reference = labels[-1] if self.n_nodes > self.n_variables else labels[0]
        up = labels[: self.n_variables] == reference
        return np.where(up, 1, 0 if self.binary else -1).astype(np.int64)

    def value(self, cut: float) -> float:
        """Return the objective of a cut; of an upper bound on cuts, a lower bound on the objective.

        Parameters
        ----------
        cut : float
            For example ``cut_value_`` or ``upper_bound_``.

        Returns
        -------
        value : float
            ``offset - 2 * cut``.
        """
        return self.offset - 2 * cut


def ising_to_graph(J: ArrayLike | sparse.sparray, h: ArrayLike | None = None) -> tuple[sparse.csr_array, CutToProblem]:
    """Turn ``min_s sum_{i<j} J_ij s_i s_j + sum_i h_i s_i`` over signs into a maximum cut.

    Parameters
    ----------
    J : array-like or sparse matrix of shape (n, n)
        Couplings, symmetric or strictly upper triangular: each pair counts once. The diagonal adds the constant
        ``sum J_ii``.
    h : array-like of shape (n,) or None, default=None
        Fields. If any is not zero, the graph has a node more, the last.

    Returns
    -------
    W : csr_array of shape (n, n) or (n + 1, n + 1)
        Weights for ``DerandMaxCut(metric="precomputed")``.
    back : CutToProblem
        ``back.solution(labels)`` are the signs and ``back.value(cut)`` is the energy.

    Raises
    ------
    ValueError
        If ``J`` is neither symmetric nor strictly upper triangular, not square, or ``h`` of another length.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_derand import DerandMaxCut
    >>> from sklearn_derand.datasets import ising_to_graph
    >>> W, back = ising_to_graph([[0, 1, 1], [0, 0, 1], [0, 0, 0]], h=[0.5, 0, 0])
    >>> cut = DerandMaxCut(metric="precomputed", random_state=0).fit(W)
    >>> int(back.solution(cut.labels_)[0]), back.value(cut.cut_value_)
    (-1, -1.5)
    """
    J = _square("J", J)
    lower = sparse.tril(J, -1)
    upper = sparse.coo_array(sparse.triu(J, 1))
    if lower.nnz and abs(J - J.T).max() > 0:
        raise ValueError("J must be symmetric or strictly upper triangular, so that each pair counts once.")
    return _graph(upper, _field(h, J.shape[0]), float(J.diagonal().sum()), binary=False)


def qubo_to_graph(Q: ArrayLike | sparse.sparray) -> tuple[sparse.csr_array, CutToProblem]:
    """Turn ``min_x x' Q x`` over bits into a maximum cut.

    Parameters
    ----------
    Q : array-like or sparse matrix of shape (n, n)
        Of any symmetry; both triangles count. For a maximum, pass ``-Q`` and change the sign of the value.

    Returns
    -------
    W : csr_array of shape (n, n) or (n + 1, n + 1)
        Weights for ``DerandMaxCut(metric="precomputed")``.
    back : CutToProblem
        ``back.solution(labels)`` are the bits and ``back.value(cut)`` is ``x' Q x``.

    Examples
    --------
    >>> from sklearn_derand import DerandMaxCut
    >>> from sklearn_derand.datasets import qubo_to_graph
    >>> W, back = qubo_to_graph([[-1, 2], [0, -1]])
    >>> cut = DerandMaxCut(metric="precomputed", random_state=0).fit(W)
    >>> int(back.solution(cut.labels_).sum()), back.value(cut.cut_value_)
    (1, -1.0)
    """
    Q = _square("Q", Q)
    diagonal = Q.diagonal()
    pairs = sparse.coo_array(0.25 * sparse.triu(Q + Q.T, 1))
    # x = (1 + s) / 2, so x_i x_j = (1 + s_i + s_j + s_i s_j) / 4.
    h = diagonal / 2
    np.add.at(h, pairs.row, pairs.data)
    np.add.at(h, pairs.col, pairs.data)
    return _graph(pairs, h, float(diagonal.sum() / 2 + pairs.data.sum()), binary=True)


def _graph(
    upper: sparse.coo_array, h: np.ndarray, constant: float, binary: bool
) -> tuple[sparse.csr_array, CutToProblem]:
    n = h.size
    linear = np.flatnonzero(h)
    size = n + 1 if linear.size else n
    rows, cols = np.concatenate([upper.row, linear]), np.concatenate([upper.col, np.full(linear.size, n)])
    data = np.concatenate([upper.data, h[linear]])
    half = sparse.coo_array((data, (rows, cols)), shape=(size, size))
    return sparse.csr_array(half + half.T), CutToProblem(constant + float(data.sum()), n, size, binary)


def _square(name: str, matrix: ArrayLike | sparse.sparray) -> sparse.csr_array:
    matrix = check_array(matrix, accept_sparse=["csr", "csc", "coo"], dtype=np.float64, input_name=name)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be square; got shape {matrix.shape}.")
    return sparse.csr_array(matrix)


def _field(h: ArrayLike | None, n: int) -> np.ndarray:
    if h is None:
        return np.zeros(n)
    h = column_or_1d(check_array(h, ensure_2d=False, dtype=np.float64, input_name="h"))
    if h.shape[0] != n:
        raise ValueError(f"h has {h.shape[0]} entries for the {n} rows of J; give one a row.")
    return h
