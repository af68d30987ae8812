"""Derandomised estimators for scikit-learn.

A theorem (arXiv 2510.19382): minimise ``E_x[g(W x + b)] + lam ||W||^2`` over ``(W, b)`` to a
second-order stationary point and the randomness ``W`` vanishes. One engine, three estimators.
"""

import logging

from sklearn_derand.estimators._jl_embedding import DerandJLEmbedding
from sklearn_derand.estimators._max_cut import DerandMaxCut
from sklearn_derand.estimators._multi_index import MultiIndexStudentRegressor

__all__ = ["DerandJLEmbedding", "DerandMaxCut", "MultiIndexStudentRegressor"]

logging.getLogger(__name__).addHandler(logging.NullHandler())

__version__ = "0.1.0.dev0"
