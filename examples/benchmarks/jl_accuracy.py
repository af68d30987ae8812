"""What a lower distortion buys a classifier: test accuracy behind each projection, at few components.

    python examples/benchmarks/jl_accuracy.py [--data DIR] [--sizes 8 16 32] [--train 400] [--splits 3] [--seed 0]

Digits (scikit-learn's, 1,797 x 64) and, with ``DIR`` holding ``mnist_2000.npz``, MNIST (2,000 x 784): ``--train`` rows
fit the projection and the classifier, the others test both, stratified, ``--splits`` times. Behind each projection
stand 5 nearest neighbours, which use distances alone, and logistic regression, which uses directions. Entries are the
mean accuracy over the splits and, behind the sign, its standard deviation over them. "all features" is the classifier
without a projection.

Principal components know directions of large variance, in which classes of images often differ; a map that keeps every
distance must spend dimensions on all of them. Where PCA wins, the table shows it.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from sklearn_derand import DerandJLEmbedding
from sklearn_derand.metrics import max_distortion

PROJECTION_SEED = 1_000_003
"""Far from every seed that splits data."""

CLASSIFIERS = {"5-NN": KNeighborsClassifier(5), "logistic": LogisticRegression(max_iter=5000)}


def load(directory):
    """Return ``{name: (X, y)}``, pixels in [0, 1]."""
    digits = load_digits()
    tables = {"digits": (digits.data / 16.0, digits.target)}
    if directory is not None:
        file = np.load(directory / "mnist_2000.npz")
        tables["MNIST"] = file["X"] / 255.0, file["y"]
    return tables


def projections(k, seed):
    """Return the projections to ``k`` dimensions, ours last."""
    return {
        "Gaussian": GaussianRandomProjection(k, random_state=seed),
        "sparse": SparseRandomProjection(k, random_state=seed),
        "PCA": PCA(k, random_state=seed),
        "ours": DerandJLEmbedding(k, random_state=seed),
        "ours, 0.2 aside": DerandJLEmbedding(k, validation_fraction=0.2, random_state=seed),
    }


def run(projection, classifiers, train, test):
    """Return the accuracy of each classifier, the distortion of both halves, and the CPU time of the projection."""
    start = time.process_time()
    projection = clone(projection).fit(train[0])
    seconds = time.process_time() - start
    images, new = projection.transform(train[0]), projection.transform(test[0])
    accuracies = [clone(last).fit(images, train[1]).score(new, test[1]) for last in classifiers]
    return [*accuracies, max_distortion(train[0], images), max_distortion(test[0], new), seconds]


def table(name, X, y, arguments):
    """Print one data set."""
    splitter = StratifiedShuffleSplit(arguments.splits, train_size=arguments.train, random_state=arguments.seed)
    splits = [((X[fit], y[fit]), (X[test], y[test])) for fit, test in splitter.split(X, y)]
    print(f"\n{name}, {X.shape[0]} x {X.shape[1]}, {arguments.train} rows to fit, {len(splits)} splits")
    print(f"{'k':>5} {'projection':<16}{'5-NN':>14}{'logistic':>14}{'distortion: fitted':>20}{'new':>8}{'CPU s':>8}")
    everything = {("all", "features"): FunctionTransformer()}
    for k in arguments.sizes:
        everything |= {(k, method): each for method, each in projections(k, PROJECTION_SEED + arguments.seed).items()}
    for (k, method), projection in everything.items():
        results = np.array([run(projection, CLASSIFIERS.values(), *split) for split in splits])
        mean, deviation = results.mean(axis=0), results.std(axis=0)
        cells = "".join(f"{mean[i]:8.3f} ±{deviation[i]:.3f}" for i in range(2))
        print(f"{k:>5} {method:<16}{cells}{mean[2]:>20.3f}{mean[3]:>8.3f}{mean[4]:>8.2f}", flush=True)


def main():
    """Run the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32], metavar="K")
    parser.add_argument("--train", type=int, default=400, help="rows to fit")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print("python examples/benchmarks/jl_accuracy.py", *(Path(word).name for word in sys.argv[1:]))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scikit-learn", "torch"))
    print(f"{datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, {versions}")
    for name, (X, y) in load(arguments.data).items():
        table(name, X, y, arguments)


if __name__ == "__main__":
    main()
