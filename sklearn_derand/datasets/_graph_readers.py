"""Readers of public graph formats: rudy (Gset), MatrixMarket and DIMACS."""

import gzip
import io
import os
import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

Line: TypeAlias = tuple[int, list[str]]
"""Its number in the file and its words."""

COMMENTS = ("#", "%", "//")

MOST_NODES = 100_000_000
"""Above so many nodes the row pointers alone take a gigabyte, whatever the size of the file."""

EXPANSION, SMALL = 100, 1 << 24
"""A gzipped file may hold so many times its own size, and 16 MiB in any case: lists of edges shrink to a tenth."""


def read_graph(path: str | os.PathLike[str]) -> sparse.csr_array:
    r"""Read a weighted graph.

    Parameters
    ----------
    path : str or path-like
        A text file, gzipped or not. The format is told by the content, not by the name:

        * *MatrixMarket*, if it begins with ``%%MatrixMarket``; a general matrix must be symmetric;
        * *DIMACS* ``.col`` or ``.edge``, if a line begins with ``p ``: edges ``e i j``, with an optional weight; an
          edge given in both directions counts once, and since some public files announce each edge twice, a file
          that holds half of what it announces passes for whole;
        * else *rudy*, the format of Gset: ``n_nodes n_edges``, then ``i j weight`` (1 where missing), 1-based; each
          edge once. Lines that begin with ``#``, ``%``, ``//`` or ``c`` are comments; further tokens are ignored.

    Returns
    -------
    W : csr_array of shape (n_nodes, n_nodes)
        Symmetric weights, float64, without loops.

    Raises
    ------
    ValueError
        With the number of the line that cannot be read; or if a gzipped file is damaged, or holds more than 100 times
        its own size.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_derand.datasets import read_graph
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(folder + "/triangle.txt", "w") as file:
    ...         _ = file.write("3 3\n1 2 1\n2 3 -1\n1 3 2\n")
    ...     W = read_graph(folder + "/triangle.txt")
    >>> W.toarray()
    array([[ 0.,  1.,  2.],
           [ 1.,  0., -1.],
           [ 2., -1.,  0.]])
    """
    path = Path(path)
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = _decompress(raw, path)
    text = raw.decode("utf-8", errors="replace").removeprefix("\ufeff")
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, words) for number, words in lines if words]
    if lines and lines[0][1][0] == "%%MatrixMarket":
        return _read_matrix_market(lines, path)
    lines = [(number, words) for number, words in lines if not words[0].startswith(COMMENTS)]
    if any(words[0] == "p" for _, words in lines):
        return _read_dimacs(lines, path)
    return _read_rudy([(number, words) for number, words in lines if words[0] != "c"], path)


def _decompress(raw: bytes, path: Path) -> bytes:
    most = max(SMALL, EXPANSION * len(raw))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            text = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: the gzipped file is damaged or cut short: {error}") from error
    if len(text) > most:
        raise ValueError(f"{path}: {len(raw)} bytes expand to more than {most}; unzip the file if that is right.")
    return text


