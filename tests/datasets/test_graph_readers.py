"""The three formats, their oddities, and errors that name the line."""

import gzip

import numpy as np
import pytest
from scipy import io, sparse

from sklearn_derand.datasets import make_graph, read_graph

TRIANGLE = np.array([[0, 1, 2.5], [1, 0, -1], [2.5, -1, 0]])

SAME = {
    "rudy": "3 3\n1 2 1\n2 3 -1\n1 3 2.5\n",
    "crlf, tabs, blank lines": "3 3\r\n\r\n1\t2\t1\r\n2 3   -1\r\n1 3 2.5\r\n\r\n",
    "trailing tokens and comments": "# made\n% by hand\nc too\n3 3 extra\n1 2 1 x y\n// here\n3 2 -1\n1 3 2.5 #end\n",
    "loops, a missing weight, no end of line": "3 5\n1 2\n2 3 -1\n1 3 2.5\n2 2 7\n3 3 1",
    "byte order mark": "\ufeff3 3\n1 2 1\n2 3 -1\n1 3 2.5\n",
    "dimacs": "c hello\np edge 3 3\ne 1 2\ne 3 2 -1\ne 1 3 2.5\n",
    "dimacs, both directions": "p col 3 6\nn 1 5\ne 1 2\ne 2 1\ne 3 2 -1\ne 2 3 -1\ne 1 3 2.5\ne 3 1 2.5\n",
    "matrix market": "%%MatrixMarket matrix coordinate real symmetric\n%c\n3 3 4\n1 1 9\n2 1 1\n3 2 -1\n3 1 2.5\n",
    "matrix market, general": "%%MatrixMarket matrix array real general\n3 3\n0\n1\n2.5\n1\n0\n-1\n2.5\n-1\n0\n",
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("zipped", [False, True])
def test_same_graph_in_every_format(name, zipped, tmp_path):
    raw = SAME[name].encode()
    (tmp_path / "graph").write_bytes(gzip.compress(raw) if zipped else raw)
    W = read_graph(tmp_path / "graph")
    assert W.format == "csr" and W.dtype == np.float64
    np.testing.assert_array_equal(W.toarray(), TRIANGLE)


def test_round_trip(tmp_path):
    W = make_graph("gnm", n_nodes=50, n_edges=200, weights="signed", random_state=0)
    upper = sparse.coo_array(sparse.triu(W))
    lines = [f"{i + 1} {j + 1} {w:g}" for i, j, w in zip(upper.row, upper.col, upper.data, strict=True)]
    (tmp_path / "g.txt").write_text("\n".join(["50 200", *lines]))
    io.mmwrite(tmp_path / "g.mtx", W.tocoo(), symmetry="symmetric")
    for name in ("g.txt", "g.mtx"):
        assert (read_graph(str(tmp_path / name)) != W).nnz == 0


def test_no_edges(tmp_path):
    for text in ("4 0\n", "p edge 4 0\n"):
        (tmp_path / "empty").write_text(text)
        assert read_graph(tmp_path / "empty").shape == (4, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("three 3\n", "line 1: expected 'n_nodes n_edges', got 'three 3'"),
        ("3\n1 2 1\n", "line 1: expected 'n_nodes n_edges'"),
        ("0 0\n", "not sizes of a graph"),
        ("3 1\n1 x 1\n", "line 2: expected 'i j weight', got '1 x 1'"),
        ("3 1\n\n0 2 1\n", "line 3: nodes are numbered 1 to 3, got 0 and 2"),
        ("3 1\n1 4 1\n", "line 2: nodes are numbered 1 to 3"),
        ("3 1\n1 2 nan\n", "line 2: the weight nan is not finite"),
        ("3 2\n1 2 1\n", "announces 2 edges, the file has 1"),
        ("3 2\n1 2 1\n2 1 1\n", "line 3: the edge 1 2 was already given in line 2"),
        ("p edge 3\ne 1 2\n", "line 1: expected 'p edge n_nodes n_edges'"),
        ("p edge 3 1\np edge 3 1\ne 1 2\n", "line 2: a second problem line"),
        ("p edge 3 2\ne 1 2 1\ne 2 1 2\n", "line 3: the edge 1 2 was given with another weight"),
        ("%%MatrixMarket matrix coordinate real general\n3 3 1\n1 2 1\n", "not symmetric"),
        ("%%MatrixMarket matrix coordinate real general\n3 2 1\n1 2 1\n", "square"),
        ("%%MatrixMarket nonsense\n", "not a MatrixMarket file"),
    ],
)
def test_bad_files(text, message, tmp_path):
    (tmp_path / "bad").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_graph(tmp_path / "bad")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_graph(tmp_path / "nowhere.txt")
