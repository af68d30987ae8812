"""The polish of DerandMaxCut: improve the cuts of the descents, then combine them."""

from __future__ import annotations

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

READS = 8
"""Labellings that are annealed in a round, each on its own; the best of them and of the descents are combined."""

VISITS, SWEEPS = 8_000_000, (500, 4000)
"""Vertices visited by the annealing of each, without a time limit, and the least and most sweeps that this makes."""

ENOUGH, LONG = 4000, 8000
"""With a time limit: sweeps below which fewer labellings are annealed instead, and above which a new round from new
descents pays more."""

ANNEALING_SHARE = 0.8
"""Share of a round's time, the rest is for combinations."""

CHILD_SWEEPS = 1000
"""Annealing sweeps for a combination, on the few vertices that the reduction leaves."""

CHILDREN, GENERATION = 24, 4
"""Combinations of a round without a time limit, and those that are made of the same pool, whatever ``n_jobs``."""

PARENTS = 8
"""Most labellings that one combination is made of."""

TABU_MOVES = 100_000
"""Moves considered by each tabu search."""

CHILD_MOVES = 5000
"""The same for a combination."""


class Population:
    """Good labellings of one graph, and their improvement.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal.
    sets : list
        Its independent sets.
    polish : {"annealing", "tabu", "one_flip"}
        What improves a labelling.
    deadline : Deadline or None
        When to stop.
    n_jobs : int or None
        Processes for the labellings; without a deadline the result is the same for any.
    """

    def __init__(self, weights, sets, polish, deadline, n_jobs):
        self.weights, self.sets, self.polish, self.deadline = weights, sets, polish, deadline
        self.n_workers = effective_n_jobs(n_jobs)
        self.run = Parallel(n_jobs=n_jobs)
        self.elite = np.empty((weights.shape[0], 0))

    def improve(self, signs, seed):
        """Improve labellings, combine them with the best of former rounds; return what became of all."""
        from sklearn_derand.problems.rounding import one_flip
        from sklearn_derand.problems.weighted_graph import cut_values

        rng = np.random.RandomState(seed)
        flipped = one_flip(self.sets, signs, self._out_of_time)
        order = np.argsort(-cut_values(self.weights, flipped), kind="stable")
        starts = flipped[:, order[: self._n_reads(order.size)]]
        begin = None if self.deadline is None else self.deadline()
        polished = one_flip(self.sets, self._polish(starts, rng), self._out_of_time)
        pool = _distinct(np.column_stack([flipped, polished, self.elite]))
        pool = pool[:, np.argsort(-cut_values(self.weights, pool), kind="stable")[: 2 * READS]]
        pool = self._combine(pool, rng, self._time_to_combine(begin))
        best = int(np.argmax(cut_values(self.weights, pool)))
        self.elite = _distinct(np.column_stack([self.elite, pool[:, [best]]]))
        return pool

    def _polish(self, starts, rng):
        tasks = np.array_split(np.arange(starts.shape[1]), starts.shape[1] if self.deadline is None else self.n_workers)
        deadline = None if self.deadline is None else self.deadline.within(ANNEALING_SHARE * self.deadline())
        n = self.weights.shape[0]
        n_sweeps = LONG if deadline else int(np.clip(VISITS // n, SWEEPS[0], min(SWEEPS[1], SWEEPS[0] + 20 * n)))
        found = self.run(
            delayed(_search)(self.weights, starts[:, task], self.polish, n_sweeps, TABU_MOVES, seed, deadline)
            for task, seed in zip(tasks, _seeds(rng, len(tasks)), strict=True)
            if task.size
        )
        return np.column_stack(found)

    def _combine(self, pool, rng, deadline):
        from sklearn_derand.problems.weighted_graph import cut_values

        cuts = cut_values(self.weights, pool)
        n_left = CHILDREN if deadline is None else 20 * CHILDREN * self.n_workers
        size = GENERATION if deadline is None else self.n_workers
        while n_left > 0 and pool.shape[1] > 1 and not (deadline is not None and deadline() <= 0):
            n_left -= size
            families = [rng.choice(cuts.size, min(PARENTS, cuts.size), replace=False) for _ in range(size)]
            families = [family[np.argsort(-cuts[family], kind="stable")] for family in families]
            children = self.run(
                delayed(_combination)(self.weights, self.sets, pool[:, family], self.polish, seed)
                for family, seed in zip(families, _seeds(rng, size), strict=True)
            )
            for family, child in zip(families, children, strict=True):
                # In place of the worst parent; a copy of another only makes room.
                pool[:, family[-1]], cuts[family[-1]] = child, cut_values(self.weights, child[:, None])[0]
            pool, kept = _distinct(pool, return_index=True)
            cuts = cuts[kept]
        return pool

    def _n_reads(self, n_starts):
        if self.deadline is None or self.polish != "annealing":
            return min(READS, max(1, (n_starts + 1) // 2))
        from sklearn_derand.problems.polish import VISITS_PER_SECOND

        affordable = ANNEALING_SHARE * max(0.0, self.deadline()) * VISITS_PER_SECOND / self.weights.shape[0]
        return min(n_starts, self.n_workers * int(np.clip(affordable / ENOUGH, 2, READS)))

    def _time_to_combine(self, begin):
        if self.deadline is None:
            return None
        seconds = (begin - self.deadline()) * (1 / ANNEALING_SHARE - 1)
        # Too short a rest for another round is used up here.
        rest = self.deadline()
        return self.deadline.within(rest if rest < 1.5 * seconds else seconds)

    def _out_of_time(self):
        return self.deadline is not None and self.deadline() <= 0


def _search(weights, signs, polish, n_sweeps, n_moves, seed, deadline=None):
    """Return the labellings with what the search makes of them."""
    from sklearn_derand.problems import polish as samplers
    from sklearn_derand.problems.rounding import independent_sets, one_flip

    if weights.nnz == 0 or (deadline is not None and deadline() <= 0):
        return signs
    if polish == "annealing":
        found = samplers.anneal(weights, signs, n_sweeps=n_sweeps, seed=seed, time_left=deadline)
    elif polish == "tabu":
        found = samplers.tabu(weights, signs, n_moves=n_moves, seed=seed)
    else:
        return one_flip(independent_sets(weights), signs)
    return np.column_stack([signs, found])


def _combination(weights, sets, parents, polish, seed):
    """Return the best combination found of the parents, the first of which is the best."""
    from sklearn_derand.problems.recombination import combine
    from sklearn_derand.problems.rounding import one_flip

    def search(small, starts):
        return _search(small, starts[:, :1], polish, CHILD_SWEEPS, CHILD_MOVES, seed)

    return one_flip(sets, combine(weights, parents, search)[:, None])[:, 0]


def _seeds(rng, n):
    return rng.randint(2**31 - 1, size=n).tolist()


def _distinct(signs, return_index=False):
    """Drop columns that equal an earlier one or its negative."""
    keys = np.packbits(signs * signs[:1] > 0, axis=0)
    _, first = np.unique(keys, axis=1, return_index=True)
    first = np.sort(first)
    return (signs[:, first], first) if return_index else signs[:, first]
