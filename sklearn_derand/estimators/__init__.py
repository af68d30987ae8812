"""Three estimators: arrays in, arrays out; the only scikit-learn code."""

from sklearn_derand.estimators._jl_embedding import DerandJLEmbedding
from sklearn_derand.estimators._max_cut import DerandMaxCut
from sklearn_derand.estimators._multi_index import MultiIndexStudentRegressor

__all__ = ["DerandJLEmbedding", "DerandMaxCut", "MultiIndexStudentRegressor"]
