"""MAXCUT on a real and on a made graph, beside hyperplane rounding of the same relaxation."""

from importlib.resources import as_file, files

import numpy as np

from sklearn_derand import DerandMaxCut
from sklearn_derand._main_job._task import CpuClock, Row, Task, holds
from sklearn_derand.datasets import make_graph, read_graph

N_NODES = 2000


def cut_les_miserables(seed):
    """Cut the co-appearance graph of *Les Miserables* (77 characters, shipped with the package)."""
    with as_file(files("sklearn_derand.datasets") / "data" / "les_miserables.txt") as path:
        W = read_graph(path)
    return _cut("les_miserables", "MAXCUT: Les Miserables, 77 characters, 254 weighted edges", W, seed)


def cut_made_graph(seed):
    """Cut a random graph of 2,000 nodes and about 20,000 edges."""
    W = make_graph(kind="gnp", n_nodes=N_NODES, density=0.01, random_state=seed)
    return _cut("made_graph", f"MAXCUT: random graph, {N_NODES} nodes, {W.nnz // 2} edges", W, seed)


def _cut(name, title, W, seed):
    rows, certificates = [], {}
    for polish in (None, "auto"):
        clock = CpuClock()
        with clock.timed():
            ours = DerandMaxCut(metric="precomputed", polish=polish, random_state=seed).fit(W)
        method = "DerandMaxCut, no polish" if polish is None else f"DerandMaxCut, {ours.polish_} polish"
        certificates[method] = ours.certificate_
        bound = f"<= {ours.upper_bound_:.1f} (gap {ours.gap_:.2%})"
        quality = {"cut": _cut_value(W, ours.labels_), "expected at start": ours.expected_cut_}
        rows.append(Row(method, quality, clock.seconds, bound, holds(ours.certificate_)))
        if polish is None:
            seconds, embedding, expected = clock.seconds, ours.embedding_, ours.expected_cut_
    clock, cuts = _hyperplanes(W, embedding, seconds, seed)
    rows.append(
        Row("one random hyperplane, mean", {"cut": cuts.mean(), "expected at start": expected}, clock / cuts.size)
    )
    best = {"cut": cuts.max(), "expected at start": expected}
    rows.append(Row(f"best of {cuts.size} hyperplanes", best, clock))
    arrays = {"W": W, "labels": ours.labels_, "hyperplane_cuts": cuts, "upper_bound": ours.upper_bound_}
    arrays["cuts"] = {row.method: row.quality["cut"] for row in rows[:2]}
    return Task(
        name=name,
        title=title,
        note="Weight of the edges cut. The hyperplanes round our relaxation, for the CPU seconds of the whole "
        "unpolished fit.",
        rows=rows,
        certificates=certificates,
        arrays=arrays,
    )


def _cut_value(W, labels):
    """Return ``sum_{i<j} w_ij [labels_i != labels_j]``, from the returned labels."""
    edges = W.tocoo()
    return float(edges.data[labels[edges.row] != labels[edges.col]].sum() / 2)


def _hyperplanes(W, embedding, seconds, seed):
    """Return the CPU seconds spent on, and the cuts of, random hyperplane roundings, in batches of 100."""
    rng, clock, cuts = np.random.RandomState(seed), CpuClock(), []
    total = W.sum()
    while not cuts or clock.seconds < seconds:
        with clock.timed():
            signs = np.sign(embedding @ rng.standard_normal((embedding.shape[1], 100)))
            cuts.append((total - np.einsum("ij,ij->j", signs, W @ signs)) / 4)
    return clock.seconds, np.concatenate(cuts)
