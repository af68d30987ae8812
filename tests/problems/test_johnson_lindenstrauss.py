"""The moments of a random map's distortion: closed form, derivatives, the vanishing noise, and both bounds."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from sklearn.random_projection import johnson_lindenstrauss_min_dim

from sklearn_derand.engine import certify, minimize
from sklearn_derand.problems import distortion_bounds, pair_geometry
from sklearn_derand.problems.distortion_bounds import distortion_lower_bound, gaussian_bound
from sklearn_derand.problems.johnson_lindenstrauss import PairDistortion, split_law
from sklearn_derand.problems.pair_blocks import Neighbours


def pose(n=12, r=6, k=3, t=3.0, seed=0, duplicate=True):
    points = np.random.RandomState(seed).standard_normal((n, r))
    if duplicate:
        points[3] = points[5]
    distances = squareform(pdist(points, "sqeuclidean"))
    inverse = np.divide(1.0, distances, out=np.zeros_like(distances), where=distances > 0)
    return PairDistortion(torch.tensor(points), torch.tensor(inverse), k, t), torch.tensor(distances)


def random_map(k, r, seed=1, scale=0.4):
    return scale * torch.randn(k, r, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def changes(objective, distances, maps):
    """``q - 1`` of the pairs that count, maps of shape (..., k, r)."""
    images = torch.einsum("nd,...kd->...nk", objective.points, maps)
    i, j = torch.triu_indices(*distances.shape, 1)
    counted = distances[i, j] > 0
    i, j = i[counted], j[counted]
    return (images[..., i, :] - images[..., j, :]).square().sum(-1) / distances[i, j] - 1


def test_value_is_the_mean_over_maps():
    objective, distances = pose(t=1.0)
    maps, variance = random_map(3, 6), 0.02
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(50_000, 3, 6, generator=generator, dtype=torch.float64)
    q = changes(objective, distances, maps + math.sqrt(variance) * noise)
    draws = (torch.exp(q) + torch.exp(-q)).sum(dim=1)
    exact = math.exp(objective.log_moment(objective.pack(maps, variance)))
    assert abs(draws.mean().item() - exact) < 4 * draws.std().item() / math.sqrt(len(draws))


@pytest.mark.parametrize("t", [0.5, 3.0, 300.0, 5000.0])
def test_without_noise_it_is_a_smooth_maximum(t):
    objective, distances = pose(t=t)
    q = changes(objective, distances, random_map(3, 6))
    expected = torch.logsumexp(t * torch.cat([q, -q]), dim=0).item()
    params = objective.pack(random_map(3, 6), 0.0)
    assert objective.log_moment(params) == pytest.approx(expected, rel=1e-12)
    assert objective.largest(params) == pytest.approx(q.abs().max().item(), rel=1e-12)
    assert objective.value(params).item() * t >= objective.largest(params)


def in_blocks(monkeypatch, rows, whole=0):
    monkeypatch.setattr(pair_geometry, "ROWS", rows)
    monkeypatch.setattr(pair_geometry, "WHOLE", whole)  # 0: no single block


@pytest.mark.parametrize("rows", [None, 128, 3])
@pytest.mark.parametrize("t, variance, scale", [(20.0, 0.0, 0.4), (3.0, 0.12, 0.4), (3.0, 0.03, 0.1)])
def test_derivatives(rows, t, variance, scale, monkeypatch):
    """Where far pairs decide, where near ones do, and without noise."""
    if rows is not None:
        in_blocks(monkeypatch, rows)
    objective, _ = pose(t=t)
    params = objective.pack(random_map(3, 6, scale=scale), variance).requires_grad_(True)
    assert torch.autograd.gradcheck(objective.value, (params,), atol=1e-8, rtol=1e-6)
    assert torch.autograd.gradgradcheck(objective.value, (params,), atol=1e-8, rtol=1e-5)


def test_at_its_balance_a_map_has_its_least_distortion():
    objective, _ = pose(t=30.0)
    params = objective.pack(random_map(3, 6), 0.0)
    least = objective.largest(params * objective.balance(params))
    for length in (0.999, 1.001):
        assert least < objective.largest(params * objective.balance(params) * length)
    assert objective.balance(torch.zeros_like(params)) == 1.0


@pytest.mark.parametrize("t, length", [(30.0, 1.0), (800.0, 1.0), (5000.0, 1.0), (30.0, 4.0)])
def test_derivatives_of_a_maximum_are_those_of_logsumexp(t, length):
    """At the best scale, where near and far pairs decide, and at one whose exponentials overflow.

    The exponentials are written in one way per range.
    """
    objective, distances = pose(t=t)
    maps = random_map(3, 6) * objective.balance(objective.pack(random_map(3, 6), 0.0)) * length

    def derivatives(f):
        leaf = maps.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
        return gradient.detach(), torch.autograd.grad((gradient * random_map(3, 6, seed=3)).sum(), leaf)[0]

    def expected(maps):
        q = changes(objective, distances, maps)
        return torch.logsumexp(t * torch.cat([q, -q]), dim=0) / t**2

    ours = derivatives(lambda maps: objective.value(torch.cat([maps.reshape(-1), maps.new_zeros(1)])))
    torch.testing.assert_close(ours, derivatives(expected), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("whole", [0, 350])
def test_blocks_do_not_matter(whole, monkeypatch):
    params = pose()[0].pack(random_map(3, 6), 0.01)
    value, (still, slope) = pose()[0].log_moment(params), pose()[0].slope(random_map(3, 6))
    in_blocks(monkeypatch, 3, whole)
    assert pose()[0].log_moment(params) == pytest.approx(value, rel=1e-13)
    again, other = pose()[0].slope(random_map(3, 6))
    assert again == pytest.approx(still, rel=1e-13)
    torch.testing.assert_close(other, slope, rtol=1e-11, atol=1e-13)


def test_the_same_pairs_at_another_exponent():
    maps, there = random_map(3, 6), pose(t=12.0)[0]
    for t in (3.0, 900.0):  # exponentials are written in one way per range
        raised = pose(t=t)[0].at(12.0)
        value, slope = raised.slope(maps)
        assert value == pytest.approx(there.slope(maps)[0], rel=1e-13)
        torch.testing.assert_close(slope, there.slope(maps)[1], rtol=1e-12, atol=1e-14)
        assert raised.log_moment(raised.pack(maps, 0.01)) == pytest.approx(there.log_moment(there.pack(maps, 0.01)))


def test_a_descent_meets_pairs_twice_in_one_block_and_a_certificate_once(monkeypatch):
    """One product for each is faster; but only pairs met once give a Hessian that is symmetric to the last digit."""
    met, add = [], Neighbours.add

    def counting(self, weights, block):
        met.append((np.count_nonzero(block.inverse), self.by_rows + self.by_columns))
        add(self, weights, block)

    in_blocks(monkeypatch, 3, whole=350)
    monkeypatch.setattr(Neighbours, "add", counting)
    objective, distances = pose(t=12.0)
    pairs = np.count_nonzero(distances) // 2
    objective.slope(random_map(3, 6))
    assert met == [(2 * pairs, 1)]
    params = objective.pack(random_map(3, 6), 0.0).requires_grad_(True)
    (gradient,) = torch.autograd.grad(objective.value(params), params, create_graph=True)
    met.clear()
    torch.autograd.grad(gradient.sum(), params)
    assert len(met) > 2
    assert {times for _, times in met} == {2}
    assert sum(count for count, _ in met) == 2 * pairs  # of images that stay and of images that move


def test_even_in_the_noise_and_invariant_under_rotations_of_the_images():
    objective, _ = pose()
    maps = random_map(3, 6)
    params = objective.pack(maps, 0.01)
    mirrored = params.clone()
    mirrored[-1] *= -1
    assert objective.log_moment(mirrored) == objective.log_moment(params)
    turn, _ = torch.linalg.qr(random_map(3, 3))
    assert objective.log_moment(objective.pack(turn @ maps, 0.01)) == pytest.approx(
        objective.log_moment(params), rel=1e-12
    )


def test_heat_equation():
    """``dF/dsigma = sigma tr Hess_M F``, hence the bracket of the module's text for ``L = log F``."""
    objective, _ = pose(n=6, r=3, k=2)
    maps, sigma = random_map(2, 3), torch.tensor(0.1, dtype=torch.float64, requires_grad=True)

    def log_moment(flat, sigma):
        scaled = 2 * objective.t * sigma**2
        return objective.value(torch.cat([flat, torch.sqrt(scaled / (1 - scaled)).reshape(1)])) * objective.t**2

    flat = maps.reshape(-1).requires_grad_(True)
    (slope,) = torch.autograd.grad(log_moment(flat, sigma), sigma)
    gradient, _ = torch.autograd.grad(log_moment(flat, sigma), (flat, sigma))
    rows = []
    for i in range(flat.numel()):
        (g,) = torch.autograd.grad(log_moment(flat, sigma), flat, create_graph=True)
        (row,) = torch.autograd.grad(g[i], flat)
        rows.append(row[i])
    bracket = torch.stack(rows).sum() + gradient.square().sum()
    assert slope.item() == pytest.approx((sigma * bracket).item(), rel=1e-9)


