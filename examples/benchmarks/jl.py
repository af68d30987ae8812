"""Johnson-Lindenstrauss embeddings: the largest distortion over all pairs, of fitted and of new points.

    python examples/benchmarks/jl.py --data DIR [--rows 0 3 ...] [--draws 1000] [--splits 1] [--seed 0]
        [--methods NAME ...] [--json FILE]
    python examples/benchmarks/jl.py --report FILE [FILE ...]

``DIR`` holds ``mnist_2000.npz``, ``fashion_mnist_900.npz``, ``news20_tfidf_2000.npz`` and ``pbmc68k_700.npz``;
digits come with scikit-learn. Every row deals its data out, ``--splits`` times: points to fit and disjoint held-out
sets of as many points each, one to six, as many as the data hold. Each map gets *one* scale, the best on the fitted
points (``Gaussian`` alone stays as drawn); ours keep the scale they were fitted with. Columns are the distortion of the
fitted points, that of a held-out set, averaged over the sets, with its standard error over the splits, and CPU seconds,
one thread. The best peer of a row is the one whose *mean* is best. Projections take seeds that no data set is drawn
from: a Gaussian data set and a Gaussian map from one seed are not independent.

The peers are those of ``jl_peers.py``.
"""

import argparse
import importlib.metadata
import json
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
from jl_peers import peers, project, rescaled
from scipy import sparse
from sklearn.datasets import load_digits

from sklearn_derand import DerandJLEmbedding
from sklearn_derand.metrics import max_distortion

PROJECTION_SEED = 1_000_003
"""Far from every seed that draws data."""

ROWS = [
    ("unit vectors", 100, 30),
    ("digits", 250, 8),
    ("digits", 250, 16),
    ("digits", 250, 32),
    ("digits", 898, 32),
    ("fashion", 250, 32),
    ("fashion", 250, 128),
    ("mnist", 1000, 32),
    ("mnist", 1000, 128),
    ("tf-idf", 250, 64),
    ("tf-idf", 1000, 64),
    ("genes", 350, 128),
]


MOST_SETS = 6
"""Held-out sets of a split."""


def load(name, directory, random):
    """Return the points of a data set: dense, or csr for tf-idf."""
    if name == "unit vectors":
        X = random.standard_normal(((1 + MOST_SETS) * 100, 500))
        return X / np.linalg.norm(X, axis=1, keepdims=True)
    if name == "digits":
        return load_digits().data
    if name == "tf-idf":
        parts = np.load(directory / "news20_tfidf_2000.npz")
        return sparse.csr_array(
            (parts["data"].astype(float), parts["indices"], parts["indptr"]), shape=tuple(parts["shape"])
        )
    file = {"fashion": "fashion_mnist_900.npz", "mnist": "mnist_2000.npz", "genes": "pbmc68k_700.npz"}[name]
    return np.load(directory / file)["X"].astype(float)


