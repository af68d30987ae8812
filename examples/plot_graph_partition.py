"""
Cutting points and graphs
=========================

Two uses of :class:`~sklearn_derand.DerandMaxCut`: as a clusterer of points, where pairwise *distances* are the weights
and far points go to different sides, and on a graph of one's own, where the answer comes with an upper bound.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_derand import DerandMaxCut
from sklearn_derand.datasets import make_graph

# %%
# Points: the default ``metric="euclidean"`` works as a step of a pipeline.
X, y = make_blobs(150, centers=[[0, 0], [4, 3]], cluster_std=[1.0, 1.4], random_state=0)
pipeline = make_pipeline(StandardScaler(), DerandMaxCut(random_state=0))
labels = pipeline.fit_predict(X)
print(f"adjusted Rand index {adjusted_rand_score(y, labels):.3f}, gap to the bound {pipeline[-1].gap_:.2%}")

# %%
# A graph: a triangulation with couplings of both signs, as in a spin glass. A networkx graph goes in through
# ``networkx.to_scipy_sparse_array(graph)``.
W = make_graph("planar", n_nodes=300, weights="signed", random_state=0)
model = DerandMaxCut(metric="precomputed", random_state=0).fit(W)
print(
    f"cut {model.cut_value_:g}, no cut above {model.upper_bound_:g}, hyperplanes {model.expected_cut_:.1f} on average"
)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.scatter(*X.T, c=labels, cmap="coolwarm", s=15)
left.set_title("points, by side")
order = np.argsort(model.labels_, kind="stable")
matrix = W.toarray()[np.ix_(order, order)]
right.imshow(matrix, cmap="coolwarm", vmin=-1, vmax=1, interpolation="nearest")
border = np.sum(model.labels_ == 0) - 0.5
right.axhline(border, color="k", linewidth=0.8)
right.axvline(border, color="k", linewidth=0.8)
right.set_title("weights, by side: what is cut lies off the diagonal")
figure.tight_layout()
plt.show()
