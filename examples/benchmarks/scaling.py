"""What grows how: CPU seconds and memory of a fit, as powers of the sizes of its data.

    python examples/benchmarks/scaling.py [--only student jl cut] [--figure FILE]

One size grows while the others stay as they are; each point is one fit in a process of its own, on one thread. Time is
CPU seconds of the fit alone. Memory is what its peak adds to what the process held before, data included; points
below 4 MiB say nothing and are left out of the fit. Exponents are slopes of least squares on double logarithmic scales;
the number of steps varies with the data, so they are rough. Steps are those published in ``n_iter_``.
"""

import argparse
import multiprocessing
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
from scipy import sparse

SIZES = {
    "student": {
        "base": {"n": 2000, "d": 10, "k": 1},
        "n": [2000, 4000, 8000, 16000, 32000],
        "d": [10, 20, 40, 80],
        "k": [1, 2, 4, 8],
    },
    "jl": {
        "base": {"n": 300, "d": 200, "k": 16},
        "n": [300, 600, 1200, 2400],
        "d": [200, 400, 800, 1600],
        "k": [8, 16, 32, 64],
    },
    "cut": {
        "base": {"n": 2000, "m": 10_000},
        "n": [2000, 4000, 8000, 16000],
        "m": [10_000, 20_000, 40_000, 80_000],
    },
}
SYMBOLS = {"n": "rows, points or vertices", "d": "columns", "k": "components", "m": "edges"}
TITLES = {"student": "MultiIndexStudentRegressor", "jl": "DerandJLEmbedding", "cut": "DerandMaxCut"}
LEAST_MEMORY = 4.0
"""MiB below which a difference of resident memory is noise."""


def problem(name, n, d=None, k=None, m=None):
    """Return an estimator and its data at one size; with ``n`` growing a graph keeps five edges a vertex."""
    random = np.random.RandomState(0)
    if name == "student":
        from sklearn_derand import MultiIndexStudentRegressor

        X = random.standard_normal((n, d))
        y = np.tanh(X[:, :k]).sum(axis=1) + 0.1 * random.standard_normal(n)
        return MultiIndexStudentRegressor(k, alpha=0.01, random_state=0), (X, y)
    if name == "jl":
        from sklearn_derand import DerandJLEmbedding

        return DerandJLEmbedding(k, random_state=0), (random.standard_normal((n, d)),)
    from sklearn_derand import DerandMaxCut

    pairs = np.unique(np.sort(random.randint(n, size=(2 * m + 10, 2)), axis=1), axis=0)
    pairs = random.permutation(pairs[pairs[:, 0] < pairs[:, 1]])[:m]
    graph = sparse.coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n, n))
    return DerandMaxCut("precomputed", polish=None, random_state=0), (sparse.csr_array(graph + graph.T),)


def resident(field):
    """Return a line of /proc/self/status in MiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(field))


def measure(name, sizes):
    """Fit once; return CPU seconds, MiB and steps."""
    estimator, data = problem(name, **sizes)
    small, few = problem(name, n=60, **({"m": 200} if name == "cut" else {"d": 5, "k": 2}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small.fit(*few)  # imports what a fit needs
        with open("/proc/self/clear_refs", "w") as reset:
            reset.write("5")  # the peak restarts from here
        before, start = resident("VmRSS"), time.process_time()
        estimator.fit(*data)
    seconds = time.process_time() - start
    return {"seconds": seconds, "memory": resident("VmHWM") - before, "steps": estimator.n_iter_}


def in_a_fresh_process(name, sizes):
    """Run ``measure`` in a process of its own, forked from one that has done nothing but import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sklearn_derand.estimators", "sklearn_derand.engine", "__main__"])
    with context.Pool(1) as pool:
        return pool.apply(measure, (name, sizes))


def slope(sizes, values, least=0.0):
    """Return the exponent of a power law, nan where fewer than three values say something."""
    sizes, values = np.array(sizes, dtype=float), np.array(values)
    kept = values > least
    if kept.sum() < 3:
        return np.nan
    return float(np.polyfit(np.log(sizes[kept]), np.log(values[kept]), 1)[0])


