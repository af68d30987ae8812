"""The expected cut: against Monte Carlo, finite differences, and the block structure that its docstring claims."""

import math

import numpy as np
import pytest
import torch

from sklearn_derand.problems.max_cut import ExpectedCut


def random_problem(seed=0, n=7, rank=3, smoothing=0.2, penalty=0.0):
    rng = np.random.default_rng(seed)
    rows, cols = np.triu_indices(n, 1)
    weights = torch.tensor(rng.normal(size=rows.size))
    settings = {"n_nodes": n, "smoothing": smoothing, "penalty": penalty}
    edges = torch.tensor(rows), torch.tensor(cols), weights
    full = ExpectedCut(*edges, rank=rank, **settings)
    return rng, edges, full, ExpectedCut(*edges, rank=0, **settings)


def test_value_against_monte_carlo():
    rng, (rows, cols, weights), full, _ = random_problem(penalty=0.3)
    mean, vectors = rng.normal(0, 0.7, 7), rng.normal(0, 0.6, (7, 3))
    x = mean + rng.standard_normal((200_000, 3)) @ vectors.T + 0.2 * rng.standard_normal((200_000, 7))
    crossing = (x[:, rows] > 0) != (x[:, cols] > 0)
    cuts = crossing @ weights.numpy()
    params = torch.tensor(np.concatenate([mean, vectors.ravel()]))
    expected = full.value(params).item() - 0.3 * np.sum(vectors**2)
    assert abs(-expected - cuts.mean()) < 4 * cuts.std() / math.sqrt(cuts.size)


def test_derivatives():
    rng, _, full, mean_block = random_problem(n=4, penalty=0.1)
    for objective, size in ((full, 16), (mean_block, 4)):
        point = torch.tensor(rng.normal(0, 0.3, size), requires_grad=True)
        assert torch.autograd.gradcheck(objective.value, (point,))
        assert torch.autograd.gradgradcheck(objective.value, (point,))


def test_mean_block_is_the_whole_at_zero_noise():
    rng, _, full, mean_block = random_problem(penalty=0.25)
    mean = torch.tensor(rng.normal(0, 0.2, 7))
    point = torch.cat([mean, torch.zeros(21, dtype=torch.float64)])
    assert full.value(point).item() == pytest.approx(mean_block.value(mean).item(), abs=1e-14)
    whole = torch.autograd.functional.hessian(full.value, point)
    means = torch.autograd.functional.hessian(mean_block.value, mean)
    torch.testing.assert_close(whole[:7, :7], means)
    torch.testing.assert_close(whole[:7, 7:], torch.zeros(7, 21, dtype=torch.float64), atol=1e-12, rtol=0)
    stein = torch.kron(means, torch.eye(3, dtype=torch.float64)) + 0.5 * torch.eye(21, dtype=torch.float64)
    torch.testing.assert_close(whole[7:, 7:], stein, atol=1e-10, rtol=1e-9)
    gradient = torch.autograd.functional.jacobian(full.value, point)
    assert gradient[7:].abs().max().item() < 1e-15


def test_even_in_the_noise_and_hyperplane_law_at_zero_mean():
    rng, (rows, cols, weights), full, _ = random_problem(smoothing=1e-9)
    vectors = torch.nn.functional.normalize(torch.tensor(rng.normal(size=(7, 3))), dim=1)
    angles = torch.acos((vectors[rows] * vectors[cols]).sum(1))
    start = torch.cat([torch.zeros(7, dtype=torch.float64), vectors.reshape(-1)])
    assert -full.value(start).item() == pytest.approx((weights * angles).sum().item() / math.pi, abs=1e-7)
    moved = start + torch.cat([torch.tensor(rng.normal(size=7)), torch.zeros(21, dtype=torch.float64)])
    mirrored = torch.cat([moved[:7], -moved[7:]])
    assert full.value(moved).item() == pytest.approx(full.value(mirrored).item(), abs=1e-13)


def test_initial_is_the_law_given():
    _, edges, full, _ = random_problem()
    start = full.initial(torch.Generator().manual_seed(0))
    assert start.shape == (28,) and not start[:7].any()
    torch.testing.assert_close(full.noise(start).norm(dim=1), torch.ones(7, dtype=torch.float64))
    vectors = torch.eye(7, 3, dtype=torch.float64)
    given = ExpectedCut(*edges, n_nodes=7, rank=3, vectors=vectors)
    assert torch.equal(given.noise(given.initial(torch.Generator())), vectors)
