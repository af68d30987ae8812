"""Rows set aside, by which students are compared."""

from __future__ import annotations

import numpy as np

from sklearn_derand.estimators._student_data import StudentData
from sklearn_derand.estimators._student_search import StudentSpec, descend_briefly, held_out_losses

LEARNED = 0.95
"""A student whose held-out loss is above this share of the constant's has learned nothing: it does not end the path,
and the next one starts at random, since a first layer near 0 is a trap."""

PATIENCE = 2
"""Candidates without improvement after which a path of candidates ends."""

LOOSE_TOL = {"full": 1e-2, "refined": 1e-4}
"""Gradient norm at which candidates are compared: a held-out loss settles long before its gradient."""

LOOSE_STEPS = 50
"""Most steps of a candidate."""


class HeldOut:
    """A split of the rows, and descents on its larger part judged on its smaller one."""

    def __init__(self, data: StudentData, spec: StudentSpec, fraction: float, seed: int):
        self.data, self.fraction = data, fraction
        order = np.random.RandomState(seed).permutation(data.n_samples())
        n_held = min(max(1, round(fraction * len(order))), len(order) - 1)
        self.held, self.fitted = (data.own(rows) for rows in np.split(order, [n_held]))
        self.spec, self.seed = spec, seed

    def redrawn(self, seed: int) -> HeldOut:
        """Return another split of the same rows, in the same proportion."""
        return HeldOut(self.data, self.spec, self.fraction, seed)

    def descend(self, rank, penalty, decay, start):
        """Return the risk, the student and its losses on the rows set aside."""
        start = start(self.spec.network(self.fitted, rank)) if callable(start) else start
        loose = {"tol": LOOSE_TOL["full" if rank is None else "refined"], "steps": LOOSE_STEPS}
        risk, solution = descend_briefly(self.fitted, self.spec, rank, (penalty, decay), start, self.seed, **loose)
        return risk, solution.params, held_out_losses(self.spec.risk(self.held, rank, penalty), solution.params)

    def path(self, candidates, rank, start, patience):
        """Descend along (penalty, decay) pairs, each from the last; return the best as (pair, risk, params, losses)."""
        best, waited = None, 0
        for penalty, decay in candidates:
            risk, params, losses = self.descend(rank, penalty, decay, start)
            learned = self.mean(losses) < LEARNED * self.mean(self.constant_losses(risk))
            start = params if learned else start
            if best is None or self.mean(losses) < self.mean(best[3]):
                best, waited = ((penalty, decay), risk, params, losses), 0
            elif learned:
                waited += 1
            if waited == patience:
                break
        return best

    def constant_losses(self, risk) -> np.ndarray:
        """Losses of the rows set aside where the network returns 0: the training mean, in the user's units."""
        held = self.spec.risk(self.held, risk.network.rank, risk.alpha)
        return held_out_losses(held, held.inputs.new_zeros(risk.network.n_params))

    def mean(self, losses: np.ndarray) -> float:
        """Weighted mean over the rows set aside; inf where it is not finite."""
        mean = float(self.held.ranks.sum(self.held.weights @ losses))
        return mean if np.isfinite(mean) else np.inf

    def within_error(self, table: list[np.ndarray]) -> int:
        """First candidate within one standard error, of the paired differences, of the best."""
        losses = np.array(table)
        means = np.array([self.mean(row) for row in losses])
        weights, ranks = self.held.weights, self.held.ranks
        excess = losses - losses[np.argmin(means)]
        gaps = ranks.sum(excess @ weights)
        spread = np.sqrt(np.maximum(ranks.sum(((excess - gaps[:, None]) ** 2) @ weights), 0.0))
        return int(np.argmax(gaps <= spread * np.sqrt(ranks.sum(np.sum(weights**2)))))
