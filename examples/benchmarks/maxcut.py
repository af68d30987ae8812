"""Maximum cut on Gset graphs: DerandMaxCut beside simulated annealing, hyperplane rounding and networkx.

For each graph, budget and seed, in one process and one thread; every time is CPU time of the process, so that a busy
machine does not matter:

* ``ours``: ``DerandMaxCut(polish="auto", max_time=budget)``, reduction, relaxation, bound and certificate included. Its
  time limit is read from the CPU clock here, from the wall clock for users;
* ``ours, no sampler``: ``polish=None`` and one-flip local search, at default effort: the derandomised descent;
* ``dwave, 1 read`` and ``dwave, 4 reads``: simulated annealing of dwave-samplers from random states with its default
  schedule and as many sweeps as fill the CPU seconds that ``ours`` took; runs that find its speed are not charged;
* ``openjij``: its annealing in the same way, where it is installed;
* ``SDP + 100 hyperplanes`` of the same relaxation, and ``+ one-flip``;
* ``networkx``: its one-exchange heuristic, with ``--networkx`` (minutes on these graphs).

Cuts are recomputed from labels by ``sklearn_derand.metrics.cut_value``. ``ratio`` is to the best cut known
(``best_known.csv`` of the data directory), ``certified`` to our own upper bound, which is given in per cent above the
value of the semidefinite relaxation in the same file (below it where the reduction made it tighter). A mean marked
``<`` is more than one standard error (of ours, at least half a unit) below the best peer at the same budget: there we
lose.

    python examples/benchmarks/maxcut.py --data DIR [--budgets 1 5 20] [--graphs G1 G22 ...] [--seeds 5] [--networkx]
        [--lines FILE] [--only-report]

With ``--lines`` each run is appended to FILE as a line of JSON, and runs that are there already are not repeated: the
table can be made in pieces, and is printed of what there is. ``DIR`` holds NAME.txt.gz in rudy format and
``best_known.csv`` with columns name, best_known and sdp_bound. Budgets below 2 s are for at most 3,000 nodes.
"""

import argparse
import csv
import datetime
import functools
import importlib.metadata
import importlib.util
import json
import os
import platform
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
from sklearn_derand.estimators._cut_deadline import Deadline
from sklearn_derand.metrics import cut_value

OURS, PLAIN, ROUNDING = "ours", "ours, no sampler", "SDP + 100 hyperplanes + one-flip"
NOT_PEERS = (OURS, PLAIN)


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


SPEEDS = {}


def filled(run, budget, key):
    """Run ``run(n_sweeps)`` with as many sweeps as fill the budget, at the speed of the last run of this kind."""
    if key not in SPEEDS:
        n_sweeps, taken = 16, 0.0
        while taken < 0.15 * budget:
            n_sweeps *= 4
            _, taken = clocked(run, n_sweeps)
        SPEEDS[key] = n_sweeps / taken
    n_sweeps = max(1, int(SPEEDS[key] * budget))
    labels, taken = clocked(run, n_sweeps)
    SPEEDS[key] = n_sweeps / taken
    if taken < 0.85 * budget:  # the speed was underrated: the peer gets its time
        n_sweeps = int(SPEEDS[key] * budget)
        labels, taken = clocked(run, n_sweeps)
    return labels, taken


