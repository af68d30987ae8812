"""The command line of the main job, its report, and the README's commands and examples."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import r2_score
from sklearn.preprocessing import FunctionTransformer

from sklearn_derand.__main__ import main
from sklearn_derand._main_job._cut import _cut_value, cut_les_miserables
from sklearn_derand._main_job._embedding import _changes
from sklearn_derand._main_job._figures import draw
from sklearn_derand._main_job._student import _r2
from sklearn_derand._main_job._task import Row, Task

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "x"], ["--seed", "'x'"]),
        (["--seed", "-1"], ["--seed", "'-1'"]),
        (["--seed", str(2**31)], ["--seed", str(2**31)]),
        (["--sed", "1"], ["--sed"]),
        (["digits"], ["digits"]),
        (["--out"], ["--out"]),
    ],
)
def test_a_bad_argument_is_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    output = capsys.readouterr()
    assert stop.value.code == 2
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert all(word in output.err for word in words)


def test_an_unwritable_folder_is_one_line_before_any_work(tmp_path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("a file, not a folder")
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(taken)])
    output = capsys.readouterr()
    assert stop.value.code == 2
    assert output.err.count("\n") == 1
    assert str(taken) in output.err
    assert output.out == ""


def test_help_names_every_task_and_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in [
        "--out",
        "--seed",
        "embedding",
        "diabetes",
        "multi_index",
        "les_miserables",
        "made_graph",
        "Exit status",
    ]:
        assert word in text


def test_report_is_strict_json():
    row = Row("ours", {"R2": np.float64(0.5), "distance": np.nan}, 1.0, "<= 2", "holds")
    task = Task("name", "title", "note", [row], arrays={"kept out": np.zeros(3)})
    report = json.loads(json.dumps(task.to_json(), allow_nan=False))
    assert report["rows"][0]["quality"] == {"R2": 0.5, "distance": None}
    assert "arrays" not in report


def test_a_task_prints_one_aligned_line_per_method():
    rows = [Row("a", {"cut": 13359.0}, 1.0, "<= 14136.0", "holds"), Row("longer name", {"cut": np.nan}, 10.0, "none")]
    lines = Task("name", "title", "note", rows).to_text().splitlines()
    first, second = (next(line for line in lines if line.startswith(row.method)) for row in rows)
    assert first.split() == ["a", "13359", "1.00", "<=", "14136.0", "holds"]
    assert second.split() == ["longer", "name", "-", "10.00", "none", "-"]
    assert first.index("1.00") + len("1.00") == second.index("10.00") + len("10.00")
    assert first.index("<=") == second.index("none")
    assert first.index("holds") == second.rindex("-")


def test_without_matplotlib_the_report_is_written_and_figures_are_skipped_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sklearn_derand.__main__._run", lambda seed: [])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--out", str(tmp_path / "new" / "folder"), "--seed", "7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("figures are skipped" in line for line in lines) == 1
    report = json.loads((tmp_path / "new" / "folder" / "report.json").read_text(encoding="utf-8"))
    assert report["seed"] == 7
    assert set(report["versions"]) >= {"sklearn_derand", "sklearn", "torch", "numpy", "scipy"}


def test_cut_of_les_miserables(tmp_path):
    task = cut_les_miserables(seed=0)
    W = task.arrays["W"]
    assert (W.shape, W.nnz, W.sum()) == ((77, 77), 2 * 254, 2 * 820)
    for row in task.rows[:2]:
        assert row.quality["expected at start"] <= row.quality["cut"] <= task.arrays["upper_bound"]
        assert row.certificate == "holds"
    assert task.arrays["hyperplane_cuts"].max() <= task.arrays["upper_bound"]
    mean, error = task.arrays["hyperplane_cuts"].mean(), task.arrays["hyperplane_cuts"].std()
    error /= np.sqrt(task.arrays["hyperplane_cuts"].size)
    assert abs(mean - task.rows[0].quality["expected at start"]) <= 5 * error
    pytest.importorskip("matplotlib")
    picture = draw(task, tmp_path)
    assert picture.name == "les_miserables.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_quality_figures_against_their_definitions():
    rng = np.random.RandomState(0)
    y, predicted, labels = rng.standard_normal(20), rng.standard_normal(20), rng.randint(2, size=20)
    assert _r2(y, predicted) == pytest.approx(r2_score(y, predicted), rel=1e-12)
    W = np.abs(np.triu(rng.standard_normal((20, 20)), 1))
    cut = sum(W[i, j] for i in range(20) for j in range(20) if labels[i] != labels[j])
    assert _cut_value(sp.csr_array(W + W.T), labels) == pytest.approx(cut, rel=1e-12)
    X = rng.standard_normal((6, 3))
    np.testing.assert_allclose(_changes(FunctionTransformer(lambda Z: 2 * Z), X), 3, rtol=1e-12)


def _python_blocks():
    blocks = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    return [pytest.param(block, id=f"block{i}") for i, block in enumerate(blocks)]


@pytest.mark.parametrize("block", _python_blocks())
def test_readme_example_runs(block):
    outcome = subprocess.run([sys.executable, "-W", "error", "-c", block], capture_output=True, text=True, cwd=ROOT)
    assert outcome.returncode == 0, outcome.stderr


def test_readme_shows_each_estimator_and_both_commands():
    blocks = "".join(param.values[0] for param in _python_blocks())
    for name in ["MultiIndexStudentRegressor(", "DerandJLEmbedding(", "DerandMaxCut("]:
        assert name in blocks
    commands = [
        "pip install -c constraints.txt '.[plot,maxcut]' && python -m sklearn_derand",
        "pip install -c constraints.txt -e '.[test]' && pytest",
    ]
    assert [command for command in commands if command not in README.splitlines()] == []