def test_the_zero_map_is_a_trap_and_the_split_law_is_not():
    """At M = 0 descent ends with noise and any certificate passes; half the variance in M leads to none."""
    k, r = 8, 12
    distances = pose(n=20, r=r, duplicate=False)[1]
    bound, t = gaussian_bound(20 * 19 // 2, k)
    points = torch.tensor(np.random.RandomState(0).standard_normal((20, r)))
    objective = PairDistortion(points, (1 / distances).fill_diagonal_(0.0), k, t)
    stuck = minimize(objective, objective.pack(torch.zeros(k, r, dtype=torch.float64), 0.9 / k), random_state=0)
    assert stuck.certificate.holds
    assert objective.noise(stuck.params).item() > 0.1
    draw = lambda g: torch.randn(k, r, generator=g, dtype=torch.float64) / math.sqrt(k)  # noqa: E731
    start = split_law(draw, objective, bound * t, 0.5, torch.Generator().manual_seed(0))
    assert objective.log_moment(start) <= bound * t
    solution = minimize(objective, start, random_state=0)
    assert solution.certificate.holds
    assert objective.noise(solution.params).item() < 1e-3
    still = solution.params.clone()
    still[-1] = 0.0
    assert objective.log_moment(still) <= bound * t
    assert objective.largest(still) <= bound
    assert certify(objective, still, tol=1e-4, random_state=0).holds


def test_mean_of_the_split_law_is_the_gaussian_law():
    k, t, share = 8, 1.5, 0.5
    objective, _ = pose(k=k, t=t, duplicate=False)
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(2000):
        maps = math.sqrt(share / k) * torch.randn(k, 6, generator=generator, dtype=torch.float64)
        values.append(math.exp(objective.log_moment(objective.pack(maps, (1 - share) / k))))
    zero = torch.zeros(k, 6, dtype=torch.float64)
    exact = math.exp(objective.log_moment(objective.pack(zero, 1 / k)))
    assert abs(np.mean(values) - exact) < 4 * np.std(values) / math.sqrt(len(values))


def test_pack_refuses_an_infinite_moment():
    objective, _ = pose(t=3.0)
    with pytest.raises(ValueError, match=r"variance must lie in \[0, 1/\(2 t\)\)"):
        objective.pack(random_map(3, 6), 1 / 6)


@pytest.mark.parametrize("n, k", [(20, 8), (100, 30), (250, 200)])
def test_gaussian_bound_is_the_least_over_t(n, k):
    """And the objective at ``(0, 1/k)`` is that bound."""
    bound, t = gaussian_bound(n * (n - 1) // 2, k)
    objective, _ = pose(n=n, r=2, k=k, t=t, duplicate=False)
    zero = torch.zeros(k, 2, dtype=torch.float64)
    for factor in (1.0, 0.9, 1.05):
        other = objective.at(t * factor)
        value = other.log_moment(other.pack(zero, 1 / k)) / other.t
        assert value == pytest.approx(bound, rel=1e-12) if factor == 1.0 else value > bound


def test_gaussian_bound_keeps_the_lemma():
    """With ``k >= johnson_lindenstrauss_min_dim(n, eps)`` the bound is at most eps."""
    for n, eps in [(50, 0.5), (1000, 0.2), (10_000, 0.1)]:
        k = int(johnson_lindenstrauss_min_dim(n, eps=eps))
        assert gaussian_bound(n * (n - 1) // 2, k)[0] <= eps


def test_draws_are_below_the_gaussian_bound_on_average():
    n, k = 30, 10
    objective, distances = pose(n=n, r=40, k=k, duplicate=False)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(500, k, 40, generator=generator, dtype=torch.float64) / math.sqrt(k)
    worst = changes(objective, distances, maps).abs().amax(dim=1)
    assert worst.mean().item() < gaussian_bound(n * (n - 1) // 2, k)[0]


@pytest.mark.parametrize("seed", range(12))
def test_no_map_beats_the_lower_bound(seed):
    """Linear or not: principal components, descended maps, and free images, each scaled at its best."""
    random = np.random.RandomState(seed)
    n, r, k = random.randint(4, 14), random.randint(2, 8), random.randint(1, 4)
    objective, distances = pose(n=n, r=r, k=k, t=20.0, seed=seed, duplicate=False)
    bound = distortion_lower_bound(objective.points, distances, k, pair_evaluations=100)
    assert 0 <= bound < 1
    best = np.inf
    centred = objective.points - objective.points.mean(dim=0)
    axes = torch.linalg.svd(centred, full_matrices=True).Vh
    i, j = torch.triu_indices(n, n, 1)
    candidates = [centred @ axes[:k].T, torch.tensor(random.standard_normal((n, k)))]
    start = minimize(objective, objective.pack(random_map(k, r, seed), 0.0), random_state=0, curvature_tol=10.0)
    candidates.append(objective.points @ objective.maps(start.params).T)
    free = PairDistortion(torch.eye(n, dtype=torch.float64), (1 / distances).fill_diagonal_(0.0), k, 20.0)
    at_best = minimize(free, free.pack(candidates[-1].T, 0.0), random_state=0, curvature_tol=10.0)
    candidates.append(free.maps(at_best.params).T)
    for images in candidates:
        q = (images[i] - images[j]).square().sum(dim=1) / distances[i, j]
        best = min(best, ((q.max() - q.min()) / (q.max() + q.min())).item())
    assert best >= bound - 1e-12


def test_the_lower_bound_ascends_along_its_own_gradient(monkeypatch):
    """By central differences, at weights at random and with fewer coordinates than points."""
    objective, distances = pose(n=9, r=5, duplicate=False)
    calls = []
    monkeypatch.setattr(distortion_bounds, "minimize", lambda f, start, **_: calls.append(f))
    distortion_lower_bound(objective.points, distances, 2)
    theta = np.random.RandomState(4).standard_normal(9)
    _, gradient = calls[0](theta)
    moves = 1e-5 * np.eye(9)
    numeric = [(calls[0](theta + move)[0] - calls[0](theta - move)[0]) / 2e-5 for move in moves]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)


def test_lower_bound_grows_with_its_budget_and_is_zero_at_full_dimension():
    objective, distances = pose(n=30, r=12, k=3, duplicate=False)
    bounds = [distortion_lower_bound(objective.points, distances, 3, budget) for budget in (1, 5, 40)]
    assert 0.05 < bounds[0] <= bounds[1] <= bounds[2]
    assert distortion_lower_bound(objective.points, distances, 12) == 0.0


def test_lower_bound_of_a_triangle_on_a_line():
    """Three points at equal distances: the best map to a line has images 0, 1, 2 up to scale, distortion 3/5."""
    points = torch.eye(3, dtype=torch.float64)
    distances = 2 * (1 - torch.eye(3, dtype=torch.float64))
    assert distortion_lower_bound(points, distances, 1) <= 0.6