def dwave(W, seed, budget, n_reads, name):
    """Simulated annealing of dwave-samplers, default schedule, random states."""
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    model = dimod.BinaryQuadraticModel.from_numpy_vectors(np.zeros(W.shape[0]), upper_edges(W), 0.0, dimod.SPIN)

    def run(n_sweeps):
        found = SimulatedAnnealingSampler().sample(
            model, num_reads=n_reads, num_sweeps=max(1, n_sweeps // n_reads), seed=seed
        )
        return found.first.sample

    best, taken = filled(run, budget, (name, budget, n_reads))
    return np.array([best[node] for node in range(W.shape[0])]), taken


def openjij(W, seed, budget, name):
    """Simulated annealing of openjij."""
    import openjij

    couplings = {(int(i), int(j)): float(w) for i, j, w in zip(*upper_edges(W), strict=True)}
    sampler = openjij.SASampler()

    def run(n_sweeps):
        return sampler.sample_ising({}, couplings, num_reads=1, num_sweeps=n_sweeps, seed=seed).first.sample

    best, taken = filled(run, budget, (name, budget, "openjij"))
    return np.array([best.get(node, 1) for node in range(W.shape[0])]), taken


def hyperplanes(embedding, seed, n=100):
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


def plain_descent(W, seed):
    """Fit without polish, then flip single vertices."""
    labels = fit(W, seed, polish=None).labels_
    return flipped(W, 1.0 - 2.0 * labels[:, None])[:, 0]


def networkx_exchange(W, seed):
    """Return the one-exchange heuristic's labels."""
    import networkx as nx

    _, (side, _) = nx.approximation.one_exchange(nx.from_scipy_sparse_array(W), seed=seed, weight="weight")
    return np.isin(np.arange(W.shape[0]), list(side))


def compare(name, W, seed, budget, arguments):
    """Yield one record a method: cut and CPU seconds; that of ours has its bound and certificate as well."""
    ours, seconds = clocked(lambda: fit(W, seed, max_time=budget))
    extra = {
        "bound": ours.upper_bound_,
        "bound_method": ours.bound_method_,
        "holds": ours.certificate_.holds,
        "expected": ours.expected_cut_,
    }
    runs = [(OURS, ours.labels_, seconds, extra)]
    if importlib.util.find_spec("dwave"):
        runs += [(f"dwave, {k} read{'s' * (k > 1)}", *dwave(W, seed, seconds, k, name), {}) for k in (1, 4)]
    if arguments.openjij and importlib.util.find_spec("openjij"):
        runs.append(("openjij", *openjij(W, seed, seconds, name), {}))
    if arguments.plain:
        runs.append((PLAIN, *clocked(plain_descent, W, seed), {}))
        signs, cast = clocked(hyperplanes, ours.embedding_, seed)
        runs.append(("SDP + 100 hyperplanes", best_column(W, signs), cast, {}))
        local, flips = clocked(flipped, W, signs)
        runs.append((ROUNDING, best_column(W, local), cast + flips, {}))
    if arguments.networkx:
        runs.append(("networkx", *clocked(networkx_exchange, W, seed), {}))
    for method, labels, taken, more in runs:
        yield {
            "graph": name,
            "budget": budget,
            "seed": seed,
            "method": method,
            "cut": cut_value(W, labels),
            "seconds": round(taken, 3),
            "place": place(),
            **more,
        }


@functools.cache
def place():
    """Return the machine and the versions that a run is made with."""
    names = ("numpy", "scipy", "torch", "scikit-learn", "dwave-samplers", "openjij", "networkx")
    there = [
        name for name in names if importlib.util.find_spec({"scikit-learn": "sklearn"}.get(name, name.split("-")[0]))
    ]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in there)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{machine}; Python {platform.python_version()}, {versions}"


