"""
======================================
A random projection without randomness
======================================

The Johnson-Lindenstrauss experiment of the paper: 100 random unit vectors in 500 dimensions, mapped to 30. One
thousand Gaussian projections are drawn; :class:`~sklearn_derand.DerandJLEmbedding` descends the law they are drawn
from until no noise is left, to a single map.
"""

# %%
# The points, and the draws. The data's seed and the projections' differ: numbers of one stream are not independent.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.random_projection import GaussianRandomProjection

from sklearn_derand import DerandJLEmbedding
from sklearn_derand.metrics import distortions, max_distortion

X = np.random.RandomState(0).standard_normal((100, 500))
X /= np.linalg.norm(X, axis=1, keepdims=True)
draws = [GaussianRandomProjection(30, random_state=1000 + i).fit(X) for i in range(1000)]
worst_pair = np.array([max_distortion(X, draw.transform(X)) for draw in draws])
worst_norm = np.array([np.abs(np.sum(draw.transform(X) ** 2, axis=1) - 1).max() for draw in draws])

# %%
# All pairs
# ---------
# The a-priori bound of the law, what the draws do, what one descended map does, and what no map can beat.
embedding = DerandJLEmbedding(n_components=30, random_state=0).fit(X)
print(embedding.certificate_)
for what, value in [
    ("bound of the Gaussian law", embedding.distortion_bound_),
    ("mean of 1000 draws", worst_pair.mean()),
    ("best of 1000 draws", worst_pair.min()),
    ("derandomised", embedding.distortion_),
    ("no map is below", embedding.distortion_lower_bound_),
]:
    print(f"{what:>26}: {value:.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.hist(worst_pair, bins=40, color="0.7", label="1000 Gaussian draws")
left.axvline(embedding.distortion_, color="C0", label="derandomised")
left.axvline(embedding.distortion_lower_bound_, color="C3", linestyle=":", label="lower bound of any map")
left.set(xlabel="largest distortion of a pair", ylabel="draws")
left.legend()
edges = np.linspace(-1, 1.2, 90)
right.hist(distortions(X, draws[0].transform(X)), bins=edges, alpha=0.5, label="one draw")
right.hist(distortions(X, embedding.transform(X)), bins=edges, alpha=0.5, label="derandomised")
right.set(xlabel="relative change of a squared distance", ylabel="pairs")
right.legend()

# %%
# Norms only
# ----------
# The paper measures the norms of the vectors rather than their differences. Pairs with the origin are norms: fit the
# vectors and the origin, and all of both are kept. Norms alone could be kept exactly: 100 vectors are few enough,
# ``n <= (k + 1)(k + 2) / 2 - 1``, for a map without any distortion to exist.
with_origin = np.vstack([X, np.zeros(500)])
both = DerandJLEmbedding(n_components=30, random_state=0).fit(with_origin)
norms = np.abs(np.sum(both.transform(X) ** 2, axis=1) - 1).max()
print(f"norms: mean of the draws {worst_norm.mean():.3f}, best {worst_norm.min():.3f}, derandomised {norms:.3f}")

# %%
# The noise goes first
# --------------------
# At the exponent of the bound the standard deviation of the map falls to nothing; then the exponent rises.
figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(6, 5))
history = embedding.history_
top.plot(history["noise"])
top.set(ylabel="sigma")
bottom.semilogy(history["value"], label="(1/t) log F")
bottom.axhline(embedding.distortion_, color="C0", linestyle=":", label="largest distortion")
bottom.set(xlabel="step", ylabel="bound on the distortion")
bottom.legend()
plt.show()
