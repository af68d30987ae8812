"""The steps of DerandMaxCut.fit on one graph: relax, bound, descend, read off labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_derand.estimators._cut_population import Population

REPLICAS = 16
"""Descents at once: one replica takes a third of the time of sixteen."""

STEPS = 300
"""Steps of the continuation from sigma = 1 to 0."""

WORK_LIMIT = 3e9
"""Edge visits of one round of descents on large graphs: about 20 seconds. Fewer replicas, then fewer steps, above."""

WORK_PER_SECOND = 1.5e8
"""Edge visits that a core makes; with a time limit, descents are sized to take a third of what is left."""

RECORDS, MANY_EDGES = 10, 500_000
"""Points of the path whose exact value goes to ``history_``; three on graphs with more stored weights than this."""

RESERVE = 0.08
"""Share of the time limit kept for the certificate."""

SETTLED = 8.0
"""Means of this many smoothings: erf(8 / sqrt 2) is 1 in float64."""


class CutSearch:
    """One fit on one graph: each step leaves its result as attributes.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal, float64.
    rank, n_init, polish, device
        As in DerandMaxCut.
    init : ndarray of shape (n_nodes,) or None
        Signs to start from as well.
    seeds : list of int
        Four: relaxation, bound, descents, engine.
    time_left : callable or None
        Seconds left; ``None`` for no limit.
    """

    def __init__(self, weights, *, rank, n_init, init, polish, device, seeds, time_left):
        from sklearn_derand.engine.tensors import resolve_device
        from sklearn_derand.problems.polish import check_polish
        from sklearn_derand.problems.reduction import reduce_graph

        self.given = weights
        self.n_nodes = weights.shape[0]
        self.reduction = reduce_graph(weights)
        self.weights = self.reduction.weights
        self.rank, self.n_init, self.init = rank, n_init, init
        self.polish = check_polish(polish, self.n_nodes)
        self.device = resolve_device(device)
        self.seeds = seeds
        self.time_left = time_left
        self.total_time = None if time_left is None else time_left()
        self.n_steps = 0

    def relax(self):
        """Solve the low-rank relaxation of the reduced graph: ``vectors`` and ``expected_cut`` of the given one."""
        from sklearn_derand.problems import vector_relaxation as relaxation

        n = self.weights.shape[0]
        rank = relaxation.default_rank(self.n_nodes) if self.rank == "auto" else self.rank
        start = relaxation.random_unit_vectors(n, rank, np.random.RandomState(self.seeds[0])).astype(np.float32)
        vectors = relaxation.solve_relaxation(self.weights, start, out_of_time=self._deadline(share=0.3))
        self._vectors = relaxation.normalise_rows(vectors)
        self.vectors = self.reduction.extend_vectors(self._vectors)
        self.expected_cut = relaxation.expected_cut(self.given, self.vectors)

    def bound(self):
        """Bound every cut from above: ``dual``."""
        from sklearn_derand.problems.dual_bound import dual_bound, round_down_if_integer

        found = dual_bound(self.weights, self._vectors, self._lanczos)
        # The reduction adds and subtracts weights, a few roundings for each.
        rounding = 64 * np.finfo(np.float64).eps * float(np.abs(self.given.data).sum())
        value = round_down_if_integer(found.value + self.reduction.offset + rounding, self.given)
        self.dual = replace(found, value=value)

    def descend(self):
        """Descend from the law of the relaxation, round, polish: ``signs``, the best labelling of the given graph."""
        from sklearn_derand.problems import rounding

        self._sets = rounding.independent_sets(self.weights)
        starts = [np.ones(self.n_nodes)] + ([] if self.init is None else [self.init])
        self._best, self._cut, self._best_path_cut = None, -np.inf, -np.inf
        self._keep_best(np.column_stack(starts)[self.reduction.kept])
        seeds = np.random.RandomState(self.seeds[2])
        population = Population(self.weights, self._sets, self.polish, self._before_reserve())
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
            if self.n_init != "auto" or self.time_left is None:
                n_left -= REPLICAS
            if self.time_left is not None and self.time_left() < RESERVE * self.total_time:
                return

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
        limit = WORK_LIMIT if self.time_left is None else min(WORK_LIMIT, WORK_PER_SECOND * 0.3 * self.time_left())
        fits = max(1, int(limit / STEPS / max(1, weights.nnz)))
        n_replicas = min(n_replicas, max(4, fits))
        # Small graphs settle sooner; large ones are held to the work limit.
        n_steps = min(STEPS, 50 + 2 * weights.shape[0], max(100, int(limit / n_replicas / max(1, weights.nnz))))
        with torch.no_grad():
            path = continuation.descend_noise(
                as_tensor(weights.indptr, self.device, torch.int64),
                as_tensor(weights.indices, self.device, torch.int64),
                as_tensor(weights.data, self.device),
                as_tensor(self._vectors, self.device),
                n_replicas=n_replicas,
                n_steps=n_steps,
                n_records=RECORDS if weights.nnz < MANY_EDGES else 3,
                generator=torch.Generator().manual_seed(seed),
                time_used=self._share_used(),
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

    def _deadline(self, share):
        if self.time_left is None:
            return None
        return lambda: self.time_left() < (1 - share) * self.total_time

    def _before_reserve(self):
        if self.time_left is None:
            return None
        return lambda: self.time_left() - RESERVE * self.total_time

    def _share_used(self):
        if self.time_left is None:
            return None
        begin = self.time_left()
        return lambda: (begin - self.time_left()) / max(1e-9, 0.4 * begin)
