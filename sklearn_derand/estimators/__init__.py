"""Three estimators: arrays in, arrays out; the only scikit-learn code."""

__all__ = []
