"""Pictures, by scikit-learn's Display contract; matplotlib is imported when one is drawn."""

from sklearn_derand.displays._cut import CutDisplay
from sklearn_derand.displays._descent import DescentDisplay
from sklearn_derand.displays._distortion import DistortionDisplay
from sklearn_derand.displays._index import IndexDisplay

__all__ = ["CutDisplay", "DescentDisplay", "DistortionDisplay", "IndexDisplay"]
