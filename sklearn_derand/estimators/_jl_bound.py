"""The distortion that no map of the fitted points beats, in bounded time."""

import numpy as np

POINT_WORK, PAIR_WORK, LEAST = 2e8, 1.6e8, 30
"""Work that goes into the lower bound, in cubes of a matrix's order: weights of points, and of pairs where there is
time for this many evaluations (fewer bring nothing), which there is up to 174 points. Nor do pairs weigh where points
are fewer than that: several ascents end apart there, and none can be relied on to confirm another."""

MOST, MOST_POINTS, FIRST = 160, 50, 20
"""Evaluations that suffice: with weights of pairs, of points alone, and of points where so many with pairs follow."""


def lower_bound(tensors, coordinates, n_components):
    """Return ``distortion_lower_bound`` of the fitted points, its weights ascended for as long as these constants say.

    Parameters
    ----------
    tensors : callable
        Arrays to tensors.
    coordinates : SpanCoordinates
        Of the fitted points.
    n_components : int
        Dimension of the images.

    Returns
    -------
    float
    """
    from sklearn_derand.problems.distortion_bounds import distortion_lower_bound

    distances, ranks = coordinates.squared_distances(), coordinates.ranks
    order = min(coordinates.points.shape) if ranks is None else coordinates.rank
    in_time = min(int(PAIR_WORK / distances.shape[1] ** 3), MOST)
    weigh_pairs = min(in_time, distances.shape[1]) >= LEAST
    most_points = FIRST if weigh_pairs and in_time == MOST else MOST_POINTS
    return distortion_lower_bound(
        *tensors(coordinates.points, distances),
        n_components,
        int(np.clip(POINT_WORK / order**3, 3, most_points)),
        ranks,
        in_time if weigh_pairs else 0,
    )
