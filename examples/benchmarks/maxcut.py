"""Maximum cut on Gset graphs: DerandMaxCut beside simulated annealing, hyperplane rounding and networkx.

For each graph, budget and seed, in one process and one thread:

* ``ours``: ``DerandMaxCut(polish="auto", max_time=budget)``, reduction, relaxation, bound, certificate included;
* ``ours, no sampler``: the same fit with ``polish="one_flip"`` and its default effort;
* ``dwave``: simulated annealing of dwave-samplers from random states with its default schedule, one read, as many
  sweeps as fill the CPU seconds that ``ours`` took (calibrated by short runs that are part of the budget). A budget is
  wall-clock time to ``ours``, so run this on an idle machine; 0 is the default effort without a limit, safe under load;
* ``dwave, 4 reads``: the same with four reads of a quarter of the sweeps;
* ``openjij``: its annealing in the same way, where it is installed;
* ``SDP + 100 hyperplanes`` of the same relaxation, and ``+ one-flip``;
* ``networkx``: its one-exchange heuristic, with ``--networkx`` (minutes on these graphs).

Cuts are recomputed from labels by ``sklearn_derand.metrics.cut_value``. ``ratio`` is to the best cut known
(``best_known.csv`` of the data directory), ``certified`` to our own upper bound, which is given in per cent above the
value of the semidefinite relaxation in the same file (below it where the reduction made it tighter). A mean marked
``<`` is more than one standard error below the best peer at the same budget: there we lose.

    python examples/benchmarks/maxcut.py --data DIR [--budgets 1 5 20] [--graphs G1 G22 ...] [--seeds 3] [--networkx]

``DIR`` holds NAME.txt.gz in rudy format and ``best_known.csv`` with columns name, best_known and sdp_bound.
"""

import argparse
import csv
import importlib.util
import os
import sys
import time
import warnings
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_derand import DerandMaxCut
from sklearn_derand.datasets import make_graph, read_graph
from sklearn_derand.metrics import cut_value

OURS, PLAIN = "ours", "ours, no sampler"


def clocked(function, *arguments):
    """Return the result and the CPU seconds that it took."""
    start = time.process_time()
    result = function(*arguments)
    return result, time.process_time() - start


def fit(W, seed, **settings):
    """Fit ours; a certificate that does not hold shows in the table, not as a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return DerandMaxCut(metric="precomputed", random_state=seed, **settings).fit(W)


def upper_edges(W):
    """Rows, columns and weights of the edges, each once."""
    entries = W.tocoo()
    upper = entries.row < entries.col
    return entries.row[upper], entries.col[upper], entries.data[upper]


def filled(run, budget):
    """Run ``run(n_sweeps)`` with as many sweeps as fill the budget, found from short runs that count."""
    n_sweeps, used, before = 16, 0.0, 0.0
    while True:
        labels, taken = clocked(run, n_sweeps)
        used += taken
        if taken > 0.1 * budget or used > 0.4 * budget:
            break
        n_sweeps, before = 4 * n_sweeps, taken
    # Three quarters of the last run's sweeps took the difference; what is left is overhead.
    each = max(taken - before, 0.1 * taken) / (0.75 * n_sweeps)
    more = int((budget - used - before) / each)
    return run(more) if more > n_sweeps else labels


def dwave(W, seed, budget, n_reads):
    """Simulated annealing of dwave-samplers, default schedule, random states."""
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    model = dimod.BinaryQuadraticModel.from_numpy_vectors(np.zeros(W.shape[0]), upper_edges(W), 0.0, dimod.SPIN)

    def run(n_sweeps):
        found = SimulatedAnnealingSampler().sample(
            model, num_reads=n_reads, num_sweeps=max(1, n_sweeps // n_reads), seed=seed
        )
        return found.first.sample

    best = filled(run, budget)
    return np.array([best[node] for node in range(W.shape[0])])


def openjij(W, seed, budget):
    """Simulated annealing of openjij."""
    import openjij

    couplings = {(int(i), int(j)): float(w) for i, j, w in zip(*upper_edges(W), strict=True)}
    sampler = openjij.SASampler()

    def run(n_sweeps):
        return sampler.sample_ising({}, couplings, num_reads=1, num_sweeps=n_sweeps, seed=seed).first.sample

    best = filled(run, budget)
    return np.array([best.get(node, 1) for node in range(W.shape[0])])


def hyperplanes(W, embedding, seed, n=100):
    """Return the labels of ``n`` random hyperplanes, as columns of signs."""
    signs = np.sign(embedding @ np.random.RandomState(seed).standard_normal((embedding.shape[1], n)))
    return np.where(signs == 0, 1.0, signs)


def flipped(W, signs):
    """Return one-flip optimal signs."""
    from sklearn_derand.problems.rounding import independent_sets, one_flip

    return one_flip(independent_sets(W), signs)


def best_column(W, signs):
    """Return the column of the largest cut."""
    return signs[:, int(np.argmin(np.einsum("ij,ij->j", signs, W @ signs)))]


def networkx_exchange(W, seed):
    """Return the one-exchange heuristic's labels."""
    import networkx as nx

    _, (side, _) = nx.approximation.one_exchange(nx.from_scipy_sparse_array(W), seed=seed)
    return np.isin(np.arange(W.shape[0]), list(side))


