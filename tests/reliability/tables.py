"""Tables and graphs as users have them: hypothesis strategies and the containers they come in."""

import os

import numpy as np
import scipy.sparse as sp
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st

SPARSE_FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")


SEED = os.environ.get("RELIABILITY_SEED")
TIMES = float(os.environ.get("RELIABILITY_TIMES", "1"))
"""Other examples than the fixed ones, and more of them: see docs/reliability.rst."""


def examples(n):
    """The same ``n`` examples in every run, however long one takes."""
    chosen = settings(
        max_examples=max(1, round(n * TIMES)), derandomize=SEED is None, database=None, deadline=None,
        suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    return lambda test: chosen(test if SEED is None else seed(int(SEED))(test))


@st.composite
def tables(draw, min_rows=1):
    """A small table: hypothesis chooses its scale, offset, structure and type; its entries come from a seed."""
    n, d = draw(st.integers(min_rows, 12)), draw(st.integers(1, 6))
    rng = np.random.RandomState(draw(st.integers(0, 1000)))
    X = rng.standard_normal((n, d))
    for structure in draw(st.sets(st.sampled_from(sorted(STRUCTURES)), max_size=2)):
        X = STRUCTURES[structure](X, rng)
    scale = 10.0 ** draw(st.sampled_from([0, 0, -12, -6, -3, 3, 6, 12]))
    X = scale * (X + draw(st.sampled_from([0.0, 0.0, 1.0, -1e3, 1e6, 1e9])))
    kind = draw(st.sampled_from(["float64", "float64", "float32", "float16", "int64", "int8", "bool"]))
    if kind == "bool":
        return X > np.median(X)
    if np.abs(X).max() > {"float16": 6e4, "int8": 1e9, "int64": 2.0**62}.get(kind, np.inf):
        kind = "float64"
    return X.clip(-128, 127).astype(kind) if kind == "int8" else X.astype(kind)


def _repeat_rows(X, rng):
    return X[rng.randint(max(1, len(X) // 2), size=len(X))]


def _fix_column(X, rng):
    return np.where(np.arange(X.shape[1]) == 0, 3.0, X)


def _repeat_columns(X, rng):
    return X @ np.ones((X.shape[1], X.shape[1])) if rng.rand() < 0.3 else X[:, rng.randint(X.shape[1], size=X.shape[1])]


def _nearly_repeat(X, rng):
    return X + 1e-8 * rng.standard_normal(X.shape) if len(X) < 2 else np.vstack([X[:-1], X[:1] + 1e-9])


def _outlier(X, rng):
    return np.vstack([X[:-1], 1e6 * X[-1:]])


def _columns_of_many_units(X, rng):
    return X * 10.0 ** rng.randint(-4, 5, size=X.shape[1])


def _mostly_zero(X, rng):
    return X * (rng.rand(*X.shape) < 0.3)


STRUCTURES = {
    "repeated rows": _repeat_rows,
    "constant column": _fix_column,
    "collinear columns": _repeat_columns,
    "nearly repeated row": _nearly_repeat,
    "outlier": _outlier,
    "many units": _columns_of_many_units,
    "mostly zero": _mostly_zero,
}


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def memory_mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def strided(X):
    return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]


def as_pandas(X):
    import pandas as pd

    return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])


def as_polars(X):
    import polars as pl

    # A square array in Fortran order is taken for columns otherwise.
    return pl.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])], orient="row")


CONTAINERS = {
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "strided": strided,
    "list": np.ndarray.tolist,
    "objects": lambda X: X.astype(object),
    "pandas": as_pandas,
    "polars": as_polars,
}


def to_sparse(X, form, index_type="int32", kind="array"):
    """A sparse array or matrix with the given type of indices, where the format lets them be chosen."""
    made = (sp.coo_array if kind == "array" else sp.coo_matrix)(X).asformat(form)
    for name in ("indices", "indptr", "offsets", "row", "col"):
        if name in vars(made):
            setattr(made, name, getattr(made, name).astype(index_type))
    return made


def contained(X, container):
    """A table in a dense container, or in a sparse format with a type of index; without a type that has no float16."""
    if isinstance(container, str):
        return X if X.dtype == np.float16 and container == "polars" else CONTAINERS[container](X)
    return to_sparse(X.astype(np.float32) if X.dtype == np.float16 else X, *container)


@st.composite
def graphs(draw):
    """Symmetric weights of up to 14 nodes, by topology, kind of weight and scale."""
    n = draw(st.integers(2, 14))
    rng = np.random.RandomState(draw(st.integers(0, 1000)))
    edges = np.triu(TOPOLOGIES[draw(st.sampled_from(sorted(TOPOLOGIES)))](n, rng), 1)
    weights = edges * WEIGHTS[draw(st.sampled_from(sorted(WEIGHTS)))]((n, n), rng)
    if draw(st.booleans()) and np.count_nonzero(weights) > 1:
        i, j = np.argwhere(weights)[-1]
        weights[i, j] -= weights.sum()
    weights = weights * 10.0 ** draw(st.sampled_from([0, 0, 0, -100, -12, -3, 3, 12, 100]))
    weights = weights + weights.T
    if draw(st.booleans()):
        weights = weights + np.diag(rng.standard_normal(n) * 10)
    return weights


def _tree(n, rng):
    edges = np.zeros((n, n))
    for i in range(1, n):
        edges[rng.randint(i), i] = 1
    return edges


def _star(n, rng):
    return (np.arange(n) == 0)[:, None] * np.ones((n, n))


def _bipartite(n, rng):
    return np.not_equal.outer(np.arange(n) % 2, np.arange(n) % 2)


def _disconnected(n, rng):
    return np.equal.outer(np.arange(n) % 3, np.arange(n) % 3)


def _cycle(n, rng):
    return np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1)


TOPOLOGIES = {
    "empty": lambda n, rng: np.zeros((n, n)),
    "complete": lambda n, rng: np.ones((n, n)),
    "random": lambda n, rng: rng.rand(n, n) < 0.6,
    "sparse": lambda n, rng: rng.rand(n, n) < 0.2,
    "tree": _tree,
    "star": _star,
    "bipartite": _bipartite,
    "disconnected": _disconnected,
    "cycle": _cycle,
}
WEIGHTS = {
    "ones": lambda shape, rng: np.ones(shape),
    "minus ones": lambda shape, rng: -np.ones(shape),
    "signs": lambda shape, rng: rng.choice([-1.0, 1.0], size=shape),
    "normal": lambda shape, rng: rng.standard_normal(shape),
    "integers": lambda shape, rng: rng.randint(-9, 10, size=shape).astype(float),
    "many magnitudes": lambda shape, rng: rng.standard_normal(shape) * 10.0 ** rng.randint(-12, 13, size=shape),
}
