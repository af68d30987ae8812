"""What one rank of the tests does: `torchrun worker.py CASE FOLDER [RANK SIZE]` leaves `FOLDER/RANK.pkl`."""

import os
import pickle
import signal
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from cases import estimator, own_rows, points, table, unstructured
from scipy import sparse
from torch import distributed as dist

from sklearn_derand.engine.derivatives import Derivatives
from sklearn_derand.estimators._jl_ranks import max_distortion_over_ranks, span_over_ranks
from sklearn_derand.estimators._student_data import prepare_data
from sklearn_derand.estimators._student_search import leading_directions
from sklearn_derand.metrics import max_distortion
from sklearn_derand.problems.distortion_bounds import distortion_lower_bound
from sklearn_derand.problems.gauss_newton import gauss_newton_factor
from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion
from sklearn_derand.problems.losses import squared_error
from sklearn_derand.problems.multi_index import StudentRisk, stein_decomposition
from sklearn_derand.problems.ranks import Ranks
from sklearn_derand.problems.student_network import StudentNetwork


def collectives(rank):
    """Each helper, with shares of different sizes."""
    ranks = Ranks.present()
    mine = torch.arange(2.0 + rank, dtype=torch.float64)
    found = {
        "sum": ranks.sum(np.array([1.0, rank])),
        "max": ranks.max(float(rank)),
        "any": ranks.any(rank == 1),
        "table": ranks.table(rank, float("nan") if rank else np.inf),
        "gather": ranks.gather(mine[:, None]).numpy(),
        "broadcast": ranks.broadcast(np.arange(3) if rank == 1 else None, 1),
        "own": ranks.own(np.array([4, 1, 3]), 2 + rank),
    }
    for failing in (0, 1):
        try:
            with ranks.together():
                if rank == failing:
                    raise KeyError("rows")
        except (KeyError, RuntimeError) as error:
            found[f"failure of {failing}"] = repr(error)
    return found


def student(rank):
    """The parts of a fit at one point."""
    return student_parts(*own_rows(rank, *table()), Ranks.present())


def student_parts(X, y, weights, ranks):
    data = prepare_data(X, y[:, None], weights, "squared_error", ranks)
    network = StudentNetwork(X.shape[1], 1, (5,))
    inputs, targets, weights = (torch.tensor(a) for a in (data.inputs, data.targets, data.weights))
    risk = StudentRisk(network, inputs, targets, weights, squared_error, 0.1, 0.01, ranks=ranks)
    params = network.initial(torch.Generator().manual_seed(0))
    value, gradient, product = Derivatives(risk).all_orders(params)
    stein = stein_decomposition(risk, params, torch.eye(2, X.shape[1], dtype=torch.float64))
    factor = gauss_newton_factor(risk, params, 1e-2)
    return {
        "mean": data.mean,
        "whitening": data.whitening,
        "units": np.concatenate([data.shift, data.scale]),
        "value": value,
        "gradient": gradient.numpy(),
        "product": product(torch.ones_like(params)).numpy(),
        "spectrum": leading_directions(risk, params)[0],
        "stein": np.array([stein.noise, stein.gradient_norm, stein.stein_gap, stein.bias_curvature, stein.bound]),
        "metric": factor.rest.numpy(),
        "first metric": factor.first.numpy(),
    }


def embedding(rank):
    """The parts of an embedding at one map."""
    (X,) = own_rows(rank, points())
    ranks = Ranks.present()
    found = {"dense": embedding_parts(X, span_over_ranks(X, ranks), ranks)}
    near = sparse.csr_array(X - 50.0)
    found["sparse"] = embedding_parts(near, span_over_ranks(near, ranks), ranks)
    return found