def _read_matrix_market(lines: list[Line], path: Path) -> sparse.csr_array:
    # Not by scipy.io.mmread, which makes room for what a header announces and may crash on a damaged file.
    form, field, symmetry = _banner(lines[0][1], path)
    lines = [(number, words) for number, words in lines[1:] if not words[0].startswith("%")]
    n_nodes, n_entries = _matrix_market_sizes(lines, form, symmetry, path)
    if n_entries != len(lines) - 1:
        raise ValueError(f"{path}: the header announces {n_entries} entries, the file has {len(lines) - 1}.")
    if form == "coordinate":
        n_words = 2 if field == "pattern" else 3
        rows, cols = np.empty(n_entries, dtype=np.int64), np.empty(n_entries, dtype=np.int64)
        values = np.ones(n_entries)
        for k, (number, words) in enumerate(lines[1:]):
            if len(words) != n_words:
                raise ValueError(f"{path}, line {number}: expected {n_words} numbers, got {_quote(words)}.")
            rows[k], cols[k], values[k] = _ends_and_weight(number, words, n_nodes, path)
    else:
        # Column by column; of a symmetric matrix from the diagonal down.
        cols, rows = np.indices((n_nodes, n_nodes)).reshape(2, -1)
        stored = rows >= cols if symmetry == "symmetric" else np.ones(rows.size, dtype=bool)
        rows, cols = rows[stored], cols[stored]
        values = np.array([_weight(number, words, path) for number, words in lines[1:]])
    W = sparse.csr_array(sparse.coo_array((values, (rows, cols)), shape=(n_nodes, n_nodes)))
    if symmetry == "symmetric":
        W = W + W.T
        W.setdiag(0.0)
    elif abs(W - W.T).max() > 0:
        raise ValueError(f"{path}: the matrix is not symmetric; read it with scipy.io.mmread and pass W + W.T.")
    upper = sparse.coo_array(sparse.triu(W, 1))
    return _assemble(upper.row, upper.col, upper.data, n_nodes, path)


def _banner(words: list[str], path: Path) -> list[str]:
    """Return format, field and symmetry of a MatrixMarket file."""
    words = [word.lower() for word in words[1:5]]
    known = (("matrix",), ("coordinate", "array"), ("real", "integer", "pattern", "double"), ("general", "symmetric"))
    if len(words) != 4 or any(word not in allowed for word, allowed in zip(words, known, strict=True)):
        raise ValueError(
            f"{path}: not a MatrixMarket file of a graph: expected 'matrix', 'coordinate' or 'array', 'real', "
            f"'integer' or 'pattern', 'general' or 'symmetric', got {_quote(words)}."
        )
    return words[1:]


def _matrix_market_sizes(lines: list[Line], form: str, symmetry: str, path: Path) -> tuple[int, int]:
    """Return the number of nodes and of stored entries."""
    if not lines:
        raise ValueError(f"{path}: not a MatrixMarket file: the line of sizes is missing.")
    number, words = lines[0]
    try:
        n_rows, n_cols, *n_entries = (int(word) for word in words)
        if len(n_entries) != (form == "coordinate"):
            raise ValueError
    except ValueError:
        raise ValueError(f"{path}, line {number}: not sizes of a MatrixMarket file: {_quote(words)}.") from None
    if n_rows != n_cols:
        raise ValueError(f"{path}: a graph needs a square matrix, this one has shape {_quote(words[:2])}.")
    if not 1 <= n_rows <= MOST_NODES or min(n_entries, default=0) < 0:
        raise ValueError(
            f"{path}, line {number}: the sizes {_quote(words)} are not those of a graph with 1 to {MOST_NODES} nodes."
        )
    if form == "coordinate":
        return n_rows, n_entries[0]
    return n_rows, n_rows**2 if symmetry == "general" else n_rows * (n_rows + 1) // 2


def _quote(words: list[str]) -> str:
    """Return the words of a line as text of bounded length."""
    line = " ".join(words)
    return repr(line if len(line) <= 60 else line[:57] + "...")


def _read_rudy(lines: list[Line], path: Path) -> sparse.csr_array:
    if not lines:
        raise ValueError(f"{path}: the file is empty; a rudy file begins with a line 'n_nodes n_edges'.")
    n_nodes, n_edges = _header(*lines[0], path, skip=0)
    edges = [_edge(number, words, n_nodes, path) for number, words in lines[1:]]
    if len(edges) != n_edges:
        raise ValueError(f"{path}: the header announces {n_edges} edges, the file has {len(edges)}.")
    seen: dict[tuple[int, int], int] = {}
    for (number, _), (low, high, _) in zip(lines[1:], edges, strict=True):
        if seen.setdefault((low, high), number) != number:
            raise ValueError(
                f"{path}, line {number}: the edge {low + 1} {high + 1} was already given in line {seen[low, high]}."
            )
    if not edges:
        return sparse.csr_array((n_nodes, n_nodes))
    rows, cols, data = zip(*edges, strict=True)
    return _assemble(rows, cols, data, n_nodes, path)


