"""Random weighted graphs of the kinds on which maximum cut is studied."""

import math
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from scipy.spatial import Delaunay
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.random import sample_without_replacement


@validate_params(
    {
        "kind": [StrOptions({"gnp", "gnm", "toroidal", "planar"})],
        "n_nodes": [Interval(Integral, 2, None, closed="left")],
        "density": [Interval(Real, 0, 1, closed="both"), None],
        "n_edges": [Interval(Integral, 0, None, closed="left"), None],
        "weights": [StrOptions({"unit", "signed"})],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_graph(
    kind: str = "gnp",
    *,
    n_nodes: int = 100,
    density: float | None = None,
    n_edges: int | None = None,
    weights: str = "unit",
    random_state: int | np.random.RandomState | None = None,
) -> sparse.csr_array:
    """Make a random weighted graph.

    Parameters
    ----------
    kind : {"gnp", "gnm", "toroidal", "planar"}, default="gnp"
        ``"gnp"``: each pair is an edge with probability ``density``. ``"gnm"``: ``n_edges`` distinct pairs, uniformly.
        ``"toroidal"``: the grid on a torus whose sides are the two factors of ``n_nodes`` nearest to each other, both
        at least 3. ``"planar"``: the Delaunay triangulation of uniform points in a square.
    n_nodes : int, default=100
        Number of nodes.
    density : float or None, default=None
        For ``"gnp"``; ``None`` is ``min(1, 6 / n_nodes)``.
    n_edges : int or None, default=None
        For ``"gnm"``; ``None`` is ``3 * n_nodes``, or all pairs if there are fewer.
    weights : {"unit", "signed"}, default="unit"
        All 1, or 1 and -1 with equal probability.
    random_state : int, RandomState instance or None, default=None
        Source of randomness.

    Returns
    -------
    W : csr_array of shape (n_nodes, n_nodes)
        Symmetric weights, float64, zero diagonal.

    Raises
    ------
    ValueError
        If a number does not fit the kind.

    Examples
    --------
    >>> from sklearn_derand.datasets import make_graph
    >>> W = make_graph("toroidal", n_nodes=12, weights="signed", random_state=0)
    >>> W.shape, W.nnz // 2
    ((12, 12), 24)
    """
    if density is not None and kind != "gnp":
        raise ValueError(f"density={density!r} belongs to kind='gnp'; with kind={kind!r} leave it out.")
    if n_edges is not None and kind != "gnm":
        raise ValueError(f"n_edges={n_edges!r} belongs to kind='gnm'; with kind={kind!r} leave it out.")
    rng = check_random_state(random_state)
    n_pairs = n_nodes * (n_nodes - 1) // 2
    if kind == "gnp":
        rows, cols = _pairs(rng.binomial(n_pairs, min(1.0, 6 / n_nodes) if density is None else density), n_pairs, rng)
    elif kind == "gnm":
        n_edges = min(3 * n_nodes, n_pairs) if n_edges is None else n_edges
        if n_edges > n_pairs:
            raise ValueError(f"n_edges={n_edges} is more than the {n_pairs} pairs of n_nodes={n_nodes}; ask for fewer.")
        rows, cols = _pairs(n_edges, n_pairs, rng)
    else:
        rows, cols = _torus(n_nodes) if kind == "toroidal" else _triangulation(n_nodes, rng)
    data = np.ones(rows.size) if weights == "unit" else rng.choice([-1.0, 1.0], rows.size)
    upper = sparse.coo_array((data, (rows, cols)), shape=(n_nodes, n_nodes))
    return sparse.csr_array(upper + upper.T)


def _pairs(n_edges: int, n_pairs: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    # Pair number c = j (j - 1) / 2 + i with i < j; the square root may be one off.
    codes = np.sort(sample_without_replacement(n_pairs, n_edges, random_state=rng)).astype(np.int64)
    high = ((1 + np.sqrt(1 + 8.0 * codes)) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > codes
    high += high * (high + 1) // 2 <= codes
    return codes - high * (high - 1) // 2, high


def _torus(n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    height = next((k for k in range(math.isqrt(n_nodes), 2, -1) if n_nodes % k == 0), None)
    if height is None:
        raise ValueError(
            f"kind='toroidal' needs n_nodes with two factors of at least 3, got n_nodes={n_nodes}; "
            "take a multiple of 3 above 6."
        )
    node = np.arange(n_nodes).reshape(height, -1)
    rows = np.concatenate([node.ravel(), node.ravel()])
    return rows, np.concatenate([np.roll(node, -1, axis=0).ravel(), np.roll(node, -1, axis=1).ravel()])


def _triangulation(n_nodes: int, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    if n_nodes < 4:
        raise ValueError(f"kind='planar' needs at least 4 nodes, got n_nodes={n_nodes}.")
    corners = Delaunay(rng.uniform(size=(n_nodes, 2))).simplices
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]), axis=1)
    edges = np.unique(edges, axis=0)
    return edges[:, 0], edges[:, 1]
