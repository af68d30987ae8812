"""
One neuron: why the bias must be trained
========================================

The paper's first experiment: one neuron ``max(w x + b, 0)**3`` is asked for the constant 1, with x standard normal and
a penalty ``lam w**2``. The best answer uses no randomness at all, ``w = 0, b = 1``. With the bias frozen at 0 the
neuron can only reach 1 through w, and keeps it until the penalty is large, when it *jumps* to 0. With the bias trained,
w = 0 is best for every penalty.
"""

# %%
# The risk is a Gaussian integral over a half line. With b = 0 it has a closed form, which checks the quadrature.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq, minimize

nodes, weights = np.polynomial.legendre.leggauss(400)
x = 12.0 * nodes
density = 12.0 * weights * np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)


def risk(w, b, lam):
    """``E (relu(w x + b)**3 - 1)**2 + lam w**2`` by Gauss-Legendre on [-12, 12]."""
    return density @ (np.maximum(w * x + b, 0.0) ** 3 - 1.0) ** 2 + lam * w**2


def frozen(w, lam):
    """The same at b = 0, in closed form."""
    w = np.abs(w)
    return 1.0 - 2.0 * np.sqrt(2.0 / np.pi) * w**3 + 7.5 * w**6 + lam * w**2


for w in (0.1, 0.376, 0.8):
    assert abs(risk(w, 0.0, 0.3) - frozen(w, 0.3)) < 1e-4

# %%
# Global minimisers for a range of penalties: by a grid for the frozen bias, from many starts for the trained one.

penalties = np.linspace(0.0, 0.8, 801)
grid = np.linspace(0.0, 1.0, 20_001)
w_frozen = np.array([grid[np.argmin(frozen(grid, lam))] for lam in penalties])


def best_trained(lam):
    """Return ``|w|`` of the lowest of the minima found from a grid of starts."""
    starts = [(w, b) for w in (0.0, 0.3, 0.7) for b in (0.0, 0.5, 1.0)]
    ends = [minimize(lambda p: risk(p[0], p[1], lam), s, method="BFGS", options={"gtol": 1e-9}) for s in starts]
    return abs(min(ends, key=lambda end: end.fun).x[0])


few = np.array([1e-4, 0.1, 0.3, 0.5, 0.8])
w_trained = np.array([best_trained(lam) for lam in few])

# %%
# The jump is where the two branches of the frozen neuron are level, near lam = 0.450 and w = 0.376.


def advantage(lam):
    """Return how much the best non-zero w gains over w = 0."""
    inside = grid[grid > 0.1]
    return 1.0 - frozen(inside, lam).min()


jump = brentq(advantage, 0.3, 0.6)
before = grid[np.argmin(frozen(grid, jump - 1e-4))]
print(f"frozen bias: w* jumps from {before:.3f} to 0 at lam = {jump:.3f}; trained bias: w* <= {w_trained.max():.1e}")
assert abs(jump - 0.450) < 2e-3
assert abs(before - 0.376) < 2e-3
assert w_trained.max() < 1e-3

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(penalties, w_frozen, label="bias frozen at 0")
ax.plot(few, w_trained, "o-", label="bias trained")
ax.set(xlabel="penalty", ylabel="w at the global minimum", title="A trained bias makes the weight vanish")
ax.legend()
plt.show()
