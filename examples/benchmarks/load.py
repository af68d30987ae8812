"""CPU seconds and peak memory of a fit at each stated limit of scale, and of a search over 200 candidates.

Each load runs in a process of its own, whose whole tree of processes is watched through ``/proc`` (Linux only): CPU
seconds are those of all of them, and the peak is that of the sum of their resident sets, so that workers count and
pages that they share count more than once. Every load is told the limit of memory and killed above it::

    python examples/benchmarks/load.py                       # all, 20 to 40 minutes
    python examples/benchmarks/load.py --only cut search     # some

Exit status: 0 all loads ended well and below the limit, 1 not.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy import sparse

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def embed_all_pairs():
    """DerandJLEmbedding of 20,000 points in 784 dimensions, all 2e8 pairs, to 64."""
    from sklearn_derand import DerandJLEmbedding

    model = DerandJLEmbedding(64, random_state=0).fit(_images(20_000))
    return f"distortion {model.distortion_:.3f} of {model.n_pairs_} pairs, bound {model.distortion_bound_:.3f}"


def embed_max_pairs():
    """DerandJLEmbedding of 60,000 points in 784 dimensions, max_pairs=10,000,000, to 64."""
    from sklearn_derand import DerandJLEmbedding

    model = DerandJLEmbedding(64, max_pairs=10_000_000, random_state=0).fit(_images(60_000))
    return f"distortion {model.distortion_:.3f} of {model.n_pairs_} pairs, bound {model.distortion_bound_:.3f}"


def learn():
    """MultiIndexStudentRegressor of 100,000 rows of 200 features."""
    from sklearn_derand import MultiIndexStudentRegressor
    from sklearn_derand.datasets import make_multi_index
    from sklearn_derand.metrics import subspace_distance

    X, y, U = make_multi_index(100_000, 200, 2, link="product", noise=0.1, coef=True, random_state=0)
    model = MultiIndexStudentRegressor(2, random_state=0).fit(X, y)
    return f"R2 {model.score(X, y):.3f}, subspace distance {subspace_distance(model.components_, U):.3f}"


def cut():
    """DerandMaxCut of a random graph of 100,000 nodes and 1,000,000 edges."""
    from sklearn_derand import DerandMaxCut

    model = DerandMaxCut("precomputed", random_state=0).fit(_random_graph(100_000, 1_000_000))
    return f"cut {model.cut_value_:.0f}, bound {model.upper_bound_:.0f}, gap {model.gap_:.2%}"


def cut_points():
    """DerandMaxCut of 5,000 points by their distances, 12,497,500 edges."""
    from sklearn_derand import DerandMaxCut

    model = DerandMaxCut(random_state=0).fit(_images(5_000, 20))
    return f"cut {model.cut_value_:.6g}, bound {model.upper_bound_:.6g}, gap {model.gap_:.2%}"


def search():
    """Random search, 200 candidates by 2 folds in 2 processes, of a student of 200 rows."""
    from scipy.stats import loguniform
    from sklearn.model_selection import RandomizedSearchCV

    from sklearn_derand import MultiIndexStudentRegressor
    from sklearn_derand.datasets import make_multi_index

    X, y = make_multi_index(200, 5, 1, link="square", noise=0.1, random_state=0)
    student = MultiIndexStudentRegressor(1, hidden_layer_sizes=(8,), random_state=0)
    grid = {"alpha": loguniform(1e-4, 1e-1), "weight_decay": loguniform(1e-6, 1e-2)}
    found = RandomizedSearchCV(student, grid, n_iter=200, cv=2, n_jobs=2, random_state=0).fit(X, y)
    scores = found.cv_results_["mean_test_score"]
    return f"{np.isfinite(scores).sum()} candidates, best R2 {found.best_score_:.3f}"


LOADS = {load.__name__: load for load in (embed_all_pairs, embed_max_pairs, learn, cut, cut_points, search)}


def _images(n, d=784):
    """Return points near a curved surface of ten dimensions, as pictures are, with noise."""
    rng = np.random.RandomState(0)
    hidden = np.tanh(rng.standard_normal((n, 10)) @ rng.standard_normal((10, 50)))
    return hidden @ rng.standard_normal((50, d)) / 7 + 0.1 * rng.standard_normal((n, d))


def _random_graph(n_nodes, n_edges):
    rng = np.random.RandomState(0)
    ends = rng.randint(n_nodes, size=(int(1.01 * n_edges), 2))
    ends = np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0)
    rows, cols = ends[rng.permutation(len(ends))[:n_edges]].T
    upper = sparse.coo_array((np.ones(n_edges), (rows, cols)), shape=(n_nodes, n_nodes))
    return sparse.csr_array(upper + upper.T)


def _tree(root):
    """Return the processes below ``root``, itself included: number to (CPU ticks, resident pages)."""
    found, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended in between
            continue
        parents[int(folder.name)] = int(fields[1])
        found[int(folder.name)] = int(fields[11]) + int(fields[12]), int(fields[21])
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return {pid: found[pid] for pid in below if pid in found}


def watch(name, limit):
    """Run one load in a process of its own; return its exit status, what it said, CPU seconds and peak bytes."""
    child = subprocess.Popen([sys.executable, __file__, "--run", name], stdout=subprocess.PIPE, text=True)
    ticks, peak = {}, 0
    while child.poll() is None:
        tree = _tree(child.pid)
        ticks |= {pid: spent for pid, (spent, _) in tree.items()}
        resident = PAGE * sum(pages for _, pages in tree.values())
        peak = max(peak, resident)
        if resident > limit:
            for pid in tree:
                os.kill(pid, 9)
        time.sleep(0.1)
    return child.returncode, child.stdout.read().strip(), sum(ticks.values()) / TICK, peak


def main():
    """Watch the loads asked for and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=LOADS, default=list(LOADS), metavar="LOAD", help=", ".join(LOADS))
    parser.add_argument("--limit", type=float, default=24, help="GiB that the processes may hold (default: 24)")
    parser.add_argument("--run", choices=LOADS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        warnings.simplefilter("always")
        print(LOADS[arguments.run]())
        return 0
    failed = 0
    print("python examples/benchmarks/load.py", *sys.argv[1:])
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "scikit-learn"))
    print(f"Python {platform.python_version()}, {libraries}; {platform.machine()}")
    print(f"{datetime.now(UTC):%Y-%m-%d}\n")
    print(f"{'load':<16} {'CPU s':>8} {'wall s':>8} {'peak GiB':>9}  outcome")
    for name in arguments.only:
        started = time.monotonic()
        status, said, cpu, peak = watch(name, arguments.limit * 2**30)
        failed += status != 0
        said = said or f"ended with status {status}" + (" above the limit" if peak > arguments.limit * 2**30 else "")
        wall = time.monotonic() - started
        print(f"{name:<16} {cpu:8.1f} {wall:8.1f} {peak / 2**30:9.2f}  {said}", flush=True)
        print(f"{'':<16} {LOADS[name].__doc__}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
