"""The steps of DerandMaxCut.fit on one graph: relax, bound, descend, read off labels."""

from __future__ import annotations

import numpy as np

REPLICAS = 16
"""Descents at once: one replica takes a third of the time of sixteen."""

STEPS = 300
"""Steps of the continuation from sigma = 1 to 0."""

WORK_LIMIT = 3e9
"""Edge visits of one round of descents on large graphs: about 20 seconds. Fewer replicas, then fewer steps, above."""

SWEEPS = 2000
"""Annealing sweeps of the first round."""

TABU_MOVES = 100_000
"""Moves considered by each tabu search."""

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

        self.weights = weights
        self.n_nodes = weights.shape[0]
        self.rank, self.n_init, self.init = rank, n_init, init
        self.polish = check_polish(polish, self.n_nodes)
        self.device = resolve_device(device)
        self.seeds = seeds
        self.time_left = time_left
        self.total_time = None if time_left is None else time_left()
        self.n_steps = 0

    def relax(self):
        """Solve the low-rank relaxation: ``vectors`` and ``expected_cut``."""
        from sklearn_derand.problems import vector_relaxation as relaxation

        rank = relaxation.default_rank(self.n_nodes) if self.rank == "auto" else self.rank
        start = relaxation.random_unit_vectors(self.n_nodes, rank, np.random.RandomState(self.seeds[0]))
        vectors = relaxation.solve_relaxation(
            self.weights, start.astype(np.float32), out_of_time=self._deadline(share=0.3)
        )
        self.vectors = relaxation.normalise_rows(vectors)
        self.expected_cut = relaxation.expected_cut(self.weights, self.vectors)

    def bound(self):
        """Bound every cut from above: ``dual``."""
        from sklearn_derand.problems.dual_bound import dual_bound

        self.dual = dual_bound(self.weights, self.vectors, self._lanczos)

    def descend(self):
        """Descend from the law of the relaxation, round, polish: ``signs``, the best labelling found."""
        from sklearn_derand.problems import rounding
        from sklearn_derand.problems.weighted_graph import cut_values

        self._sets = rounding.independent_sets(self.weights)
        starts = [np.ones(self.n_nodes)] + ([] if self.init is None else [self.init])
        self.signs, self._cut = None, -np.inf
        self._keep_best(np.column_stack(starts))
        self._best_path_cut = -np.inf
        seeds = np.random.RandomState(self.seeds[2])
        n_left = REPLICAS if self.n_init == "auto" else self.n_init
        n_round = 0
        while n_round == 0 or n_left > 0:
            n_replicas = min(n_left, REPLICAS)
            signs = self._descend_once(n_replicas, int(seeds.randint(2**31 - 1)))
            cuts = cut_values(self.weights, signs)
            order = np.argsort(-cuts, kind="stable")
            self._keep_best(signs[:, order[:1]])
            self._polish(signs[:, order], n_round, int(seeds.randint(2**31 - 1)))
            n_round += 1
            if self.n_init != "auto" or self.time_left is None:
                n_left -= n_replicas
            if self.time_left is not None and self.time_left() < 0.1 * self.total_time:
                break
        if self._cut < self.expected_cut:
            self._keep_best(rounding.one_flip(self._sets, self._condition_on_normals()[:, None]))

    def mean_block(self):
        """Return the objective at ``V = 0``."""
        from sklearn_derand.problems.continuation import SMOOTHING
        from sklearn_derand.problems.max_cut import ExpectedCut

        return ExpectedCut(*self._edges(), n_nodes=self.n_nodes, rank=0, smoothing=SMOOTHING)

    def mean_starts(self):
        """Yield where the engine starts: the best descent's means; else the labels, settled."""
        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems.continuation import SMOOTHING

        yield self._best_means.double().contiguous()
        yield as_tensor(SETTLED * SMOOTHING * self.signs, self.device)

    def history(self):
        """Return value, gradient norm and noise along the best descent."""
        import torch

        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems.continuation import SMOOTHING
        from sklearn_derand.problems.max_cut import ExpectedCut

        vectors = as_tensor(self.vectors, self.device)
        law = ExpectedCut(*self._edges(), n_nodes=self.n_nodes, rank=vectors.shape[1], smoothing=SMOOTHING)
        rows = []
        with torch.no_grad():
            for sigma, gradient_norm, means in self._best_path:
                value = law.value(torch.cat([means.double(), (sigma * vectors).reshape(-1)])).item()
                rows.append((value, gradient_norm, sigma))
        return dict(zip(("value", "gradient_norm", "noise"), np.array(rows).T, strict=True))

    def _descend_once(self, n_replicas, seed):
        import torch

        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems import continuation, rounding
        from sklearn_derand.problems.weighted_graph import cut_values

        weights = self.weights
        fits = max(1, int(WORK_LIMIT / STEPS / max(1, weights.nnz)))
        n_replicas = min(n_replicas, max(4, fits))
        n_steps = min(STEPS, max(100, int(WORK_LIMIT / n_replicas / max(1, weights.nnz))))
        with torch.no_grad():
            path = continuation.descend_noise(
                as_tensor(weights.indptr, self.device, torch.int64),
                as_tensor(weights.indices, self.device, torch.int64),
                as_tensor(weights.data, self.device),
                as_tensor(self.vectors, self.device),
                n_replicas=n_replicas,
                n_steps=n_steps,
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

    def _polish(self, signs, n_round, seed):
        from sklearn_derand.problems import polish, rounding

        if self.polish is None:
            return
        signs = rounding.one_flip(self._sets, signs, self._deadline(share=0.9))
        self._keep_best(signs)
        if self.weights.nnz == 0:
            return
        leading = signs[:, : max(1, signs.shape[1] // 4)]
        if self.polish == "annealing":
            sweeps = {"n_sweeps": SWEEPS * 2**n_round, "time_left": self.time_left}
            self._keep_best(polish.anneal(self.weights, leading, seed=seed, **sweeps))
        elif self.polish == "tabu":
            self._keep_best(polish.tabu(self.weights, leading, n_moves=TABU_MOVES, seed=seed))

    def _keep_best(self, signs):
        from sklearn_derand.problems.weighted_graph import cut_values

        cuts = cut_values(self.weights, signs)
        best = int(np.argmax(cuts))
        if cuts[best] > self._cut:
            self.signs, self._cut = signs[:, best].copy(), float(cuts[best])

    def _condition_on_normals(self):
        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems import rounding

        return rounding.condition_on_normals(*self._edges(), as_tensor(self.vectors, self.device))

    def _edges(self):
        import torch

        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems.weighted_graph import upper_edges

        rows, cols, data = upper_edges(self.weights)
        return (
            as_tensor(rows, self.device, torch.int64),
            as_tensor(cols, self.device, torch.int64),
            as_tensor(data, self.device),
        )

    def _lanczos(self, matrix, threshold):
        import torch

        from sklearn_derand.engine.eigenvalue import smallest_eigenvalue

        matrix = matrix.tocsr()
        found = smallest_eigenvalue(
            lambda vector: torch.as_tensor(matrix @ vector.numpy()),
            matrix.shape[0],
            generator=torch.Generator().manual_seed(self.seeds[1]),
            threshold=threshold,
            max_products=500,
        )
        return found.bound, found.failure_probability

    def _deadline(self, share):
        if self.time_left is None:
            return None
        return lambda: self.time_left() < (1 - share) * self.total_time

    def _share_used(self):
        if self.time_left is None:
            return None
        begin = self.time_left()
        return lambda: (begin - self.time_left()) / max(1e-9, 0.5 * begin)
