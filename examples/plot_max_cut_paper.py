"""
Maximum cut without noise
=========================

The maximum cut experiment of the paper: a random graph of 15 nodes, each pair an edge with probability 0.6. A random
hyperplane through the vectors of the Goemans-Williamson relaxation cuts it well on average. Instead of drawing
hyperplanes, :class:`~sklearn_derand.DerandMaxCut` adds a mean to each vertex and raises the expected cut while the
noise falls to zero: what is left is one labelling, no worse than the average it started from.
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np

from sklearn_derand import DerandMaxCut
from sklearn_derand.datasets import make_graph

W = make_graph("gnp", n_nodes=15, density=0.6, random_state=0)

# %%
# Fifteen nodes have 16,384 cuts: the best of them is found by looking at all.
signs = np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=14)])
optimum = (W.sum() - np.einsum("ki,ki->k", signs, signs @ W)).max() / 4

# %%
# ``polish=None`` shows the descent alone.
model = DerandMaxCut(metric="precomputed", polish=None, random_state=0).fit(W)
print(f"best of all cuts        {optimum:g}")
print(f"ours                    {model.cut_value_:g}")
print(f"mean of a hyperplane    {model.expected_cut_:.2f}")
print(f"no cut is above         {model.upper_bound_:g}")
print(model.certificate_)

# %%
# The hyperplanes that were not drawn, beside what the derandomised descent does.
normals = np.random.RandomState(0).standard_normal((model.embedding_.shape[1], 2000))
drawn = np.where(model.embedding_ @ normals < 0, -1, 1)
cuts = (W.sum() - np.einsum("ij,ij->j", drawn, W @ drawn)) / 4

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.hist(cuts, bins=np.arange(cuts.min() - 0.5, optimum + 1.5), color="0.8", label="2000 random hyperplanes")
left.axvline(model.expected_cut_, color="C1", label="their mean, in closed form")
left.axvline(model.cut_value_, color="C0", label="DerandMaxCut")
left.axvline(optimum, color="k", linestyle=":", label="optimum")
left.set(xlabel="cut", ylabel="hyperplanes")
left.legend(loc="upper left")

steps = np.arange(model.history_["value"].size)
right.plot(steps, -model.history_["value"], "o-", label="expected cut")
right.axhline(model.expected_cut_, color="C1", label="Goemans-Williamson expectation")
right.axhline(optimum, color="k", linestyle=":", label="optimum")
right.set(xlabel="recorded point", ylabel="expected cut")
noise = right.twinx()
noise.plot(steps, model.history_["noise"], "s--", color="C2")
noise.set_ylabel("noise (row norm of V)", color="C2")
right.legend(loc="center right")
figure.tight_layout()
plt.show()
