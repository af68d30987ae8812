"""Where a descent runs: refused by name where there is no GPU, and the same answer where there is one."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

import sklearn_derand
from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor

RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((60, 5))
CASES = {
    "student": (
        MultiIndexStudentRegressor(1, hidden_layer_sizes=(4,), alpha=0.05, weight_decay=1e-2, random_state=0),
        (X, np.tanh(X[:, 0] - X[:, 1])),
    ),
    "embedding": (DerandJLEmbedding(2, random_state=0), (X,)),
    "cut": (DerandMaxCut(polish=None, n_init=4, random_state=0), (X,)),
}
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


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


@with_gpu
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_comes_to_the_same_answer(name):
    """Sums are rounded otherwise, so descents part; where they end is as sharp as the tolerances."""
    estimator, data = CASES[name]
    here, there = (clone(estimator).set_params(device=device).fit(*data) for device in ("cpu", "cuda"))
    assert there.certificate_.holds
    if name == "student":
        np.testing.assert_allclose(there.certificate_.value, here.certificate_.value, rtol=1e-6)
        np.testing.assert_allclose(there.predict(X), here.predict(X), atol=1e-2)
    elif name == "embedding":
        assert there.distortion_ == pytest.approx(here.distortion_, rel=0.1)
    else:
        assert there.cut_value_ == pytest.approx(here.cut_value_, rel=0.02)
        assert there.cut_value_ >= there.expected_cut_
    for value in vars(there).values():
        assert not isinstance(value, torch.Tensor)


@with_gpu
def test_a_warm_start_goes_on_where_the_last_fit_ran():
    estimator, data = CASES["student"]
    student = clone(estimator).set_params(device="cuda", warm_start=True).fit(*data)
    assert student.fit(*data).certificate_.holds


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
