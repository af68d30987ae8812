"""The polish of DerandMaxCut: improve the cuts of the descents, then combine them."""

from __future__ import annotations

import time

import numpy as np

READS = 8
"""Labellings that are annealed and combined in a round."""

VISITS, SWEEPS = 8_000_000, (500, 4000)
"""Vertices visited by the annealing of each, without a time limit, and the least and most sweeps that this makes."""

LONG = 8000
"""Most sweeps for each with a time limit: then a new round from new descents pays more."""

CHILD_SWEEPS = 1000
"""Annealing sweeps for a combination, on the few vertices that the reduction leaves."""

CHILDREN = 24
"""Combinations of a round without a time limit."""

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
    time_left : callable or None
        Seconds left.
    """

    def __init__(self, weights, sets, polish, time_left):
        self.weights, self.sets, self.polish, self.time_left = weights, sets, polish, time_left
        self.elite = np.empty((weights.shape[0], 0))

    def improve(self, signs, seed):
        """Improve labellings, combine them with the best of former rounds; return what became of all."""
        from sklearn_derand.problems.rounding import one_flip
        from sklearn_derand.problems.weighted_graph import cut_values

        rng = np.random.RandomState(seed)
        flipped = one_flip(self.sets, signs, self._out_of_time)
        order = np.argsort(-cut_values(self.weights, flipped), kind="stable")
        signs = flipped[:, order[: min(READS, max(1, (order.size + 1) // 2))]]
        budget = None if self.time_left is None else max(0.0, self.time_left())
        n_sweeps = self._sweeps(signs, budget) if self.polish == "annealing" else 0
        polished = self._search(self.weights, signs, n_sweeps, TABU_MOVES, rng)
        polished = one_flip(self.sets, polished, self._out_of_time)
        pool = _distinct(np.column_stack([flipped, polished, self.elite]))
        pool = pool[:, np.argsort(-cut_values(self.weights, pool), kind="stable")[: 2 * READS]]
        pool = self._combine(pool, rng, None if budget is None else 0.35 * budget)
        best = int(np.argmax(cut_values(self.weights, pool)))
        self.elite = _distinct(np.column_stack([self.elite, pool[:, [best]]]))
        return pool

    def _combine(self, pool, rng, seconds):
        from sklearn_derand.problems.recombination import combine
        from sklearn_derand.problems.rounding import one_flip
        from sklearn_derand.problems.weighted_graph import cut_values

        def search(weights, starts):
            return self._search(weights, starts[:, :1], CHILD_SWEEPS, CHILD_MOVES, rng)

        cuts = cut_values(self.weights, pool)
        stop = None if seconds is None else time.monotonic() + seconds
        n_children = CHILDREN if seconds is None else 20 * CHILDREN
        for _ in range(n_children):
            if pool.shape[1] < 2 or (stop is not None and time.monotonic() > stop) or self._out_of_time():
                break
            chosen = rng.choice(pool.shape[1], min(PARENTS, pool.shape[1]), replace=False)
            chosen = chosen[np.argsort(-cuts[chosen], kind="stable")]
            child = combine(self.weights, pool[:, chosen], search)
            child = one_flip(self.sets, child[:, None])
            # In place of the worst parent; a copy of another only makes room.
            pool[:, chosen[-1]] = child[:, 0]
            cuts[chosen[-1]] = cut_values(self.weights, child)[0]
            pool, kept = _distinct(pool, return_index=True)
            cuts = cuts[kept]
        return pool

    def _search(self, weights, signs, n_sweeps, n_moves, rng):
        from sklearn_derand.problems import polish
        from sklearn_derand.problems.rounding import independent_sets, one_flip

        seed = int(rng.randint(2**31 - 1))
        if weights.nnz == 0 or self._out_of_time():
            return signs
        if self.polish == "annealing":
            found = polish.anneal(weights, signs, n_sweeps=n_sweeps, seed=seed, time_left=self.time_left)
        elif self.polish == "tabu":
            found = polish.tabu(weights, signs, n_moves=n_moves, seed=seed)
        else:
            return one_flip(independent_sets(weights), signs)
        return np.column_stack([signs, found])

    def _sweeps(self, signs, budget):
        n = self.weights.shape[0]
        if budget is None:
            return int(np.clip(VISITS // n, SWEEPS[0], min(SWEEPS[1], SWEEPS[0] + 20 * n)))
        affordable = 0.35 * budget * self._sweeps_per_second(budget) / signs.shape[1]
        return int(np.clip(affordable, 10, LONG))

    def _sweeps_per_second(self, budget):
        from sklearn_derand.problems import polish

        n_sweeps, one = 10, np.ones((self.weights.shape[0], 1))
        while True:
            start = time.monotonic()
            polish.anneal(self.weights, one, n_sweeps=n_sweeps, seed=0)
            taken = time.monotonic() - start
            if taken > 0.03 * budget or n_sweeps >= LONG:
                return n_sweeps / max(taken, 1e-6)
            n_sweeps *= 4

    def _out_of_time(self):
        return self.time_left is not None and self.time_left() <= 0


def _distinct(signs, return_index=False):
    """Drop columns that equal an earlier one or its negative."""
    keys = np.packbits(signs * signs[:1] > 0, axis=0)
    _, first = np.unique(keys, axis=1, return_index=True)
    first = np.sort(first)
    return (signs[:, first], first) if return_index else signs[:, first]
