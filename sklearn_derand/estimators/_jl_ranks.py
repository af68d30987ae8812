"""Points spread over processes: each with the others in turn, so that none needs the memory for all."""

import numpy as np
from scipy import sparse

from sklearn_derand.estimators._jl_points import FAITHFUL, SpanCoordinates, spectrum
from sklearn_derand.estimators._memory import check_memory
from sklearn_derand.metrics._distortion import BLOCK, cross_distances, negligible, relative_changes, squared_norms


def shards(X, ranks):
    """Send the rows of each rank to all, one rank at a time.

    Parameters
    ----------
    X : {ndarray, csr} of shape (n_own, d)
        The rows of this rank, in float64.
    ranks : Ranks
        Who take part.

    Yields
    ------
    columns : slice
        Where the rows stand among those of all ranks.
    rows : {ndarray, csr}
        Those of one rank.
    """
    start = 0
    for source in range(ranks.size):
        here = source == ranks.rank
        if sparse.issparse(X):
            data, indices, indptr = (
                ranks.broadcast(part.astype(kind) if here else None, source)
                for part, kind in ((X.data, np.float64), (X.indices, np.int64), (X.indptr, np.int64))
            )
            rows = sparse.csr_array((data, indices, indptr), shape=(len(indptr) - 1, X.shape[1]))
        else:
            rows = ranks.broadcast(X if here else None, source)
        yield slice(start, start + rows.shape[0]), rows
        start += rows.shape[0]


def span_over_ranks(X, ranks):
    """Compute the coordinates of rows spread over ranks: on each, its own rows in the basis of all.

    Parameters
    ----------
    X : {ndarray, csr} of shape (n_own, d)
        The rows of this rank, in float64.
    ranks : Ranks
        Who take part.

    Returns
    -------
    SpanCoordinates

    Raises
    ------
    ValueError
        If the matrices cannot fit, or X is sparse and so far from the origin that its Gram matrix has no digits left.
    """
    d, counts = X.shape[1], ranks.table(X.shape[0])[:, 0]
    n = int(counts.sum())
    check_memory(
        24 * int(counts.max()) * n + 24 * d * d,
        f"The squared distances of {int(counts.max())} rows to all {n}, and the {d} x {d} Gram matrix,",
        "Spread the rows over more ranks, or set max_pairs; reduce the features where they are many.",
    )
    mean = ranks.sum(np.asarray(X.sum(axis=0)).ravel()) / n
    centred = X
    if not sparse.issparse(X):
        # Less one row, equal rows are exactly 0 however far they lie from the origin.
        centred = X - ranks.broadcast(X[:1].sum(axis=0) if ranks.rank == 0 else None, 0)
        centred -= ranks.sum(centred.sum(axis=0)) / n
    distances = _distances(centred, ranks, n)
    if sparse.issparse(X) and mean @ mean > 1e6 * ranks.sum(distances.sum()) / n**2:
        raise ValueError(
            "X is sparse and far from the origin beside its distances, which its d x d Gram matrix cannot resolve; "
            "pass X dense, or fit it on one rank with distributed=False."
        )
    gram = centred.T @ centred
    gram = ranks.sum(gram.toarray() if sparse.issparse(gram) else gram)
    if sparse.issparse(X):
        gram -= n * np.outer(mean, mean)
    _, vectors = spectrum(gram)
    vectors = ranks.broadcast(vectors, 0)  # signs and bases of equal values are free
    points = np.asarray(centred @ vectors)
    points -= ranks.sum(points.sum(axis=0)) / n
    unit = float(np.mean(ranks.sum((points * points).sum(axis=0)))) if points.shape[1] else 1.0
    inverse = np.zeros_like(distances)
    squares = squared_norms(points)
    for columns, others in shards(points, ranks):
        seen = squares[:, None] + squared_norms(others) - 2 * points @ others.T
        given = distances[:, columns]
        np.divide(unit, given, out=inverse[:, columns], where=np.abs(seen - given) < FAITHFUL * given)
    return SpanCoordinates(points / np.sqrt(unit), inverse, vectors.T, None, X, unit, ranks=ranks)


def _distances(X, ranks, n):
    out, squares = np.empty((X.shape[0], n)), squared_norms(X)
    for columns, others in shards(X, ranks):
        other_squares = squared_norms(others)
        for rows in _blocks(X.shape[0], others.shape[0]):
            out[rows, columns] = cross_distances(X[rows], others, squares[rows], other_squares)
    return out


def max_distortion_over_ranks(X, Z, components, ranks):
    """Return the largest relative change of a squared distance over the pairs of all rows: ``max_distortion_of_map``.

    Parameters
    ----------
    X : {ndarray, csr} of shape (n_own, d)
        Points of this rank.
    Z : ndarray of shape (n_own, k)
        Their images, in the precision in which they are returned.
    components : ndarray of shape (k, d)
        The map.
    ranks : Ranks
        Who take part.

    Returns
    -------
    float
    """
    epsilon = float(np.finfo(Z.dtype).eps)
    products = squared_norms(X.astype(np.float64)) * float(np.square(components, dtype=np.float64).sum())
    X, Z = X.astype(np.float64, copy=False), Z.astype(np.float64, copy=False)
    if not sparse.issparse(X):
        X = X - ranks.sum(X.sum(axis=0)) / ranks.sum(X.shape[0])
    squares, image_squares, worst = squared_norms(X), squared_norms(Z), 0.0
    passing = zip(shards(X, ranks), shards(Z, ranks), shards(products[:, None], ranks), strict=True)
    for (_, others), (_, images), (_, other_products) in passing:
        right, image_right = squared_norms(others), squared_norms(images)
        for rows in _blocks(X.shape[0], others.shape[0]):
            change = relative_changes(
                cross_distances(X[rows], others, squares[rows], right),
                cross_distances(Z[rows], images, image_squares[rows], image_right),
                negligible(products[rows], other_products.ravel(), epsilon),
            )
            worst = max(worst, float(np.abs(change).max(initial=0.0)))
    return ranks.max(worst)


def _blocks(n_rows, n_columns):
    step = max(1, BLOCK // max(n_columns, 1))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
