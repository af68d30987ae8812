"""Polish through dwave-samplers: never needed, repeatable, and named clearly where it is missing."""

import importlib.util

import numpy as np
import pytest

from sklearn_derand.problems import polish
from sklearn_derand.problems.weighted_graph import cut_values

from .graphs import maximum_cut, random_graph

needs_dwave = pytest.mark.skipif(not polish.is_available(), reason="dwave-samplers is not installed")


@needs_dwave
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("name", ["annealing", "tabu"])
def test_finds_the_optimum_of_small_graphs(name, scale):
    weights = random_graph(14, 0.6, signed=True, seed=0) * scale
    start = np.ones((14, 3))
    if name == "annealing":
        runs = [polish.anneal(weights, start, n_sweeps=300, seed=5) for _ in range(2)]
    else:
        runs = [polish.tabu(weights, start, n_moves=2000, seed=5) for _ in range(2)]
    np.testing.assert_array_equal(*runs)
    assert runs[0].shape == (14, 3) and set(np.unique(runs[0])) == {-1.0, 1.0}
    assert cut_values(weights, runs[0]).max() == pytest.approx(maximum_cut(weights))


@needs_dwave
def test_annealing_stops_when_the_time_is_up():
    weights = random_graph(14, 0.6, seed=0)
    left = iter([1.0] + [0.0] * 100)
    found = polish.anneal(weights, np.ones((14, 50)), n_sweeps=10, seed=0, time_left=lambda: next(left))
    assert 1 <= found.shape[1] < 50


def test_without_dwave(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert polish.check_polish("auto", 10) == "one_flip"
    assert polish.check_polish("one_flip", 10) == "one_flip"
    assert polish.check_polish(None, 10) is None
    with pytest.raises(ImportError, match=r"pip install 'sklearn_derand\[maxcut\]'"):
        polish.check_polish("tabu", 10)


@needs_dwave
def test_tabu_refuses_what_its_dense_matrix_cannot_hold():
    with pytest.raises(ValueError, match="polish='tabu'.*up to 5000 nodes, got 6000"):
        polish.check_polish("tabu", 6000)
