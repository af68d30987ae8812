"""Two ranks, started by torchrun, against one process that sees the rows of both."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import estimator, points, table, unstructured
from scipy import sparse
from torch import distributed as dist

import sklearn_derand
from sklearn_derand.estimators._jl_points import SpanCoordinates
from sklearn_derand.metrics import max_distortion
from sklearn_derand.problems.ranks import Ranks

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch was built without gloo"
)


def environment():
    roots = [str(Path(sklearn_derand.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, roots)), "OMP_NUM_THREADS": "1"}


def left_behind(folder):
    return {int(path.stem): pickle.loads(path.read_bytes()) for path in Path(folder).glob("*.pkl")}


def run_ranks(case, folder):
    """Run a case of the worker on two ranks by torchrun; return what each left, and what they wrote."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(HERE / "worker.py"), case, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=400)
    return left_behind(folder), done.stdout + done.stderr


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    found, output = run_ranks("parts", tmp_path_factory.mktemp("parts"))
    assert sorted(found) == [0, 1], output
    return found


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    found, output = run_ranks("fits", tmp_path_factory.mktemp("fits"))
    assert sorted(found) == [0, 1], output
    return found


@pytest.mark.parametrize("rank", [0, 1])
def test_collectives(parts, rank):
    found = parts[rank]["collectives"]
    np.testing.assert_array_equal(found["sum"], [2.0, 1.0])
    assert found["max"] == 1.0
    assert found["any"] is True
    np.testing.assert_array_equal(found["table"], [[0.0, np.inf], [1.0, np.nan]])
    np.testing.assert_array_equal(found["gather"][:, 0], [0, 1, 0, 1, 2])
    np.testing.assert_array_equal(found["broadcast"], [0, 1, 2])
    np.testing.assert_array_equal(found["own"], [[1], [2, 1]][rank])
    for failing in (0, 1):
        error = found[f"failure of {failing}"]
        assert ("KeyError('rows')" == error) if rank == failing else (f"Rank {failing} of 2" in error), error


def test_a_process_alone_changes_nothing():
    alone, rows = Ranks.present(), torch.ones(2, 3)
    assert alone == Ranks()
    assert alone.sum(rows) is alone.max(rows) is alone.gather(rows) is rows
    np.testing.assert_array_equal(alone.table(1.0, np.inf), [[1.0, np.inf]])


def test_the_student_of_all_rows_at_one_point(parts):
    from worker import student_parts

    assert_alike(parts, lambda found: found["student"], student_parts(*table(), Ranks()))


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_embedding_of_all_points_at_one_map(parts, kind):
    from worker import embedding_parts

    X = points() if kind == "dense" else sparse.csr_array(points() - 50.0)
    alone = embedding_parts(X, SpanCoordinates.of(X), Ranks())
    assert alone["n_pairs"] == 40 * 39 // 2 - 1
    assert_alike(parts, lambda found: found["embedding"][kind], alone)


def assert_alike(found, part, alone):
    """Ranks agree bit by bit, and with one process but for rounding."""
    for name, expected in alone.items():
        one, other = (part(found[rank])[name] for rank in (0, 1))
        np.testing.assert_array_equal(one, other, err_msg=name)
        np.testing.assert_allclose(one, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max(), err_msg=name)


def assert_same_on_all_ranks(found):
    for name, value in found[0].items():
        assert pickle.dumps(value) == pickle.dumps(found[1][name]), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["student", "chosen", "several"])
def test_a_fit_on_two_ranks_is_that_of_one_process(fits, name):
    """The minimum is the same; where in it a descent stops is as sharp as ``tol``, hence a small one in these cases."""
    assert_same_on_all_ranks({rank: fits[rank][name] for rank in fits})
    found = fits[0][name]
    alone = estimator(name).fit(*(unstructured() if name == "several" else table()))
    assert found["certificate_"].holds
    assert found["certificate_"].n_params == alone.certificate_.n_params
    assert found["n_components_"] == alone.n_components_
    for attribute in ("alpha_", "refined_alpha_", "weight_decay_", "mean_"):
        np.testing.assert_allclose(found[attribute], getattr(alone, attribute), rtol=1e-10, err_msg=attribute)
    np.testing.assert_allclose(found["certificate_"].value, alone.certificate_.value, rtol=1e-10)
    for attribute in ("loss_", "components_"):
        np.testing.assert_allclose(found[attribute], getattr(alone, attribute), rtol=1e-10, err_msg=attribute)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["embedding", "smallest embedding"])
def test_an_embedding_on_two_ranks_is_that_of_one_process(fits, name):
    assert_same_on_all_ranks({rank: fits[rank][name] for rank in fits})
    found, X = fits[0][name], points()
    alone = estimator(name).fit(X)
    for attribute in ("n_pairs_", "n_components_", "noise_"):
        assert found[attribute] == getattr(alone, attribute), attribute
    # Weights of pairs ascend a hundred steps, in which rounding grows.
    for attribute, within in (("distortion_bound_", 1e-10), ("distortion_lower_bound_", 1e-6)):
        np.testing.assert_allclose(found[attribute], getattr(alone, attribute), rtol=within, err_msg=attribute)
    assert found["certificate_"].holds
    if name == "embedding":
        np.testing.assert_allclose(found["distortion_"], max_distortion(X, X @ found["components_"].T), rtol=1e-10)
        np.testing.assert_allclose(found["certificate_"].value, alone.certificate_.value, rtol=1e-10)
        np.testing.assert_allclose(found["distortion_"], alone.distortion_, rtol=1e-10)


@pytest.mark.slow
def test_what_one_rank_refuses_stops_all(fits):
    for rank in (0, 1):
        assert "NaN" in fits[rank]["nan"]
        assert "n_features is 5 on rank 0 and 4 on rank 1" in fits[rank]["columns"]
        assert fits[rank]["validation"].startswith("ValueError: validation_fraction=0.2 cannot be had")
        assert "alpha is 0.1 on rank 0 and 1.1 on rank 1" in fits[rank]["alpha"]
    assert fits[0]["nan"].startswith("RuntimeError: Rank 1 of 2 stopped the fit")
    assert fits[1]["nan"].startswith("ValueError")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["dies", "hangs"])
def test_a_rank_that_is_lost_stops_the_others_in_bounded_time(case, tmp_path):
    command = [sys.executable, str(HERE / "worker.py"), case, str(tmp_path)]
    first, second = (
        subprocess.Popen([*command, str(rank), "2"], env=environment(), stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    )
    try:
        _, output = first.communicate(timeout=200)
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    found = left_behind(tmp_path)
    assert list(found) == [0], output
    assert "rank 1 of 2 no longer answers" in found[0]["error"], found[0]["error"]
    assert "start all ranks again" in found[0]["error"]
    assert not any(name.endswith("_") for name in found[0]["state"])
