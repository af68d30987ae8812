"""Johnson-Lindenstrauss on scikit-learn's digits: how far any squared distance moves, in 16 dimensions."""

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from sklearn_derand import DerandJLEmbedding
from sklearn_derand._main_job._task import CpuClock, Row, Task, holds

N_POINTS, N_COMPONENTS = 500, 16


def embed_digits(seed):
    """Embed 500 digits, and the same map's 500 unseen digits, beside three linear peers at equal k."""
    X = load_digits().data
    fitted, unseen = X[:N_POINTS], X[N_POINTS : 2 * N_POINTS]
    rows, ratios, certificates, seconds, eps = [], {}, {}, 0.0, None
    for method, fraction in (("DerandJLEmbedding", None), ("same, 20% set aside to choose", 0.2)):
        clock = CpuClock()
        with clock.timed():
            ours = DerandJLEmbedding(N_COMPONENTS, validation_fraction=fraction, random_state=seed).fit(fitted)
        bound = f"a priori {ours.distortion_bound_:.2f}; any map >= {ours.distortion_lower_bound_:.3f}"
        rows.append(_row(method, ours, fitted, unseen, clock.seconds, bound, holds(ours.certificate_)))
        certificates[method] = ours.certificate_
        if fraction is None:
            ratios[method], seconds, eps = 1 + _changes(ours, fitted), clock.seconds, ours.distortion_
    peers = {
        "GaussianRandomProjection": GaussianRandomProjection(N_COMPONENTS, random_state=seed),
        "SparseRandomProjection": SparseRandomProjection(N_COMPONENTS, random_state=seed),
        "PCA": PCA(N_COMPONENTS, random_state=seed),
    }
    for method, peer in peers.items():
        peer_clock = CpuClock()
        with peer_clock.timed():
            peer.fit(fitted)
        rows.append(_row(method, peer, fitted, unseen, peer_clock.seconds))
        ratios[method] = 1 + _changes(peer, fitted)
    rows.insert(3, _best_draw(fitted, unseen, seconds, seed))
    return Task(
        name="embedding",
        title=f"Johnson-Lindenstrauss: {N_POINTS} digits, 64 -> {N_COMPONENTS} dimensions",
        note="Largest relative change of a squared distance, over all pairs of the fitted and of unseen digits.",
        rows=rows,
        certificates=certificates,
        arrays={"ratios": ratios, "eps": eps},
    )


def _row(method, embedding, fitted, unseen, seconds, *evidence):
    quality = {"fitted": np.abs(_changes(embedding, fitted)).max(), "unseen": np.abs(_changes(embedding, unseen)).max()}
    return Row(method, quality, seconds, *evidence)


def _changes(embedding, X):
    """Return ``|z_i - z_j|^2 / |x_i - x_j|^2 - 1`` over the pairs of distinct points."""
    before, after = pdist(X, "sqeuclidean"), pdist(np.asarray(embedding.transform(X)), "sqeuclidean")
    return after[before > 0] / before[before > 0] - 1


def _best_draw(fitted, unseen, seconds, seed):
    """Draw Gaussian maps for as many CPU seconds as our fit took, and keep the best on the fitted pairs."""
    clock, best, worst_change, draws = CpuClock(), None, np.inf, 0
    while clock.seconds < seconds or best is None:
        with clock.timed():
            draw = GaussianRandomProjection(N_COMPONENTS, random_state=seed + draws).fit(fitted)
            change = np.abs(_changes(draw, fitted)).max()
        draws += 1
        if change < worst_change:
            best, worst_change = draw, change
    return _row(f"Gaussian, best of {draws} draws", best, fitted, unseen, clock.seconds)
