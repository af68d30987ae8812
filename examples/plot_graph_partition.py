"""
Cutting points and graphs
=========================

Two uses of :class:`~sklearn_derand.DerandMaxCut` on real data: as a clusterer of points, where pairwise *distances* are
the weights and far points go to different sides, and on a graph, where the answer comes with an upper bound.
"""

from importlib.resources import as_file, files

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_derand import DerandMaxCut
from sklearn_derand.datasets import read_graph
from sklearn_derand.displays import CutDisplay

# %%
# Points
# ------
# The default ``metric="euclidean"`` works as the last step of a pipeline. 569 cell samples, 30 measurements of each;
# the diagnosis is not shown to the fit.
X, y = load_breast_cancer(return_X_y=True)
pipeline = make_pipeline(StandardScaler(), DerandMaxCut(random_state=0))
labels = pipeline.fit_predict(X)
points = pipeline[-1]
print(f"{points.certificate_}")
print(f"adjusted Rand index with the diagnosis {adjusted_rand_score(y, labels):.2f}")
print(f"cut {points.cut_value_:.0f}, no cut above {points.upper_bound_:.0f}: within {points.gap_:.2%}")

# %%
# A graph
# -------
# The 77 characters of *Les Miserables*; the weight of an edge is the number of chapters that two of them share. A
# networkx graph goes in through ``networkx.to_scipy_sparse_array(graph)``.
with as_file(files("sklearn_derand.datasets") / "data" / "les_miserables.txt") as path:
    W = read_graph(path)
graph = DerandMaxCut(metric="precomputed", random_state=0).fit(W)
print(f"of a weight of {W.sum() / 2:.0f} at most {graph.upper_bound_:.0f} can be cut; cut are {graph.cut_value_:.0f}")
print(f"random hyperplanes of the same relaxation cut {graph.expected_cut_:.1f} on average")

# %%
# What is cut lies off the diagonal blocks. Points are drawn in their first two columns.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
CutDisplay.from_estimator(points, X, ax=left)
CutDisplay.from_estimator(graph, W.toarray(), ax=right)
plt.show()

# %%
# The cut is at least what the hyperplanes expect, and at most what the bound allows.
assert graph.expected_cut_ <= graph.cut_value_ <= graph.upper_bound_
assert points.expected_cut_ <= points.cut_value_ <= points.upper_bound_
