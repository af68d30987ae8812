"""``read_graph`` on damaged and hostile files; fitted estimators read back by a reader that trusts little."""

import gzip
import io
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import assert_same_state, fit_or_refuse
from tables import examples

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.datasets import read_graph

RUDY = b"4 3\n1 2 1\n2 3 -2.5\n4 1 3\n"
DIMACS = b"c made\np edge 4 3\ne 1 2\ne 2 3 -2.5\ne 4 1 3\n"
MARKET = b"%%MatrixMarket matrix coordinate real symmetric\n% made\n4 4 3\n2 1 1\n3 2 -2.5\n4 1 3\n"
DENSE_MARKET = b"%%MatrixMarket matrix array real symmetric\n3 3\n0\n1\n2\n0\n3\n0\n"
GOOD = [RUDY, DIMACS, MARKET, DENSE_MARKET, gzip.compress(RUDY, mtime=0), gzip.compress(MARKET, mtime=0)]

TOKENS = st.sampled_from(
    [b"1", b"2", b"3", b"0", b"-1", b"4 3", b"\n", b" ", b"p edge 4 3\n", b"e 1 2\n", b"e", b"p", b"c", b"%", b"#"]
    + [
        b"nan",
        b"inf",
        b"1e400",
        b"-1e-400",
        b"9" * 30,
        b"9" * 5000,
        b"1_0",
        b"0x1",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ]
    + [b"%%MatrixMarket", b"matrix", b"coordinate", b"array", b"real", b"complex", b"pattern", b"integer", b"general"]
    + [b"symmetric", b"hermitian", b"skew-symmetric", b"4 4 3\n", b"4 4\n", b"4 4 99999999999\n", b"\x1f\x8b"]
)


@st.composite
def damaged(draw):
    """A good file with some bytes cut out, repeated, changed or put in."""
    raw = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 8)))
        raw[start:end] = draw(st.one_of(TOKENS, st.binary(max_size=4), st.just(bytes(raw[start:end]) * 3)))
    return bytes(raw)


FILES = st.one_of(damaged(), st.binary(max_size=60), st.lists(TOKENS, max_size=12).map(b" ".join))


def _read(raw, folder):
    path = folder / "graph"
    path.write_bytes(raw)
    return read_graph(path)


def _graph_or_error(raw, folder):
    """A symmetric, finite graph without loops; or a ValueError that names the file, in bounded memory."""
    tracemalloc.start()
    try:
        W = _read(raw, folder)
    except ValueError as error:
        assert str(error).startswith(f"{folder / 'graph'}") and type(error) is ValueError
        assert len(str(error)) < 10_000
    else:
        assert W.format == "csr" and W.dtype == np.float64 and W.shape[0] == W.shape[1] >= 1
        assert np.isfinite(W.data).all() and not W.diagonal().any()
        assert abs(W - W.T).sum() == 0
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 * 10**9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


@examples(400)
@given(raw=FILES)
def test_any_file_is_a_graph_or_a_clear_error(raw, folder):
    _graph_or_error(raw, folder)


@pytest.mark.slow
@examples(20_000)
@given(raw=FILES)
def test_many_files_are_graphs_or_clear_errors(raw, folder):
    _graph_or_error(raw, folder)


@pytest.mark.parametrize("raw", GOOD)
def test_good_files_are_read(raw, folder):
    assert _read(raw, folder).nnz == 6


@pytest.mark.parametrize("raw", [RUDY, MARKET, DENSE_MARKET])
def test_no_file_cut_short_within_its_numbers_passes_for_whole(raw, folder):
    # The last line is "... 3" or "0": without it an edge or an entry is missing, whatever its weight.
    with pytest.raises(ValueError, match=r"edges|entries"):
        _read(raw[: raw.rstrip().rfind(b"\n") + 1], folder)