def known(folder):
    """Return the rows of ``best_known.csv`` by name."""
    with open(folder / "best_known.csv", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def report_graph(records, row):
    """Print one graph's rows; return the means of ours and of the best peer."""
    cuts, seconds = defaultdict(list), defaultdict(list)
    for record in records:
        cuts[record["method"]].append(record["cut"])
        seconds[record["method"]].append(record["seconds"])
    ours = [record for record in records if record["method"] == OURS]
    bound, relaxed, best = max(r["bound"] for r in ours), float(row["sdp_bound"]), float(row["best_known"])
    print(
        f"\n{row['name']}, {ours[0]['budget']:g} s: best known {best:g}, our bound {bound:g} "
        f"({100 * (bound / relaxed - 1):+.3f} % of the relaxation, {ours[0]['bound_method']}), "
        f"certificates {sum(r['holds'] for r in ours)} of {len(ours)}"
    )
    best_peer = max((np.mean(cuts[method]) for method in cuts if method not in NOT_PEERS), default=-np.inf)
    lost = np.mean(cuts[OURS]) < best_peer - max(standard_error(cuts[OURS]), 0.5)
    for method, values in cuts.items():
        mean, mark = np.mean(values), "<" if method == OURS and lost else " "
        print(
            f"  {method:34s}{mark}{mean:10.1f} +- {standard_error(values):4.1f}  max {np.max(values):8g}  "
            f"of {len(values)}  ratio {mean / best:.5f}  certified {mean / bound:.4f}  "
            f"{np.mean(seconds[method]):6.2f} CPU s"
        )
    plain = [np.mean(cuts[method]) if method in cuts else np.nan for method in (PLAIN, ROUNDING)]
    return np.mean(cuts[OURS]), best_peer, lost, *plain


def standard_error(values):
    """Return the standard error of the mean, 0 of a single value."""
    return np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0


def report(records, rows):
    """Print the table of all records, by budget and graph, and the sums."""
    print(f"{datetime.date.today()}, CPU seconds of one thread")
    print("python examples/benchmarks/maxcut.py " + " ".join(sys.argv[1:]))
    for budget in sorted({record["budget"] for record in records}):
        places = sorted({record["place"] for record in records if record["budget"] == budget})
        print(f"\n{budget:g} s, on " + " and on ".join(places))
        table, names = [], []
        for name, row in rows.items():
            mine = [record for record in records if (record["graph"], record["budget"]) == (name, budget)]
            if any(record["method"] == OURS for record in mine):
                table.append(report_graph(mine, row))
                names.append(name)
        ours, peers, lost, plain, rounded = (np.array(column) for column in zip(*table, strict=True))
        print(
            f"\n{budget:g} s: over {len(table)} graphs the sum of ours is {ours.sum():.1f}, of the best peer of each "
            f"{peers.sum():.1f}; ours is more than one standard error below it on "
            f"{', '.join(np.array(names)[lost.astype(bool)]) or 'none'}"
        )
        seen = np.isfinite(plain)
        if seen.any():
            gain = 100 * (plain[seen] / rounded[seen] - 1)
            print(
                f"{budget:g} s: without a sampler ours is at or above {ROUNDING} on {(gain >= 0).sum()} of "
                f"{seen.sum()} graphs, by {gain.mean():.2f} % in the mean"
            )


def main():
    """Run the comparison."""
    sys.stdout.reconfigure(line_buffering=True)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.txt.gz and best_known.csv")
    parser.add_argument("--budgets", type=float, nargs="+", default=[1, 5, 20], help="CPU seconds for each fit")
    parser.add_argument("--graphs", nargs="+", help="names; default: all of best_known.csv")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--first-seed", type=int, default=1000, help="the constants were chosen on other seeds and graphs"
    )
    parser.add_argument("--lines", type=Path, help="file of JSON lines to add to and to report")
    parser.add_argument("--only-report", action="store_true", help="run nothing, print the table of --lines")
    parser.add_argument("--no-openjij", dest="openjij", action="store_false")
    parser.add_argument("--no-plain", dest="plain", action="store_false", help="leave out the methods without sampler")
    parser.add_argument("--networkx", action="store_true", help="also networkx one-exchange: minutes a graph")
    arguments = parser.parse_args()
    Deadline.clock = time.process_time
    rows = known(arguments.data)
    lines = arguments.lines.read_text().splitlines() if arguments.lines and arguments.lines.exists() else []
    records = [json.loads(line) for line in lines]
    done = {(r["graph"], r["budget"], r["seed"]) for r in records}
    if not arguments.only_report:
        fit(make_graph(n_nodes=50, random_state=0), 0)  # imports are nobody's budget
    for budget in [] if arguments.only_report else arguments.budgets:
        for name in arguments.graphs or rows:
            W = read_graph(arguments.data / f"{name}.txt.gz")
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                if (budget < 2 and W.shape[0] > 3000) or (name, budget, seed) in done:
                    continue
                found = list(compare(name, W, seed, budget, arguments))
                records += found
                if arguments.lines:
                    with open(arguments.lines, "a") as file:
                        file.writelines(json.dumps(record) + "\n" for record in found)
    report(records, rows)


if __name__ == "__main__":
    main()
