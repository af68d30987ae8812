"""CPU against GPU: seconds of a fit of each estimator, and how far the answers agree.

    python examples/benchmarks/device.py [--repeats 2]

Wall time of the fastest of some fits after one to warm up, on one thread of the CPU, since that is what a fit uses.
The difference is the relative one of ``certificate_.value`` for the student, of ``distortion_`` for the embedding and
of ``cut_value_`` for the cut: sums are rounded otherwise on a GPU, and descents part. Where torch sees no GPU, the
table has the CPU's column alone and says so.
"""

import argparse
import operator
import os
import platform
import sys
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from scipy import sparse

from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor


def cases():
    """Yield a name, an estimator, its data and the attribute that is compared."""
    random = np.random.RandomState(0)
    for n, d in ((2000, 20), (20_000, 50)):
        X = random.standard_normal((n, d))
        y = np.tanh(X[:, 0] - X[:, 1]) + 0.1 * random.standard_normal(n)
        student = MultiIndexStudentRegressor(1, hidden_layer_sizes=(128,), alpha=0.01, random_state=0)
        yield f"student, {n} x {d}", student, (X, y), value
    for n, k in ((300, 16), (1000, 32)):
        points = random.standard_normal((n, 100))
        yield f"embedding, {n} points to {k}", DerandJLEmbedding(k, random_state=0), (points,), distortion
    for n in (800, 5000):
        graph = sparse.random_array((n, n), density=10 / n, random_state=0)
        cut = DerandMaxCut("precomputed", polish=None, random_state=0)
        yield f"cut, {n} vertices", cut, (sparse.csr_array(graph + graph.T),), cut_value


value, distortion, cut_value = map(operator.attrgetter, ("certificate_.value", "distortion_", "cut_value_"))


def timed(estimator, data, device, repeats):
    """Return the fitted estimator and the fewest seconds of a fit."""
    estimator.set_params(device=device)
    times = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(1 + repeats if device == "cuda" else repeats):
            start = time.perf_counter()
            estimator.fit(*data)
            times.append(time.perf_counter() - start)
    return estimator, min(times)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    there = torch.cuda.is_available()
    print("python examples/benchmarks/device.py", *sys.argv[1:])
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "scikit-learn"))
    print(f"Python {platform.python_version()}, {libraries}; {platform.machine()}")
    print(f"{datetime.now(UTC):%Y-%m-%d}; GPU: " + (torch.cuda.get_device_name() if there else "none was found here"))
    print(f"\n{'':28}{'CPU s':>10}{'GPU s':>10}{'difference':>12}")
    for name, estimator, data, compared in cases():
        fitted, seconds = timed(estimator, data, "cpu", arguments.repeats)
        here, row = compared(fitted), f"{name:28}{seconds:>10.2f}"
        if there:
            fitted, seconds = timed(estimator, data, "cuda", arguments.repeats)
            row += f"{seconds:>10.2f}{abs(compared(fitted) / here - 1):>12.1e}"
        print(row if there else f"{row}{'-':>10}{'-':>12}", flush=True)
    if not there:
        print("\nNo GPU was found, so that nothing is said here of how fast one is.")


if __name__ == "__main__":
    main()