@pytest.mark.parametrize("length", range(0, len(gzip.compress(RUDY, mtime=0))))
def test_no_gzipped_file_cut_short_passes(length, folder):
    with pytest.raises(ValueError, match="graph"):
        _read(gzip.compress(RUDY, mtime=0)[:length], folder)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"999999999999 0\n", "sizes of a graph with 1 to 100000000 nodes"),
        (b"9" * 5000 + b" 0\n", "expected 'n_nodes n_edges'"),
        (b"3 999999999999\n1 2 1\n", "announces 999999999999 edges, the file has 1"),
        (b"3 -1\n1 2 1\n", "not sizes"),
        (b"-3 1\n1 2 1\n", "not sizes"),
        (b"3 1\n-1 2 1\n", "line 2: nodes are numbered 1 to 3"),
        (b"3 1\n1 2 1e400\n", "line 2: the weight inf is not finite"),
        (b"p edge 999999999999 1\ne 1 2\n", "sizes of a graph"),
        (b"p edge 3 1\ne -1 2\n", "line 2: nodes are numbered"),
        (b"p edge 3 3\ne 1 2\n", "announces 3 edges, the file has 1"),
        (b"%%MatrixMarket matrix coordinate real general\n3 3 99999999999\n1 2 1\n", "announces 99999999999 entries"),
        (b"%%MatrixMarket matrix coordinate real general\n999999999 999999999 1\n1 2 1\n", "not those of a graph"),
        (b"%%MatrixMarket matrix array real general\n90000 90000\n1\n", "announces 8100000000 entries"),
        (b"%%MatrixMarket matrix coordinate real general\n3 3 -1\n", "not those of a graph"),
        (b"%%MatrixMarket matrix coordinate real general\n0 0 0\n", "not those of a graph"),
        (b"%%MatrixMarket matrix coordinate real symmetric\n3 3 1\n4 1 1\n", "line 3: nodes are numbered 1 to 3"),
        (b"%%MatrixMarket matrix coordinate real symmetric\n3 3 1\n-2 1 1\n", "line 3: nodes"),
        (b"%%MatrixMarket matrix coordinate complex symmetric\n3 3 1\n2 1 1 1\n", "complex"),
        (b"%%MatrixMarket matrix coordinate real symmetric\n3 3 1\n2 1\n", "line 3: expected 3 numbers"),
        (b"%%MatrixMarket matrix array real symmetric\n2 2\n1\nx\n1\n", "line 4: expected"),
        (b"%%MatrixMarket matrix coordinate real symmetric\n3 3 1\n2 1 nan\n", "not finite"),
        (b"%%MatrixMarket matrix coordinate real skew-symmetric\n3 3 1\n2 1 1\n", "skew-symmetric"),
        (b"%%MatrixMarket matrix coordinate real symmetric\n", "sizes is missing"),
        (b"\x1f\x8b" + b"\x00" * 50, "damaged"),
        (gzip.compress(RUDY, mtime=0)[:-6] + b"\x00" * 6, "damaged"),
        (b"\x00" * 100, "expected 'n_nodes n_edges'"),
        (b"x" * 1_000_000, "expected 'n_nodes n_edges', got 'xxx"),
        (b"\x7fELF\x02\x01\x01" + bytes(range(256)), "line 1: expected"),
    ],
)
def test_hostile_files_are_refused(raw, words, folder):
    with pytest.raises(ValueError, match=words) as caught:
        _read(raw, folder)
    assert len(str(caught.value)) < 10_000
    _graph_or_error(raw, folder)


@pytest.mark.parametrize("filling", [b"\x00", b"1 2 1\n", b" "])
def test_a_gzip_bomb_is_stopped(filling, folder):
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as file:
        for _ in range(200):
            file.write(filling * (1_000_000 // len(filling)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="expand to more than"):
        _read(bomb.getvalue(), folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150_000_000


class NumpyOnly(pickle.Unpickler):
    """Reads arrays, this package's estimators and certificates, and nothing else: no torch, no code."""

    NUMPY = {"_reconstruct", "_frombuffer", "ndarray", "dtype", "scalar"}
    OURS = {"Certificate", "DerandJLEmbedding", "DerandMaxCut", "MultiIndexStudentRegressor"}

    def find_class(self, module, name):
        if module.split(".")[0] == "numpy" and name in self.NUMPY:
            return super().find_class(module, name)
        if module.split(".")[0] == "sklearn_derand" and name in self.OURS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not trusted")


def _fits():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((20, 4))
    student = MultiIndexStudentRegressor(1, hidden_layer_sizes=(3,), alpha=0.05, random_state=0)
    return {
        "embedding": fit_or_refuse(DerandJLEmbedding(2, compute_inverse_components=True, random_state=0), X),
        "cut": fit_or_refuse(DerandMaxCut(n_init=1, random_state=0), X),
        "student": fit_or_refuse(student, X, X[:, 0]),
    }


@pytest.mark.parametrize("name", ["embedding", "cut", "student"])
def test_fitted_state_needs_numpy_only(name):
    fitted = _fits()[name]
    read_back = NumpyOnly(io.BytesIO(pickle.dumps(fitted, pickle.HIGHEST_PROTOCOL))).load()
    assert_same_state(read_back, fitted)


@pytest.mark.parametrize("name", ["embedding", "cut", "student"])
def test_skops_need_trust_nothing_but_our_own_two_classes(name):
    io = pytest.importorskip("skops.io")
    fitted = _fits()[name]
    raw = io.dumps(fitted)
    untrusted = io.get_untrusted_types(data=raw)
    classes = (type(fitted), type(fitted.certificate_))
    assert sorted(untrusted) == sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in classes)
    assert_same_state(io.loads(raw, trusted=untrusted), fitted)


def test_the_distrustful_reader_refuses_torch():
    import torch

    with pytest.raises(pickle.UnpicklingError, match="torch"):
        NumpyOnly(io.BytesIO(pickle.dumps(torch.zeros(2)))).load()