def compare(W, seed, budget, with_networkx):
    """Return the fit of ours and, for each method, labels and CPU seconds."""
    ours, seconds = clocked(lambda: fit(W, seed, max_time=budget or None))
    runs = {OURS: (ours.labels_, seconds)}
    plain, plain_seconds = clocked(lambda: fit(W, seed, polish="one_flip"))
    runs[PLAIN] = plain.labels_, plain_seconds
    if importlib.util.find_spec("dwave"):
        for n_reads, name in ((1, "dwave"), (4, "dwave, 4 reads")):
            runs[name] = clocked(dwave, W, seed, seconds, n_reads)
    if importlib.util.find_spec("openjij"):
        runs["openjij"] = clocked(openjij, W, seed, seconds)
    signs, cast = clocked(hyperplanes, W, ours.embedding_, seed)
    runs["SDP + 100 hyperplanes"] = best_column(W, signs), cast
    local, flips = clocked(flipped, W, signs)
    runs["SDP + 100 hyperplanes + one-flip"] = best_column(W, local), cast + flips
    if with_networkx:
        runs["networkx"] = clocked(networkx_exchange, W, seed)
    return ours, runs


def load(folder, names):
    """Yield name, graph, best known cut and value of the relaxation."""
    with open(folder / "best_known.csv", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    for name in names or rows:
        yield (
            name,
            read_graph(folder / f"{name}.txt.gz"),
            float(rows[name]["best_known"]),
            float(rows[name]["sdp_bound"]),
        )


def report(name, budget, known, relaxed, fits, cuts, seconds):
    """Print one graph's rows."""
    bound = max(model.upper_bound_ for model in fits)
    held = sum(model.certificate_.holds for model in fits)
    print(
        f"\n{name}, {budget:g} s: best known {known:g}, our bound {bound:g} ({100 * (bound / relaxed - 1):+.3f} % of "
        f"the relaxation, {fits[0].bound_method_}), certificates {held} of {len(fits)}"
    )
    peers = [method for method in cuts if method not in (OURS, PLAIN)]
    best_peer = max(np.mean(cuts[method]) for method in peers)
    for method, values in cuts.items():
        mean = np.mean(values)
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        mark = "<" if method == OURS and mean < best_peer - max(error, 0.5) else " "
        print(
            f"  {method:34s}{mark}{mean:10.1f} +- {error:4.1f}  max {np.max(values):8g}  ratio {mean / known:.5f}  "
            f"certified {mean / bound:.4f}  {np.mean(seconds[method]):6.2f} CPU s"
        )
    return np.mean(cuts[OURS]), best_peer


def main():
    """Run the comparison."""
    sys.stdout.reconfigure(line_buffering=True)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.txt.gz and best_known.csv")
    parser.add_argument(
        "--budgets", type=float, nargs="+", default=[1, 5, 20], help="seconds for each fit; 0: no limit"
    )
    parser.add_argument("--graphs", nargs="+", help="names; default: all of best_known.csv")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networkx", action="store_true", help="also networkx one-exchange: minutes a graph")
    arguments = parser.parse_args()
    fit(make_graph(n_nodes=50, random_state=0), 0)  # imports are nobody's budget
    for budget in arguments.budgets:
        totals = []
        for name, W, known, relaxed in load(arguments.data, arguments.graphs):
            if 0 < budget < 2 and W.shape[0] > 3000:
                continue
            fits, cuts, seconds = [], defaultdict(list), defaultdict(list)
            for seed in range(arguments.seeds):
                model, runs = compare(W, seed, budget, arguments.networkx)
                fits.append(model)
                for method, (labels, taken) in runs.items():
                    cuts[method].append(cut_value(W, labels))
                    seconds[method].append(taken)
            totals.append(report(name, budget, known, relaxed, fits, cuts, seconds))
        ours, peers = np.sum(totals, axis=0) if totals else (0.0, 0.0)
        print(f"\nSum over {len(totals)} graphs at {budget:g} s: ours {ours:.1f}, best peer of each graph {peers:.1f}")


if __name__ == "__main__":
    main()
