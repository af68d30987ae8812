"""Scores recomputed from arrays, in numpy."""

from sklearn_derand.metrics._cut import cut_value
from sklearn_derand.metrics._distortion import distortions, max_distortion
from sklearn_derand.metrics._subspace import subspace_distance

__all__ = ["distortions", "max_distortion", "cut_value", "subspace_distance"]
