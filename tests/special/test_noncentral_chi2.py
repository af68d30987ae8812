"""The noncentral chi-square law against scipy, against sampling, and against its own derivatives."""

import numpy as np
import pytest
import torch
from scipy import stats

from sklearn_derand.special import noncentral_chi2_cdf, noncentral_chi2_pdf, noncentral_chi2_sf

LAWS = [(k, nc) for k in (1, 2, 3, 5, 16, 30, 64, 128, 512) for nc in (1e-3, 1.0, k / 2, 5.0 * k, 100.0 * k, 1e6)]


def bulk(k, nc, low=-7, high=8, size=31):
    """Points across the law's mass, in standard deviations of it."""
    points = k + nc + np.sqrt(2 * (k + 2 * nc)) * np.linspace(low, high, size)
    x = torch.tensor(np.maximum(points, 1e-3))
    return x, torch.full_like(x, nc)


@pytest.mark.parametrize("k, nc", LAWS)
def test_both_tails_and_the_density_are_scipys(k, nc):
    x, noncentrality = bulk(k, nc)
    np.testing.assert_allclose(
        noncentral_chi2_cdf(x, k, noncentrality).numpy(), stats.ncx2.cdf(x.numpy(), k, nc), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        noncentral_chi2_sf(x, k, noncentrality).numpy(), stats.ncx2.sf(x.numpy(), k, nc), rtol=0, atol=1e-12
    )
    density = stats.ncx2.pdf(x.numpy(), k, nc)
    np.testing.assert_allclose(noncentral_chi2_pdf(x, k, noncentrality).numpy(), density, rtol=1e-11, atol=1e-30)


@pytest.mark.parametrize("k", [1, 2, 7, 64])
def test_no_noncentrality_is_the_central_law(k):
    x, zero = bulk(k, 0.0)
    np.testing.assert_allclose(noncentral_chi2_sf(x, k, zero).numpy(), stats.chi2.sf(x.numpy(), k), atol=1e-13)
    np.testing.assert_allclose(noncentral_chi2_cdf(x, k, zero).numpy(), stats.chi2.cdf(x.numpy(), k), atol=1e-13)


def test_a_small_upper_tail_keeps_its_digits():
    x = torch.tensor([60.0, 120.0], dtype=torch.float64)
    tail = noncentral_chi2_sf(x, 16, torch.zeros(2, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(tail, stats.chi2.sf(x.numpy(), 16), rtol=1e-9)
    assert tail[1] < 1e-16


@pytest.mark.parametrize("sigma", [1e-2, 1e-4, 1e-6])
def test_vanishing_noise_gives_the_step(sigma):
    """``|m + sigma z|^2 <= 1`` for ``|m|^2 = q`` becomes ``q <= 1``: the limit that derandomisation takes."""
    q = torch.tensor([0.9, 1.1], dtype=torch.float64)
    below = noncentral_chi2_cdf(torch.full_like(q, 1 / sigma**2), 16, q / sigma**2)
    np.testing.assert_allclose(below.numpy(), [1.0, 0.0], atol=1e-6 if sigma == 1e-2 else 1e-13)


def test_the_tail_is_the_share_of_draws():
    generator = np.random.RandomState(0)
    mean = np.array([1.5, -0.5, 0.0, 2.0])
    draws = ((generator.standard_normal((200_000, 4)) + mean) ** 2).sum(axis=1)
    nc = torch.tensor((mean**2).sum())
    for x in (5.0, 10.0, 20.0):
        p = noncentral_chi2_cdf(torch.tensor(x, dtype=torch.float64), 4, nc).item()
        assert abs((draws <= x).mean() - p) < 4 * np.sqrt(p * (1 - p) / draws.size)


@pytest.mark.parametrize("k", [1, 2, 3, 16, 65])
@pytest.mark.parametrize("function", [noncentral_chi2_cdf, noncentral_chi2_sf, noncentral_chi2_pdf])
def test_first_and_second_derivatives(k, function):
    x = torch.tensor([0.3 * k, 1.0 * k, 3.0 * k + 2, 5.0 * k + 40], dtype=torch.float64, requires_grad=True)
    nc = torch.tensor([0.1, 0.5 * k, 2.0 * k, 5.0 * k + 30], dtype=torch.float64, requires_grad=True)
    law = lambda x, nc: function(x, k, nc)  # noqa: E731
    assert torch.autograd.gradcheck(law, (x, nc), atol=1e-8)
    assert torch.autograd.gradgradcheck(law, (x, nc), atol=1e-8)


def test_the_two_branches_of_the_density_meet():
    """The power series and Debye's expansion are different formulas; the density must not jump between them."""
    nc = torch.tensor([100.0, 100.0], dtype=torch.float64)
    at = (30.0**2 - 7.0**2) / 100.0
    x = torch.tensor([at * (1 - 1e-13), at * (1 + 1e-13)], dtype=torch.float64)
    low, high = noncentral_chi2_pdf(x, 16, nc).tolist()
    assert abs(low / high - 1) < 1e-11
