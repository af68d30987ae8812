"""The steps of DerandMaxCut.fit on one graph: relax, bound, descend, read off labels."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np

from sklearn_derand.estimators._cut_population import Population
from sklearn_derand.estimators._cut_units import WeightUnits

REPLICAS = 16
"""Descents at once: one replica takes a third of the time of sixteen."""

STEPS, LEAST_STEPS = 300, 60
"""Steps of the continuation from sigma = 1 to 0, and the fewest where time or work is limited."""

WORK_LIMIT = 3e9
"""Edge visits of one round of descents on large graphs: about 20 seconds. Fewer replicas, then fewer steps, above."""

WORK_PER_SECOND, DESCENT_SHARE = 1.0e8, 0.05
"""Edge visits that a core makes; with a time limit, descents are sized to take this share of what is left."""

RECORDS, MANY_EDGES = 10, 500_000
"""Points of the path whose exact value goes to ``history_``; three with a time limit and on graphs with more stored
weights than this."""

RESERVE = 0.08
"""Share of the time limit kept for the certificate."""

SETTLED = 8.0
"""Means of this many smoothings: erf(8 / sqrt 2) is 1 in float64."""


def load_libraries(polish):
    """Import what a fit needs, torch above all, so that a time limit can begin afterwards.

    Parameters
    ----------
    polish : str or None
        As in DerandMaxCut.
    """
    from sklearn_derand.problems.polish import is_available

    modules = ["engine", *(f"problems.{name}" for name in ("continuation", "dual_bound", "reduction", "rounding"))]
    for module in ["problems.vector_relaxation", *modules]:
        import_module(f"sklearn_derand.{module}")
    if polish in ("auto", "annealing", "tabu") and is_available():
        import_module("dwave.samplers")


class CutSearch:
    """One fit on one graph: each step leaves its result as attributes.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal, float64.
    rank, n_init, polish, n_jobs, device
        As in DerandMaxCut.
    init : ndarray of shape (n_nodes,) or None
        Signs to start from as well.
    seeds : list of int
        Four: relaxation, bound, descents, engine.
    deadline : Deadline or None
        ``None`` for no limit.

    Notes
    -----
    All steps work on ``units.weights``, so that a constant factor changes nothing but the numbers reported.
    """

    def __init__(self, weights, *, rank, n_init, init, polish, n_jobs, device, seeds, deadline):
        from sklearn_derand.engine.tensors import resolve_device
        from sklearn_derand.problems.polish import check_polish
        from sklearn_derand.problems.reduction import reduce_graph

        self.units = WeightUnits(weights)
        self.given = self.units.weights
        self.n_nodes = weights.shape[0]
        self.reduction = reduce_graph(self.given)
        self.weights = self.reduction.weights
        self.rank, self.n_init, self.init, self.n_jobs = rank, n_init, init, n_jobs
        self.polish = check_polish(polish, self.n_nodes)
        self.device = resolve_device(device)
        self.seeds = seeds
        self.deadline = deadline
        self.total_time = None if deadline is None else deadline()
        self.n_steps = 0

    def relax(self):
        """Solve the low-rank relaxation of the reduced graph: ``vectors`` and ``expected_cut`` of the given one."""
        from sklearn_derand.problems import vector_relaxation as relaxation

        n = self.weights.shape[0]
        rank = relaxation.default_rank(self.n_nodes) if self.rank == "auto" else self.rank
        start = relaxation.random_unit_vectors(n, rank, np.random.RandomState(self.seeds[0])).astype(np.float32)
        vectors = relaxation.solve_relaxation(self.weights, start, out_of_time=self._out_of_share(0.3))
        self._vectors = relaxation.normalise_rows(vectors)
        self.vectors = self.reduction.extend_vectors(self._vectors)
        self.expected_cut = relaxation.expected_cut(self.given, self.vectors)

    def bound(self):
        """Bound every cut from above: ``dual``, in the given weights."""
        from sklearn_derand.problems.dual_bound import dual_bound, round_down_if_integer

        found = dual_bound(self.weights, self._vectors, self._lanczos)
        # The reduction adds and subtracts weights, a few roundings for each.
        rounding = 64 * np.finfo(np.float64).eps * float(np.abs(self.given.data).sum())
        value = round_down_if_integer(found.value + self.reduction.offset + rounding, self.given)
        self.dual = replace(found, value=round_down_if_integer(self.units.at_most(value), self.units.given))

    def descend(self):
        """Descend from the law of the relaxation, round, polish: ``signs``, the best labelling of the given graph."""
        from sklearn_derand.problems import rounding

        self._sets = rounding.independent_sets(self.weights)
        starts = [np.ones(self.n_nodes)] + ([] if self.init is None else [self.init])
        self._best, self._cut, self._best_path_cut = None, -np.inf, -np.inf
        self._keep_best(np.column_stack(starts)[self.reduction.kept])
        seeds = np.random.RandomState(self.seeds[2])
        reserve = None if self.deadline is None else self.deadline.within(self.deadline() - self._reserve())
        population = Population(self.weights, self._sets, self.polish, reserve, self.n_jobs)
        for n_replicas in self._rounds():
            signs = self._descend_once(n_replicas, int(seeds.randint(2**31 - 1)))
            self._keep_best(signs)
            seed = int(seeds.randint(2**31 - 1))
            if self.polish is not None and self.weights.nnz:
                self._keep_best(population.improve(np.column_stack([signs, self._best]), seed))
        if self._cut + self.reduction.offset < self.expected_cut:
            self._keep_best(rounding.one_flip(self._sets, self._condition_on_normals()[:, None]))
        self.signs = self._choose(np.column_stack([*starts, self.reduction.extend(self._best[:, None])]))

    def _rounds(self):
        n_left = REPLICAS if self.n_init == "auto" else self.n_init
        while n_left > 0:
            yield min(n_left, REPLICAS)
            if self.n_init != "auto" or self.deadline is None:
                n_left -= REPLICAS
            if self.deadline is not None and self.deadline() < 1.2 * self._reserve():
                return

    def _reserve(self):
        return RESERVE * self.total_time

    def _choose(self, signs):
        from sklearn_derand.problems.weighted_graph import cut_values

        return signs[:, int(np.argmax(cut_values(self.given, signs)))]

    def mean_block(self):
        """Return the objective at ``V = 0``."""
        from sklearn_derand.problems.continuation import SMOOTHING
        from sklearn_derand.problems.max_cut import ExpectedCut

        return ExpectedCut(*self._edges(self.given), n_nodes=self.n_nodes, rank=0, smoothing=SMOOTHING)

    def mean_starts(self):
        """Yield where the engine starts: the best descent's means, with removed vertices settled; else the labels."""
        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems.continuation import SMOOTHING

        means = self._best_means.double().cpu().numpy()
        start = SETTLED * SMOOTHING * self.reduction.extend(np.where(means < 0, -1.0, 1.0)[:, None])[:, 0]
        start[self.reduction.kept] = means
        yield as_tensor(start, self.device)
        yield as_tensor(SETTLED * SMOOTHING * self.signs, self.device)

    def history(self):
        """Return value, gradient norm and noise along the best descent."""
        import torch

        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems.continuation import SMOOTHING
        from sklearn_derand.problems.max_cut import ExpectedCut

        vectors = as_tensor(self._vectors, self.device)
        shape = {"n_nodes": vectors.shape[0], "rank": vectors.shape[1]}
        law = ExpectedCut(*self._edges(self.weights), smoothing=SMOOTHING, **shape)
        rows = []
        with torch.no_grad():
            for sigma, gradient_norm, means in self._best_path:
                value = law.value(torch.cat([means.double(), (sigma * vectors).reshape(-1)])).item()
                rows.append((value - self.reduction.offset, gradient_norm, sigma))
        return dict(zip(("value", "gradient_norm", "noise"), np.array(rows).T, strict=True))

    def _descend_once(self, n_replicas, seed):
        import torch

        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems import continuation, rounding
        from sklearn_derand.problems.weighted_graph import cut_values

        weights = self.weights
        seconds = None if self.deadline is None else DESCENT_SHARE * max(0.0, self.deadline() - self._reserve())
        limit = WORK_LIMIT if seconds is None else min(WORK_LIMIT, WORK_PER_SECOND * seconds)
        fits = max(1, int(limit / STEPS / max(1, weights.nnz)))
        n_replicas = min(n_replicas, max(4, fits))
        # Small graphs settle sooner; large ones are held to the work limit.
        n_steps = min(STEPS, 50 + 2 * weights.shape[0], max(LEAST_STEPS, int(limit / n_replicas / max(1, weights.nnz))))
        with torch.no_grad():
            path = continuation.descend_noise(
                as_tensor(weights.indptr, self.device, torch.int64),
                as_tensor(weights.indices, self.device, torch.int64),
                as_tensor(weights.data, self.device),
                as_tensor(self._vectors, self.device),
                n_replicas=n_replicas,
                n_steps=n_steps,
                n_records=RECORDS if weights.nnz < MANY_EDGES and seconds is None else 3,
                generator=torch.Generator().manual_seed(seed),
                time_used=None if seconds is None else self._share_used(2 * seconds),
            )
            sides = torch.erf(path.means.double() / (continuation.SMOOTHING * 2**0.5)).cpu().numpy()
        signs = rounding.round_means(self._sets, sides)
        cuts = cut_values(weights, signs)
        best = int(np.argmax(cuts))
        if cuts[best] > self._best_path_cut:
            self._best_path_cut = cuts[best]
            self._best_path = [
                (sigma, norms[best].item(), means[:, best])
                for sigma, norms, means in zip(path.noise, path.gradient_norms, path.snapshots, strict=True)
            ]
            self._best_means = path.means[:, best]
        self.n_steps += n_steps
        return signs

    def _keep_best(self, signs):
        from sklearn_derand.problems.weighted_graph import cut_values

        cuts = cut_values(self.weights, signs)
        best = int(np.argmax(cuts))
        if cuts[best] > self._cut:
            self._best, self._cut = signs[:, best].copy(), float(cuts[best])

    def _condition_on_normals(self):
        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems import rounding

        return rounding.condition_on_normals(*self._edges(self.weights), as_tensor(self._vectors, self.device))

    def _edges(self, weights):
        import torch

        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems.weighted_graph import upper_edges

        rows, cols, data = upper_edges(weights)
        return (
            as_tensor(rows, self.device, torch.int64),
            as_tensor(cols, self.device, torch.int64),
            as_tensor(data, self.device),
        )

    def _lanczos(self, matrix, accuracy):
        import torch

        from sklearn_derand.engine.eigenvalue import smallest_eigenvalue

        matrix = matrix.tocsr()
        found = smallest_eigenvalue(
            lambda vector: torch.as_tensor(matrix @ vector.numpy()),
            matrix.shape[0],
            generator=torch.Generator().manual_seed(self.seeds[1]),
            accuracy=accuracy,
            max_products=500,
        )
        return found.bound, found.failure_probability

    def _out_of_share(self, share):
        return None if self.deadline is None else lambda: self.deadline() < (1 - share) * self.total_time

    def _share_used(self, seconds):
        begin = self.deadline()
        return lambda: (begin - self.deadline()) / max(1e-9, seconds)
