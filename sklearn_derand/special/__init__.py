"""Numerical kernels, each with its own exact derivatives."""
