"""Pictures are drawn without a screen, and on problems this small a second thread only waits for the first."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
# Before numpy and torch are imported: they read these once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
