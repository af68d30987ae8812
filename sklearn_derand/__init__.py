"""Derandomised estimators for scikit-learn.

A theorem (arXiv 2510.19382): minimise ``E_x[g(W x + b)] + lam ||W||^2`` over ``(W, b)`` to a
second-order stationary point and the randomness ``W`` vanishes. One engine, three estimators.
"""

__version__ = "0.1.0.dev0"