def sweep(name, symbol):
    """Measure along one size; print the rows and the exponents."""
    rows = []
    for size in SIZES[name][symbol]:
        sizes = SIZES[name]["base"] | {symbol: size}
        if name == "cut" and symbol == "n":
            sizes["m"] = 5 * size
        rows.append(in_a_fresh_process(name, sizes))
        found = rows[-1]
        print(
            f"{TITLES[name] if size == SIZES[name][symbol][0] else '':28}{symbol:>2} ={size:>7}"
            f"{found['seconds']:>10.2f}{found['memory']:>10.1f}{found['steps']:>8}"
            f"{1e3 * found['seconds'] / max(1, found['steps']):>12.2f}",
            flush=True,
        )
    size = SIZES[name][symbol]
    seconds = slope(size, [row["seconds"] for row in rows])
    memory = slope(size, [row["memory"] for row in rows], LEAST_MEMORY)
    a_step = slope(size, [row["seconds"] / max(1, row["steps"]) for row in rows])
    power = "-" if np.isnan(memory) else f"{memory:.2f}"
    print(f"{'':28}{'exponent':>11}{seconds:>10.2f}{power:>10}{'':8}{a_step:>12.2f}", flush=True)
    return rows


def draw(found, path):
    """Draw time and memory against the size that grows, relative to its first value."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "scaling"
    from matplotlib import pyplot, ticker

    names = list(dict.fromkeys(name for name, _ in found))
    figure, axes = pyplot.subplots(2, len(names), figsize=(3.4 * len(names), 5.6), sharex="col", squeeze=False)
    for column, name in enumerate(names):
        for (other, symbol), rows in found.items():
            if other != name:
                continue
            growth = np.array(SIZES[name][symbol]) / SIZES[name][symbol][0]
            for axis, quantity, least in zip(axes[:, column], ("seconds", "memory"), (0.0, LEAST_MEMORY), strict=True):
                values = np.array([row[quantity] for row in rows])
                kept = values > least
                power = slope(growth, values, least)
                label = f"{symbol} (from {SIZES[name][symbol][0]:,})" + ("" if np.isnan(power) else f": {power:.1f}")
                axis.loglog(growth[kept], values[kept], marker="o", label=label)
        axes[0, column].set_title(TITLES[name], fontsize=10)
        for axis in axes[:, column]:
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter(ticker.ScalarFormatter())
            axis.yaxis.set_minor_formatter(ticker.NullFormatter())
            axis.set_ylim(top=8 * axis.get_ylim()[1])  # room for the legend
            axis.legend(fontsize=8, title="size: exponent", title_fontsize=8, loc="upper left")
            axis.grid(alpha=0.3)
        axes[1, column].set_xlabel("growth of the size")
    axes[0, 0].set_ylabel("CPU seconds of a fit")
    axes[1, 0].set_ylabel("memory of a fit, MiB")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    """Measure, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--figure", metavar="FILE", help="draw an SVG")
    arguments = parser.parse_args()
    print("python examples/benchmarks/scaling.py", *sys.argv[1:])
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "scikit-learn"))
    print(f"Python {platform.python_version()}, {libraries}; {platform.machine()}, one thread")
    print(f"{datetime.now(UTC):%Y-%m-%d}\n")
    for name in arguments.only:
        base = SIZES[name]["base"]
        print(f"{TITLES[name]} at " + ", ".join(f"{symbol} = {size:,}" for symbol, size in base.items()))
    print(f"\n{'':28}{'size':>11}{'CPU s':>10}{'MiB':>10}{'steps':>8}{'ms a step':>12}")
    found = {}
    for name in arguments.only:
        for symbol in SIZES[name]:
            if symbol != "base":
                found[name, symbol] = sweep(name, symbol)
    if arguments.figure:
        draw(found, arguments.figure)


if __name__ == "__main__":
    main()
