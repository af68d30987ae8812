"""The seams of architecture: light imports, small files, the names users rely on."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_derand

PACKAGE = Path(sklearn_derand.__file__).parent
MOST_LINES = 500

WHO_LOADS_TORCH = """
import builtins, sys, traceback
original = builtins.__import__
def watch(name, *args, **kwargs):
    if name.split(".")[0] == "torch" and "torch" not in sys.modules:
        traceback.print_stack()
        sys.exit("torch was imported by the module shown above")
    return original(name, *args, **kwargs)
builtins.__import__ = watch
{statement}
sys.exit("torch" in sys.modules and "torch is loaded")
"""


@pytest.mark.parametrize(
    "statement",
    [
        "import sklearn_derand",
        "from sklearn_derand import DerandJLEmbedding, DerandMaxCut, MultiIndexStudentRegressor",
        "import sklearn_derand.datasets, sklearn_derand.displays, sklearn_derand.metrics",
        "from sklearn_derand import *; DerandMaxCut(); DerandJLEmbedding(); MultiIndexStudentRegressor()",
    ],
)
def test_import_loads_no_torch(statement):
    command = [sys.executable, "-c", WHO_LOADS_TORCH.format(statement=statement)]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert outcome.returncode == 0, outcome.stderr


def test_the_watch_for_torch_can_see_it():
    command = [sys.executable, "-c", WHO_LOADS_TORCH.format(statement="import sklearn_derand.engine")]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert outcome.returncode == 1
    assert "sklearn_derand" in outcome.stderr
    assert "torch was imported by the module shown above" in outcome.stderr


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


PUBLIC = ["", ".engine", ".metrics", ".datasets", ".displays", ".verification"]


def _public_callables(found):
    """Yield every public function and method of this package that a module offers, unwrapped."""
    for name in found.__all__:
        offered = getattr(found, name)
        members = {name: offered}
        if inspect.isclass(offered):
            members = {
                f"{name}.{member}": getattr(value, "__func__", value)
                for base in offered.__mro__
                if base.__module__.startswith("sklearn_derand")
                for member, value in vars(base).items()
                if member == "__init__" or not member.startswith("_")
            }
        functions = {path: inspect.unwrap(value) for path, value in members.items() if inspect.isfunction(value)}
        yield from ((path, f) for path, f in functions.items() if f.__module__.startswith("sklearn_derand"))


@pytest.mark.parametrize("room", PUBLIC)
def test_the_public_interface_is_typed(room):
    missing = []
    for path, function in _public_callables(importlib.import_module("sklearn_derand" + room)):
        parameters = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
        hints = function.__annotations__
        missing += [f"{path}: {name}" for name in parameters if name not in hints]
        if "return" not in hints and not path.endswith("__init__"):
            missing.append(f"{path}: return")
    assert missing == []
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("sklearn_derand", ["MultiIndexStudentRegressor", "DerandJLEmbedding", "DerandMaxCut", "__version__"]),
        (
            "sklearn_derand.engine",
            [
                "minimize",
                "certify",
                "Objective",
                "Solution",
                "Certificate",
                "Status",
                "check_gradient",
                "check_hessian",
            ],
        ),
        ("sklearn_derand.metrics", ["subspace_distance", "distortions", "max_distortion", "cut_value"]),
        (
            "sklearn_derand.datasets",
            ["make_multi_index", "make_graph", "read_graph", "qubo_to_graph", "ising_to_graph"],
        ),
        ("sklearn_derand.displays", ["DescentDisplay", "IndexDisplay", "DistortionDisplay", "CutDisplay"]),
    ],
)
def test_public_names(module, names):
    found = importlib.import_module(module)
    assert [name for name in names if not hasattr(found, name)] == []
    if hasattr(found, "__all__"):
        assert set(names) - {"__version__"} <= set(found.__all__)
        assert all(hasattr(found, name) for name in found.__all__)