def embedding_parts(X, coordinates, ranks):
    flip = np.sign(coordinates.basis[:, 0])
    arrays = coordinates.points * flip, coordinates.inverse_distances, coordinates.squared_distances()
    own, inverse, distances = map(torch.tensor, arrays)
    objective = PairDistortion(own, inverse, 2, 3.0, ranks)
    generator = torch.Generator().manual_seed(0)
    params = objective.pack(torch.randn(2, coordinates.rank, generator=generator, dtype=torch.float64), 0.05)
    value, gradient, product = Derivatives(objective).all_orders(params)
    maps = objective.maps(params)
    components = maps.numpy() * flip @ coordinates.basis
    images = np.asarray(X @ components.T)
    alone = ranks.size == 1
    return {
        "basis": coordinates.basis * flip[:, None],
        "n_pairs": coordinates.n_pairs,
        "lengths": coordinates.lengths(),
        "value": value,
        "gradient": gradient.numpy(),
        "product": product(torch.linspace(-1, 1, len(params), dtype=torch.float64)).numpy(),
        "slope": objective.slope(maps)[1].numpy(),
        "extremes": np.array(objective.extremes(params)),
        "lower bound": distortion_lower_bound(own, distances, 2, 10, ranks),
        "distortion": max_distortion(X, images) if alone else max_distortion_over_ranks(X, images, components, ranks),
    }


def fits(rank):
    """Whole fits, and what is refused."""
    X, y, weights = own_rows(rank, *table())
    (P,) = own_rows(rank, points())
    fitted = {name: vars(estimator(name).fit(X, y, sample_weight=weights)) for name in ("student", "chosen")}
    Z, target, ones = own_rows(rank, *unstructured())
    fitted["several"] = vars(estimator("several").fit(Z, target, sample_weight=ones))
    fitted |= {name: vars(estimator(name).fit(P)) for name in ("embedding", "smallest embedding")}
    broken = X.copy()
    broken[0, 0] = np.nan if rank == 1 else 0.0
    trials = {
        "nan": (estimator("student"), broken, y),
        "columns": (estimator("student"), X[:, : 5 - rank], y),
        "alpha": (estimator("student").set_params(alpha=0.1 + rank), X, y),
        "validation": (estimator("embedding").set_params(validation_fraction=0.2), P),
    }
    for name, (model, *data) in trials.items():
        try:
            model.fit(*data)
        except (ValueError, RuntimeError) as error:
            fitted[name] = f"{type(error).__name__}: {error}"
    return fitted


def dies(rank):
    """Rank 1 is killed in the middle of a fit, or stops without dying."""
    X, y, weights = own_rows(rank, *table())
    model = estimator("student")
    if rank == 1:
        original, calls = Ranks.sum, []

        def sum_or_die(self, shares):
            calls.append(None)
            if len(calls) == 60:
                os.kill(os.getpid(), signal.SIGKILL if sys.argv[1] == "dies" else signal.SIGSTOP)
            return original(self, shares)

        Ranks.sum = sum_or_die
    try:
        model.fit(X, y)
    except RuntimeError as error:
        return {"error": str(error), "state": sorted(vars(model))}
    return {"error": None}


def parts(rank):
    """All that costs little, from one start of the ranks."""
    return {"collectives": collectives(rank), "student": student(rank), "embedding": embedding(rank)}


CASES = {"parts": parts, "fits": fits, "dies": dies, "hangs": dies}

if __name__ == "__main__":
    name, folder, *place = sys.argv[1:]
    meeting = {}
    if place:  # without torchrun, which ends all ranks of a machine as soon as one has died
        rank, size = map(int, place)
        meeting = {"init_method": f"file://{folder}/store", "rank": rank, "world_size": size}
    dist.init_process_group("gloo", timeout=timedelta(seconds=5 if name == "hangs" else 60), **meeting)
    rank = dist.get_rank()
    found = CASES[name](rank)
    (Path(folder) / f"{rank}.pkl").write_bytes(pickle.dumps(found))
    if name not in ("dies", "hangs"):
        dist.destroy_process_group()
