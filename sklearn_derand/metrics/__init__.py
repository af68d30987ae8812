"""Scores recomputed from arrays, in numpy."""

__all__ = []
