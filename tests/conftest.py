"""Pictures are drawn without a screen, and on problems this small a second thread only waits for the first."""

import os
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
# Before numpy and torch are imported: they read these once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What the fitted state of an estimator is, whether two are the same, and another device, are asked in several folders.
sys.path.insert(0, str(Path(__file__).parent / "reliability"))

import pytest  # noqa: E402
import torch  # noqa: E402
from emulated_device import emulated_device  # noqa: E402

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=NO_GPU)])
def other_device(request):
    """A device that is not the CPU: one that is emulated, on every machine, and a GPU where there is one."""
    if request.param == "cuda":
        yield torch.device("cuda")
    else:
        with emulated_device() as device:
            yield device
