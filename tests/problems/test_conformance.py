"""Every objective of the library through the laws of ``conformance``."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform

from sklearn_derand.problems.distortion_probability import DistortionProbability
from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion
from sklearn_derand.problems.listed_pairs import ListedPairDistortion
from sklearn_derand.problems.losses import squared_error
from sklearn_derand.problems.max_cut import ExpectedCut
from sklearn_derand.problems.multi_index import StudentRisk
from sklearn_derand.problems.student_ensemble import StudentEnsembleRisk
from sklearn_derand.problems.student_network import StudentNetwork

from .conformance import (
    assert_conforms,
    assert_initial_is_reproducible,
    assert_invariant,
    assert_noise_is_a_block,
    assert_value_is_the_expectation,
    moved,
)

F64 = torch.float64
N_DRAWS = 20_000


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def student():
    network = StudentNetwork(3, 1, (4,))
    return StudentRisk(
        network, normal(30, 3, seed=0), normal(30, 1, seed=1), torch.full((30,), 1 / 30, dtype=F64), squared_error, 0.05
    )


def _pairs():
    points = normal(8, 5, seed=2).numpy()
    first, second = np.triu_indices(8, k=1)
    return torch.tensor(points), torch.tensor(first), torch.tensor(second), pdist(points, "sqeuclidean")


def all_pairs():
    points, _, _, squared = _pairs()
    inverse = squareform(1 / squared)
    return PairDistortion(points, torch.tensor(inverse), 3, 1.0)


def listed_pairs():
    points, first, second, squared = _pairs()
    return ListedPairDistortion(points, first, second, torch.tensor(1 / squared), 3, 1.0)


def probability():
    points, first, second, squared = _pairs()
    return DistortionProbability(points, first, second, torch.tensor(1 / squared), 3, 0.6)


def cut():
    rows, cols = np.triu_indices(6, k=1)
    weights = normal(len(rows), seed=4)
    return ExpectedCut(torch.tensor(rows), torch.tensor(cols), weights, n_nodes=6, rank=3, smoothing=0.3, penalty=0.05)


def several_students():
    return StudentEnsembleRisk(student(), 3)


CASES = {
    "student": (student, lambda problem: problem.network.n_params),
    "several students": (several_students, lambda problem: 3 * problem.risk.network.n_params),
    "all pairs": (all_pairs, lambda problem: 3 * 5 + 1),
    "listed pairs": (listed_pairs, lambda problem: 3 * 5 + 1),
    "failure probability": (probability, lambda problem: 3 * 5 + 1),
    "cut": (cut, lambda problem: 6 * 4),
}


@pytest.mark.parametrize("scale", [0.1, 1.0])
@pytest.mark.parametrize("name", CASES)
def test_conforms(name, scale):
    make, size = CASES[name]
    problem = make()
    params = scale * normal(size(problem), seed=7)
    assert_conforms(problem, params)
    assert_noise_is_a_block(problem, params)


@pytest.mark.parametrize("name", CASES)
def test_conforms_on_another_device(other_device, name):
    make, size = CASES[name]
    params = normal(size(make()), seed=7)
    there = moved(make(), other_device)
    assert_conforms(there, params.to(other_device))
    assert there.value(params.to(other_device)).item() == pytest.approx(make().value(params).item(), rel=1e-12)
    if hasattr(there, "initial"):
        assert there.initial(torch.Generator().manual_seed(0)).device.type == other_device.type


@pytest.mark.parametrize("make", [all_pairs, listed_pairs])
def test_slope_is_the_gradient_of_the_log_moment(make):
    problem = make().at(3.0)
    maps = 0.5 * normal(15, seed=7).view(3, 5)
    leaf = torch.cat([maps.flatten(), torch.zeros(1, dtype=F64)]).requires_grad_()
    (gradient,) = torch.autograd.grad(problem.value(leaf) * problem.t**2, leaf)
    value, slope = problem.slope(maps)
    assert float(value) == pytest.approx(problem.log_moment(leaf))
    torch.testing.assert_close(slope.flatten(), gradient[:-1])


@pytest.mark.parametrize("name", ["student", "cut"])
def test_initial_is_reproducible(name):
    assert_initial_is_reproducible(CASES[name][0]())


def test_the_cut_is_an_expectation():
    problem, params = cut(), normal(24, seed=8)
    mean, vectors = params[:6], params[6:].view(6, 3)
    shared, own = normal(N_DRAWS, 3, seed=9), normal(N_DRAWS, 6, seed=10)
    labels = torch.sign(mean + shared @ vectors.T + 0.3 * own).numpy()
    rows, cols = np.triu_indices(6, k=1)
    cuts = (normal(15, seed=4).numpy() * (1 - labels[:, rows] * labels[:, cols]) / 2).sum(1)
    assert_value_is_the_expectation(problem, params, 0.05 * vectors.square().sum().item() - cuts)


def test_without_vectors_the_cut_is_that_of_its_means_alone():
    params = normal(24, seed=8)
    params[6:] = 0
    problem = cut()
    alone = ExpectedCut(problem._rows, problem._cols, problem._weights, n_nodes=6, smoothing=0.3)
    torch.testing.assert_close(problem.value(params), alone.value(params[:6]), rtol=1e-12, atol=1e-12)


def test_the_cut_does_not_see_a_rotation_nor_which_side_is_which():
    problem, params = cut(), normal(24, seed=8)
    rotation = torch.linalg.qr(normal(3, 3, seed=11)).Q
    turned = torch.cat([params[:6], (params[6:].view(6, 3) @ rotation).reshape(-1)])
    assert_invariant(problem, params, turned)
    assert_invariant(problem, params, -params)


@pytest.mark.parametrize("make", [all_pairs, listed_pairs, probability])
def test_distortions_do_not_see_a_rotation_of_the_images_nor_the_sign_of_the_noise(make):
    problem, params = make(), 0.5 * normal(16, seed=12)
    rotation = torch.linalg.qr(normal(3, 3, seed=13)).Q
    turned = torch.cat([(rotation @ params[:15].view(3, 5)).reshape(-1), params[15:]])
    assert_invariant(problem, params, turned)
    flipped = params.clone()
    flipped[15] *= -1
    assert_invariant(problem, params, flipped)


def test_all_pairs_listed_are_all_pairs():
    params = 0.5 * normal(16, seed=12)
    torch.testing.assert_close(all_pairs().value(params), listed_pairs().value(params), rtol=1e-11, atol=1e-12)


def test_the_student_does_not_see_the_order_of_its_units():
    problem = student()
    params = normal(problem.network.n_params, seed=14)
    _, weights, biases = problem.network.unpack(params)
    order = torch.tensor([2, 0, 3, 1])
    permuted = problem.network.pack(
        None, [weights[0][order], weights[1][:, order], *weights[2:]], [biases[0][order], *biases[1:]]
    )
    assert_invariant(problem, params, permuted)
