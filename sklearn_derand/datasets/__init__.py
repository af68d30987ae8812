"""Data with known answers, and readers of public graph formats."""

__all__ = []
