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
@pytest.mark.parametrize("speed", [1e-3, 1.0, 10.0])
def test_the_annealing_follows_the_clock_and_ends_cold(speed, monkeypatch):
    from dwave.samplers import SimulatedAnnealingSampler

    weights = random_graph(14, 0.6, seed=0)
    clock, ranges, sample = [0.0], [], SimulatedAnnealingSampler.sample

    def on_a_machine_of_this_speed(self, model, **settings):
        clock[0] += settings["num_sweeps"] * 14 / (speed * polish.VISITS_PER_SECOND)
        ranges.append(settings["beta_range"])
        return sample(self, model, **settings)

    monkeypatch.setattr(SimulatedAnnealingSampler, "sample", on_a_machine_of_this_speed)
    monkeypatch.setattr(polish, "FIRST_VISITS", 28)
    limit = 2000 * 14 / (speed * polish.VISITS_PER_SECOND)
    polish.anneal(weights, np.ones((14, 1)), n_sweeps=10**6, seed=0, time_left=lambda: limit - clock[0])
    assert 0.7 * limit <= clock[0] <= 1.1 * limit
    assert all(before[1] == after[0] for before, after in zip(ranges, ranges[1:], strict=False))
    assert ranges[-1][1] / ranges[0][0] == pytest.approx(polish.COLD / polish.HOT)
    clock[0], ranges[:] = 0.0, []
    polish.anneal(weights, np.ones((14, 1)), n_sweeps=50, seed=0, time_left=lambda: limit - clock[0])
    assert clock[0] <= 50 * 14 / (speed * polish.VISITS_PER_SECOND) * 1.1
    assert ranges[-1][1] / ranges[0][0] == pytest.approx(polish.COLD / polish.HOT)
    assert polish.anneal(weights, np.ones((14, 3)), n_sweeps=9, seed=0, time_left=lambda: -1.0).shape == (14, 3)


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
