"""``python -m sklearn_derand``: the three estimators on real data, beside their peers."""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path

DESCRIPTION = """\
Run the three estimators of sklearn_derand on real data and print one table per task: quality
(recomputed in numpy from the arrays that fit returned), CPU seconds of one thread, proven bound,
certificate.

tasks:
  embedding       DerandJLEmbedding on 500 of scikit-learn's digits, 64 -> 16 dimensions, beside
                  GaussianRandomProjection, SparseRandomProjection and PCA
  diabetes        MultiIndexStudentRegressor on scikit-learn's diabetes, 5-fold cross-validation,
                  beside Ridge, PLSRegression and MLPRegressor
  multi_index     the same on made data whose index subspace is known
  les_miserables  DerandMaxCut on the 77 characters of Les Miserables, beside random hyperplane
                  rounding of the same relaxation
  made_graph      the same on a random graph of 2,000 nodes
"""
EPILOG = """\
Written to DIR: report.json (every number, the certificates, versions) and, where matplotlib is
installed (extra `plot`), one PNG figure per task. Takes less than three minutes on two cores.
Exit status: 0 done, 2 bad argument or unwritable DIR.

`python -m sklearn_derand verify MODEL DATA` checks a saved fit instead: see `verify --help`.
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message):
        """Print the message, point at ``--help`` and leave with status 2."""
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def _seed(text):
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2147483647")
    return int(text)


def _unwritable(folder):
    """Make the folder and try the report's file before any work is done; return the complaint, if any."""
    report = folder / "report.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not report.exists()
        report.open("a").close()
        if is_new:
            report.unlink()
    except OSError as error:
        return f"argument --out: cannot write {str(report)!r}: {error.strerror}; name another folder"
    return None


def main(argv=None):
    """Run the main job, or ``verify``, and return the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["verify"]:
        return _verify(arguments[1:])
    parser = _Parser(
        prog="python -m sklearn_derand",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default="derand_report", help="folder to write to (default: %(default)s)"
    )
    parser.add_argument("--seed", metavar="S", type=_seed, default=0, help="seed of all randomness (default: 0)")
    arguments = parser.parse_args(arguments)
    if complaint := _unwritable(arguments.out):
        parser.error(complaint)
    start = time.monotonic()
    tasks = _run(arguments.seed)
    try:
        written = _write(arguments.out, tasks, arguments.seed, time.monotonic() - start)
    except OSError as error:  # a disk may fill up during the run
        parser.error(f"argument --out: cannot write to {str(arguments.out)!r}: {error.strerror}; name another folder")
    print("wrote", *written)
    print(f"{time.monotonic() - start:.0f} s in all")
    return 0


def _verify(arguments):
    """Check a saved fit and return the exit status."""
    from sklearn_derand.verification import _command

    parser = _Parser(prog="python -m sklearn_derand verify")
    _command.add_arguments(parser)
    try:
        return _command.run(**vars(parser.parse_args(arguments)))
    except ValueError as error:
        return parser.error(str(error))


def _run(seed):
    """Run the tasks in turn, printing each as it is done."""
    from threadpoolctl import threadpool_limits

    from sklearn_derand._main_job._cut import cut_les_miserables, cut_made_graph
    from sklearn_derand._main_job._embedding import embed_digits
    from sklearn_derand._main_job._student import find_made_indices, predict_diabetes

    tasks = []
    for task in (embed_digits, predict_diabetes, find_made_indices, cut_les_miserables, cut_made_graph):
        # A second thread of BLAS spins while small products end: more CPU seconds, of peers as well, and no less time.
        with threadpool_limits(1, "blas"):
            tasks.append(task(seed))
        print(tasks[-1].to_text(), end="\n\n", flush=True)
    return tasks


def _write(folder, tasks, seed, seconds):
    """Write the report and, where matplotlib is installed, the figures; return their paths."""
    written = [_write_report(folder / "report.json", tasks, seed, seconds)]
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is not installed: figures are skipped (pip install 'sklearn_derand[plot]').")
        return written
    from sklearn_derand._main_job._figures import draw

    return written + [draw(task, folder) for task in tasks]


def _write_report(path, tasks, seed, seconds):
    """Write every number of the run, with the versions that gave it, as strict JSON."""
    import numpy
    import scipy
    import sklearn
    import torch

    import sklearn_derand

    modules = (sklearn_derand, sklearn, torch, numpy, scipy)
    report = {
        "seed": seed,
        "seconds": seconds,
        "python": sys.version.split()[0],
        "versions": {module.__name__: str(module.__version__) for module in modules},
        "tasks": [task.to_json() for task in tasks],
    }
    path.write_text(json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
