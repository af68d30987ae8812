"""Pictures are drawn without a screen, and on problems this small a second thread only waits for the first."""

import os
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
# Before numpy and torch are imported: they read these once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What the fitted state of an estimator is, and whether two are the same, is asked in several folders.
sys.path.insert(0, str(Path(__file__).parent / "reliability"))