def _read_dimacs(lines: list[Line], path: Path) -> sparse.csr_array:
    headers = [(number, words) for number, words in lines if words[0] == "p"]
    if len(headers) > 1:
        raise ValueError(f"{path}, line {headers[1][0]}: a second problem line 'p'.")
    n_nodes, n_edges = _header(*headers[0], path, skip=2)
    n_lines = sum(words[0] == "e" for _, words in lines)
    if n_edges > 2 * n_lines:
        raise ValueError(f"{path}: the header announces {n_edges} edges, the file has {n_lines}.")
    edges: dict[tuple[int, int], float] = {}
    for number, words in lines:
        if words[0] == "e":
            low, high, weight = _edge(number, words[1:], n_nodes, path)
            if edges.setdefault((low, high), weight) != weight:
                raise ValueError(f"{path}, line {number}: the edge {low + 1} {high + 1} was given with another weight.")
    if not edges:
        return sparse.csr_array((n_nodes, n_nodes))
    rows, cols = zip(*edges, strict=True)
    return _assemble(rows, cols, tuple(edges.values()), n_nodes, path)


def _header(number: int, words: list[str], path: Path, skip: int) -> tuple[int, int]:
    try:
        n_nodes, n_edges = int(words[skip]), int(words[skip + 1])
    except (IndexError, ValueError):
        form = "'n_nodes n_edges'" if skip == 0 else "'p edge n_nodes n_edges'"
        raise ValueError(f"{path}, line {number}: expected {form}, got {_quote(words)}.") from None
    if not 1 <= n_nodes <= MOST_NODES or n_edges < 0:
        raise ValueError(
            f"{path}, line {number}: n_nodes={_quote([words[skip]])} and n_edges={_quote([words[skip + 1]])} are not "
            f"sizes of a graph with 1 to {MOST_NODES} nodes."
        )
    return n_nodes, n_edges


def _edge(number: int, words: list[str], n_nodes: int, path: Path) -> tuple[int, int, float]:
    i, j, weight = _ends_and_weight(number, words, n_nodes, path)
    return min(i, j), max(i, j), weight


def _ends_and_weight(number: int, words: list[str], n_nodes: int, path: Path) -> tuple[int, int, float]:
    try:
        i, j = int(words[0]), int(words[1])
    except (IndexError, ValueError):
        raise ValueError(f"{path}, line {number}: expected 'i j weight', got {_quote(words)}.") from None
    if not (1 <= i <= n_nodes and 1 <= j <= n_nodes):
        raise ValueError(f"{path}, line {number}: nodes are numbered 1 to {n_nodes}, got {i} and {j}.")
    return i - 1, j - 1, _weight(number, words[2:3], path) if len(words) > 2 else 1.0


def _weight(number: int, words: list[str], path: Path) -> float:
    try:
        (word,) = words
        weight = float(word)
    except ValueError:
        raise ValueError(f"{path}, line {number}: expected 'i j weight' or one weight, got {_quote(words)}.") from None
    if not np.isfinite(weight):
        raise ValueError(f"{path}, line {number}: the weight {weight} is not finite.")
    return weight


def _assemble(rows: ArrayLike, cols: ArrayLike, data: ArrayLike, n_nodes: int, path: Path) -> sparse.csr_array:
    rows, cols, data = np.asarray(rows), np.asarray(cols), np.asarray(data, dtype=np.float64)
    if not np.isfinite(data).all():
        raise ValueError(f"{path}: a weight is not finite.")
    kept = (rows != cols) & (data != 0)
    upper = sparse.coo_array((data[kept], (rows[kept], cols[kept])), shape=(n_nodes, n_nodes))
    return sparse.csr_array(upper + upper.T)
