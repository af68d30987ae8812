"""``python -m sklearn_derand verify MODEL DATA``: the independent checker on a saved fit."""

import argparse
from pathlib import Path

import joblib
import numpy as np
from scipy import sparse

from sklearn_derand.verification._verify import verify

DESCRIPTION = """\
Recompute every published number of a fitted estimator from its arrays and its data, in numpy, and print a table:
claim, claimed, recomputed, holds. Exit status: 0 all that was checked holds, 1 a claim was refuted, 2 bad argument.
"""
EPILOG = """\
MODEL is read by joblib, which runs code that the file names: check only files that you trust.
DATA holds the data of the fit: `X`, and for the student `y` and, where used, `sample_weight`
(numpy.savez(DATA, X=X, y=y)); a sparse X is given by scipy.sparse.save_npz(DATA, X).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell the parser of MODEL and DATA."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="MODEL", type=Path, help="a fitted estimator, saved by joblib.dump")
    parser.add_argument("data", metavar="DATA", type=Path, help="the data of its fit, an npz file")


def run(model: Path, data: Path) -> int:
    """Verify, print the table, and return the exit status.

    Parameters
    ----------
    model : Path
        A fitted estimator, saved by joblib.
    data : Path
        The data of its fit.

    Returns
    -------
    int
        1 if a claim was refuted, else 0.

    Raises
    ------
    ValueError
        If a file cannot be read as what it should be; the message is one line.
    """
    estimator, arrays = _load(model), _data(data)
    try:
        verification = verify(estimator, **arrays)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot verify {model} with {data}: {error}") from error
    print(verification)
    return 0 if verification.holds else 1


def _load(path: Path):
    try:
        with path.open("rb") as file:  # joblib does not close what it cannot read
            return joblib.load(file)
    except OSError as error:
        raise ValueError(f"cannot read MODEL {path}: {error.strerror or error}") from error
    except Exception as error:  # unpickling may raise anything
        raise ValueError(f"MODEL {path} is not a joblib file of an estimator ({type(error).__name__})") from error


def _data(path: Path) -> dict:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise ValueError(f"cannot read DATA {path}: {error.strerror or error}") from error
    except Exception as error:  # a file that is not a zip of arrays may raise anything
        raise ValueError(f"DATA {path} is not an npz file of arrays ({type(error).__name__})") from error
    if "format" in arrays:
        return {"X": sparse.load_npz(path)}
    unknown = sorted(set(arrays) - {"X", "y", "sample_weight"})
    if "X" not in arrays or unknown:
        raise ValueError(f"DATA {path} must hold X, and may hold y and sample_weight; it holds {sorted(arrays)}")
    return arrays
