"""Where a descent runs: refused by name where there is no GPU, and the same answer where there is one."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

import sklearn_derand
from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor
from sklearn_derand.engine import tensors
from sklearn_derand.estimators import _jl_walk

RANDOM = np.random.RandomState(1)
X = RANDOM.standard_normal((60, 5))
Y = np.tanh(X[:, 0] - X[:, 1])
STUDENT = MultiIndexStudentRegressor(1, hidden_layer_sizes=(4,), alpha=0.05, weight_decay=1e-2, random_state=0)
EMBEDDING = DerandJLEmbedding(2, random_state=0)
CUT = DerandMaxCut(polish=None, n_init=4, random_state=0)
CASES = {"student": (STUDENT, (X, Y)), "embedding": (EMBEDDING, (X,)), "cut": (CUT, (X,))}


def _with(estimator, **parameters):
    return clone(estimator).set_params(**parameters)


STUDENTS = {
    "plain": STUDENT,
    "deep": _with(STUDENT, hidden_layer_sizes=(3, 2)),
    "several wide starts": _with(STUDENT, n_init=3, hidden_layer_sizes=(16,)),
    "all chosen": _with(STUDENT, n_components="auto", alpha="auto", weight_decay="auto"),
    "mini-batches": _with(STUDENT, batch_size=20),
    "counts": _with(STUDENT, loss="poisson"),
}
EMBEDDINGS = {
    "all pairs": EMBEDDING,
    "listed pairs": _with(EMBEDDING, max_pairs=500),
    "outside": _with(EMBEDDING, validation_fraction=0.2),
    "failures": _with(EMBEDDING, objective="failure_probability", n_components=4, eps=0.8),
    "chosen dimension": _with(EMBEDDING, n_components="auto", eps=0.7),
}
CUTS = {
    "no polish": CUT,
    "tabu": _with(CUT, polish="tabu"),
    "annealing": _with(CUT, polish="annealing", rank=3),
}
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")


@without_gpu
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_that_is_not_there_is_refused(name):
    estimator, data = CASES[name]
    estimator = clone(estimator).set_params(device="cuda")
    with pytest.raises(ValueError, match="device='cuda' was asked for, but torch sees no GPU"):
        estimator.fit(*data)
    assert not hasattr(estimator, "certificate_")


@without_gpu
def test_auto_is_the_cpu_where_there_is_no_gpu():
    estimator, data = CASES["embedding"]
    here, auto = (clone(estimator).set_params(device=device).fit(*data) for device in ("cpu", "auto"))
    np.testing.assert_array_equal(auto.components_, here.components_)


@pytest.fixture
def device(other_device, monkeypatch):
    """Name it as a user would: where the device is emulated, ``"cuda"`` is the emulated one."""
    if other_device.type != "cuda":
        monkeypatch.setattr(tensors, "resolve_device", lambda name: other_device.type if name == "cuda" else name)
    return "cuda"


def _fitted_on_both(estimator, device, *data):
    """Sums are rounded otherwise, so descents part; where they end is as sharp as the tolerances."""
    here, there = (_with(estimator, device=name).fit(*data) for name in ("cpu", device))
    assert here.certificate_.holds and there.certificate_.holds
    for value in vars(there).values():
        assert not isinstance(value, torch.Tensor)
    return here, there


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_of_another_device_predicts_the_same(device, name):
    y = np.round(np.exp(Y)) if name == "counts" else Y
    here, there = _fitted_on_both(STUDENTS[name], device, X, y)
    np.testing.assert_allclose(there.certificate_.value, here.certificate_.value, rtol=1e-6)
    np.testing.assert_allclose(there.predict(X), here.predict(X), atol=1e-2)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_an_embedding_of_another_device_distorts_as_little(device, name, monkeypatch):
    monkeypatch.setattr(_jl_walk, "LADDER", [(4.0, (5, 5))])
    here, there = _fitted_on_both(EMBEDDINGS[name], device, X[:12] if name == "failures" else X)
    assert there.distortion_ == pytest.approx(here.distortion_, rel=0.1)


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_of_another_device_is_as_large(device, name):
    here, there = _fitted_on_both(CUTS[name], device, X)
    assert there.cut_value_ == pytest.approx(here.cut_value_, rel=0.02)
    assert there.cut_value_ >= there.expected_cut_


def test_a_warm_start_goes_on_where_the_last_fit_ran(device):
    student = _with(STUDENT, device=device, warm_start=True).fit(X, Y)
    assert student.fit(X, Y).certificate_.holds


FACTORY = re.compile(r"torch\.(zeros|ones|eye|empty|full|arange|linspace|rand|randn)\(")
ON_THE_CPU = {"student_network.py": 2, "max_cut.py": 1, "continuation.py": 1, "perturbed_gradient.py": 2}
"""Starts and normals are drawn on the CPU, to be the same on every device, and are moved by a later line."""


@pytest.mark.parametrize("room", ["engine", "problems"])
def test_new_tensors_name_their_device(room):
    """Without a GPU a tensor on the wrong device goes unnoticed: each line that makes one must say where."""
    for path in (Path(sklearn_derand.__file__).parent / room).glob("*.py"):
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if ">>>" not in line]
        silent = [line for line in lines if FACTORY.search(line) and "device" not in line]
        assert len(silent) <= ON_THE_CPU.get(path.name, 0), f"{path.name}: {silent}"
        assert [line for line in lines if ".numpy()" in line and "cpu()" not in line and "detach()" not in line] == []
