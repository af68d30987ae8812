"""The path of descent for new points, and the maps at its stops."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sklearn_derand.estimators._jl_outside import beyond_neighbours, spread_out
from sklearn_derand.estimators._jl_path import Descent
from sklearn_derand.estimators._jl_spectrum import shrinkages

LADDER = [(2.0, (10, 20)), (4.0, (10, 20)), (8.0, (20, 40)), (16.0, (40,)), (64.0, (40,))]
"""Exponents and the steps between two looks at the points set aside."""

EXTRAPOLATION = 0.3
"""How far points are moved away from their nearest neighbours, in units of the distance."""


@dataclass(frozen=True)
class Stop:
    """A place on the path: a map and what shrinks its singular values.

    Attributes
    ----------
    components : ndarray of shape (k, d)
        The map.
    turns : list of ndarray of shape (k, k)
        What it is to be multiplied by, for each exponent.
    """

    components: np.ndarray
    turns: list[np.ndarray]

    def maps(self):
        """Return one map for each exponent.

        Returns
        -------
        list of ndarray of shape (k, d)
            Balanced: the extreme ratios of its part in the span, on the fitted pairs, are equally far from 1.
        """
        return [turn @ self.components for turn in self.turns]


def walk(tensors, coordinates, recipe, rows, weight, exponents=(1.0,)):
    """Descend from the recipe's start, and yield what is there at each stop.

    Parameters
    ----------
    tensors : callable
        Arrays to tensors.
    coordinates : SpanCoordinates
        Of the points to fit.
    recipe : Recipe
        Where to start.
    rows : ndarray of shape (k, d)
        What its ``random_rows`` returned.
    weight : float or None
        What ``cross_weight`` returned for new points.
    exponents : tuple of float, default=(1.0,)
        Of the singular values.

    Yields
    ------
    Stop
    """
    from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion

    k, t = len(rows), LADDER[0][0]
    fitted = PairDistortion(*tensors(coordinates.points, coordinates.inverse_distances), k, t)
    apart = PairDistortion(*tensors(*beyond_neighbours(coordinates, EXTRAPOLATION)), k, t)
    maps, outside = recipe.start(coordinates, rows)
    descent = Descent.at_map(fitted, maps)
    stop = partial(_stop, fitted, outside, coordinates, weight, exponents)
    yield stop(descent.maps())
    for t, stops in LADDER:
        descent.objective = apart.at(t)
        for steps in stops:
            descent.glide(steps)
            yield stop(descent.maps())


def _stop(fitted, outside, coordinates, weight, exponents, maps):
    outside = spread_out(coordinates.points @ maps.T, coordinates.inverse_distances, weight) @ outside
    components = coordinates.to_features(maps) + outside
    turns = shrinkages(components, exponents)
    scales = [fitted.balance(fitted.pack(fitted.points.new_tensor(turn @ maps), 0.0)) for turn in turns]
    return Stop(components, [scale * turn for scale, turn in zip(scales, turns, strict=True)])
