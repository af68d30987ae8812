"""The command line of the checker: its table, its exit status, its one-line errors."""

import joblib
import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_derand import DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.__main__ import main
from sklearn_derand.datasets import make_multi_index


@pytest.fixture
def saved(tmp_path):
    X, y = make_multi_index(60, 3, 1, link="square", random_state=0)
    student = MultiIndexStudentRegressor(1, hidden_layer_sizes=(3,), alpha=0.05, random_state=0).fit(X, y)
    joblib.dump(student, tmp_path / "model.joblib")
    np.savez(tmp_path / "data.npz", X=X, y=y)
    return student, tmp_path / "model.joblib", tmp_path / "data.npz"


def _main(*arguments):
    return main(["verify", *map(str, arguments)])


def test_an_honest_fit_prints_its_table_and_exits_0(saved, capsys):
    assert _main(*saved[1:]) == 0
    out = capsys.readouterr().out
    assert "MultiIndexStudentRegressor" in out and "loss_" in out and "NO" not in out


def test_a_refuted_claim_exits_1(saved, capsys):
    student, model, data = saved
    student.loss_ *= 0.5
    joblib.dump(student, model)
    assert _main(model, data) == 1
    assert "NO" in capsys.readouterr().out


def test_sparse_data_are_read(tmp_path):
    weights = sp.csr_array(np.ones((4, 4)) - np.eye(4))
    joblib.dump(DerandMaxCut(metric="precomputed", random_state=0).fit(weights), tmp_path / "cut.joblib")
    sp.save_npz(tmp_path / "graph.npz", weights)
    assert _main(tmp_path / "cut.joblib", tmp_path / "graph.npz") == 0


@pytest.mark.parametrize("which", ["model", "data"])
def test_a_file_cut_short_anywhere_is_one_line(saved, tmp_path, capsys, which):
    _, model, data = saved
    whole = {"model": model, "data": data}[which].read_bytes()
    for length in np.linspace(0, len(whole) - 1, 25).astype(int):
        cut = tmp_path / "cut_short"
        cut.write_bytes(whole[:length])
        with pytest.raises(SystemExit) as exit_status:
            _main(*((cut, data) if which == "model" else (model, cut)))
        assert exit_status.value.code == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and str(cut) in error


@pytest.mark.parametrize("broken", ["no model", "no data", "text model", "text data", "foreign arrays", "no y"])
def test_what_cannot_be_read_is_one_line_and_exit_2(saved, tmp_path, capsys, broken):
    _, model, data = saved
    text = tmp_path / "text"
    text.write_text("not a model")
    np.savez(tmp_path / "foreign.npz", A=np.ones(3))
    np.savez(tmp_path / "no_y.npz", X=np.ones((60, 3)))
    files = {
        "no model": (tmp_path / "absent", data),
        "no data": (model, tmp_path / "absent"),
        "text model": (text, data),
        "text data": (model, text),
        "foreign arrays": (model, tmp_path / "foreign.npz"),
        "no y": (model, tmp_path / "no_y.npz"),
    }[broken]
    with pytest.raises(SystemExit) as exit_status:
        _main(*files)
    assert exit_status.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "error:" in error
