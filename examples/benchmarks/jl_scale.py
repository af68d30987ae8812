"""Embeddings of many points, of many columns, and of as few components as a promised distortion allows.

    python examples/benchmarks/jl_scale.py [--data DIR] [--tasks auto points columns] [--points 20000]

*auto*: 1,000 MNIST images, ``n_components="auto", eps=0.1``, beside what ``johnson_lindenstrauss_min_dim`` asks for.
*points*: ``--points`` images, made from 2,000 of MNIST by shifts of up to two pixels and mixtures of two images of a
class, to 32 dimensions. *columns*: 1,000 sparse rows of 100,000 columns to 64 dimensions. ``DIR`` holds
``mnist_2000.npz`` (*columns* needs none). Each prints the distortion over all pairs, recomputed by ``max_distortion``,
CPU seconds on one thread, and the peak memory of the process, torch included; give one task at a time for the latter to
be its own.
"""

import argparse
import importlib.metadata
import os
import platform
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy import sparse
from sklearn.random_projection import johnson_lindenstrauss_min_dim

from sklearn_derand import DerandJLEmbedding
from sklearn_derand.metrics import max_distortion


def mnist(directory):
    """Return the images and their classes."""
    file = np.load(directory / "mnist_2000.npz")
    return file["X"].astype(float), file["y"]


def many_images(directory, n_points):
    """Shift images, and mix every second one with another of its class: none twice."""
    X, y = mnist(directory)
    random = np.random.RandomState(0)
    source = random.randint(len(X), size=n_points)
    # Mixed with itself an image differs from its copies in the last digit, and rounding alone decides such a pair
    partner = np.array([random.choice(np.setdiff1d(np.flatnonzero(y == y[i]), i)) for i in source])
    share = np.where(np.arange(n_points) % 2, random.uniform(0.2, 0.5, n_points), 0.0)[:, None]
    images = ((1 - share) * X[source] + share * X[partner]).reshape(-1, 28, 28)
    shifts = random.randint(-2, 3, size=(n_points, 2))
    for place, shift in enumerate(shifts):
        images[place] = np.roll(images[place], shift, axis=(0, 1))
    return np.unique(images.reshape(n_points, -1), axis=0)


def report(what, X, embedding, seconds):
    """Print what a fit promises, what it does to all pairs, and what it took."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    worst = max_distortion(X, embedding.transform(X))
    print(f"{what}: {X.shape[0]} x {X.shape[1]} -> {embedding.n_components_} in {seconds:.1f} CPU s, {memory:.2f} GiB")
    print(
        f"    distortion {worst:.4f} over all pairs (distortion_ {embedding.distortion_:.4f}, of {embedding.n_pairs_});"
        f" no map below {embedding.distortion_lower_bound_:.4f}, Gaussian law {embedding.distortion_bound_:.3f}"
    )
    print(f"    {embedding.certificate_}", flush=True)


def fit(embedding, X):
    """Return the fitted embedding and the CPU time."""
    start = time.process_time()
    embedding.fit(X)
    return embedding, time.process_time() - start


def main():
    """Run the tasks asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--tasks", nargs="+", choices=["auto", "points", "columns"], default=["auto"])
    parser.add_argument("--points", type=int, default=20_000)
    arguments = parser.parse_args()
    print("python examples/benchmarks/jl_scale.py", *(Path(word).name for word in sys.argv[1:]))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scikit-learn", "torch"))
    print(f"{datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, {versions}", flush=True)
    if "auto" in arguments.tasks:
        X = mnist(arguments.data)[0][:1000]
        report("auto, eps = 0.1", X, *fit(DerandJLEmbedding(eps=0.1, random_state=0), X))
        print(f"    johnson_lindenstrauss_min_dim asks for {johnson_lindenstrauss_min_dim(1000, eps=0.1)}")
    if "columns" in arguments.tasks:
        X = sparse.random_array((1000, 100_000), density=0.001, format="csr", rng=np.random.default_rng(0))
        report("columns", X, *fit(DerandJLEmbedding(64, random_state=0), X))
    if "points" in arguments.tasks:
        X = many_images(arguments.data, arguments.points)
        report("points", X, *fit(DerandJLEmbedding(32, random_state=0), X))


if __name__ == "__main__":
    main()