def split(name, n_fit, directory, seed):
    """Return the points to fit and the held-out sets of as many points each."""
    random = np.random.RandomState(seed)
    X = load(name, directory, random)
    order = random.permutation(X.shape[0])
    n_sets = min(X.shape[0] // n_fit, 1 + MOST_SETS)
    fitted, *held = (X[part] for part in np.split(order[: n_sets * n_fit], n_sets))
    return fitted, held


OURS = {"ours": None, "ours, 0.2 aside": 0.2}
"""Shares of the points set aside."""


def measure(components, fitted, held, seconds):
    """Return the distortion of the fitted points, the mean one of the held-out sets, and the CPU time."""
    on_fitted, *on_held = (max_distortion(X, project(X, components)) for X in [fitted, *held])
    return on_fitted, float(np.mean(on_held)), seconds


def run_row(name, n_fit, k, arguments, seed):
    """Return ``{method: (fitted, held out, CPU s)}`` and our estimator."""
    fitted, held = split(name, n_fit, arguments.data, seed)
    results = {}
    for peer, method in peers(arguments.draws).items():
        if not wanted(peer, arguments):
            continue
        start = time.process_time()
        components = method(fitted, k, np.random.RandomState(PROJECTION_SEED + seed))
        seconds = time.process_time() - start
        if peer != "Gaussian":
            components = rescaled(fitted, components)
        results[peer] = measure(components, fitted, held, seconds)
    bound, certified = np.inf, True
    for ours, fraction in OURS.items():
        if not wanted(ours, arguments):
            continue
        start = time.process_time()
        embedding = DerandJLEmbedding(k, validation_fraction=fraction, random_state=seed).fit(fitted)
        results[ours] = measure(embedding.components_, fitted, held, time.process_time() - start)
        if fraction is None:
            bound, certified = embedding.distortion_lower_bound_, embedding.certificate_.holds
    return results, bound, certified


def wanted(method, arguments):
    """Tell whether a method is to be run."""
    return arguments.methods is None or method in arguments.methods


def report(name, n_fit, k, splits, bounds, certified):
    """Print one row of the table and say what it shows."""
    means = {method: np.mean([split[method] for split in splits], axis=0) for method in splits[0]}
    held = {method: np.array([split[method][1] for split in splits]) for method in means}
    times = np.mean([split["ours"][0] / bound for split, bound in zip(splits, bounds, strict=True)])
    print(
        f"\n{name} ({n_fit}), k = {k}, {len(splits)} splits: no map below {min(bounds):.3f}; "
        f"certificates {'hold' if certified else 'DO NOT HOLD'}"
    )
    for method, (on_fitted, on_held, seconds) in means.items():
        error = f" +- {_standard_error(held[method]):.3f}" if len(splits) > 1 else ""
        print(f"    {method:<18} fitted {on_fitted:7.4f}   held out {on_held:7.3f}{error}   CPU {seconds:6.2f} s")
    others = {method: row for method, row in means.items() if method not in OURS}
    best_fit = min(others, key=lambda m: others[m][0])
    best_held = min(others, key=lambda m: others[m][1])
    excess = held["ours, 0.2 aside"] - held[best_held]
    shown = {
        "fitted": bool(means["ours"][0] <= others[best_fit][0]),
        "CPU": bool(means["ours"][2] <= others[best_fit][2]),
        "held out": bool(excess.mean() <= 0),
    }
    words = ", ".join(f"{what}: {'at or below' if good else 'ABOVE'}" for what, good in shown.items())
    print(f"    best peers: {best_fit} (fitted), {best_held} (held out). Ours are {words}.")
    print(f"    fitted, ours is on average {times:.3f} times the bound of its split")
    if len(splits) > 1:
        print(
            f"    held out, ours less that peer: {excess.mean():+.3f} +- {_standard_error(excess):.3f}, "
            f"at or below in {(excess <= 0).sum()} of {len(splits)} splits"
        )
    sys.stdout.flush()
    return shown


def _standard_error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


def collect(files):
    """Return the splits of each row from what earlier runs wrote, in the order of the rows.

    Methods run apart on the same split are joined; what not every split of a row has is left out.
    """
    rows = {}
    for part in (part for file in files for part in json.loads(file.read_text())):
        whole = rows.setdefault(part["row"], {"splits": {}, "bounds": {}, "certified": True})
        for seed, split, bound in zip(part["seeds"], part["splits"], part["bounds"], strict=True):
            # Methods run without ours know no bound.
            whole["bounds"][seed] = min(bound, whole["bounds"].get(seed, np.inf))
            seen = whole["splits"].setdefault(seed, {})
            if seen.keys() & split.keys():
                raise SystemExit(f"row {part['row']}: {sorted(seen.keys() & split.keys())} came twice for seed {seed}")
            seen.update(split)
        whole["certified"] &= part["certified"]
    for index, row in sorted(rows.items()):
        splits = [split for _, split in sorted(row["splits"].items())]
        common = [method for method in splits[0] if all(method in split for split in splits)]
        splits = [{method: split[method] for method in common} for split in splits]
        bounds = [bound for _, bound in sorted(row["bounds"].items())]
        yield row | {"row": index, "seeds": sorted(row["splits"]), "splits": splits, "bounds": bounds}


def measured(index, arguments):
    """Run one row and return it as ``--json`` writes it."""
    seeds = list(range(arguments.seed, arguments.seed + arguments.splits))
    splits, bounds, certified = zip(*(run_row(*ROWS[index], arguments, seed) for seed in seeds), strict=True)
    return {
        "row": index,
        "seeds": seeds,
        "splits": list(splits),
        "bounds": list(bounds),
        "certified": all(certified),
    }


def main():
    """Run the rows asked for, or report what was run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--rows", type=int, nargs="*", default=range(len(ROWS)), metavar="N")
    parser.add_argument("--draws", type=int, default=1000, help="Gaussian draws of 'best of'; 0 leaves it out")
    parser.add_argument("--splits", type=int, default=1, help="dealings of the data, of seeds --seed, --seed + 1, ...")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="*", metavar="NAME", help="as the tables print them; without a report")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    parser.add_argument(
        "--report", type=Path, nargs="+", metavar="FILE", help="run nothing; report such files together"
    )
    arguments = parser.parse_args()
    if not arguments.report and not arguments.data:
        parser.error("--data is required, except with --report")
    known = [*peers(arguments.draws), *OURS]
    if unknown := set(arguments.methods or ()).difference(known):
        parser.error(f"--methods {sorted(unknown)}: choose from {known}")
    print("python examples/benchmarks/jl.py", *(Path(word).name for word in sys.argv[1:]))
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy", "scikit-learn", "torch")
    )
    print(f"{datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, {versions}")
    if not arguments.report:
        # Loading torch is not part of a fit.
        warm_up = np.random.RandomState(5).standard_normal((12, 4))
        DerandJLEmbedding(2, validation_fraction=0.2, random_state=0).fit(warm_up)
    rows = collect(arguments.report) if arguments.report else (measured(index, arguments) for index in arguments.rows)
    everything, verdicts = [], []
    for row in rows:
        everything.append(row)
        if arguments.methods is None:
            verdicts.append(report(*ROWS[row["row"]], row["splits"], row["bounds"], row["certified"]))
    for what in ("fitted", "CPU", "held out") if verdicts else ():
        count = sum(verdict[what] for verdict in verdicts)
        print(f"{what}: {count} of {len(verdicts)} rows at or below the best peer")
    if not arguments.report:
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
