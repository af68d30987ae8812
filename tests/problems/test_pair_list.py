"""Sums over listed pairs: against the plain expression, and their derivatives of first and second order."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from sklearn_derand.problems import pair_list
from sklearn_derand.problems.pair_list import PairList

FIRST, SECOND = torch.tensor([0, 0, 3, 2, 4, 1, 0]), torch.tensor([1, 2, 1, 4, 0, 3, 1])
ROWS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(params=[2, 4096])
def pairs(request, monkeypatch):
    monkeypatch.setattr(pair_list, "BLOCK", request.param)
    return PairList(FIRST, SECOND, len(ROWS))  # one pair twice, one row in none


def test_squares_are_those_of_the_differences(pairs):
    expected = (ROWS[FIRST] - ROWS[SECOND]).square().sum(dim=1)
    torch.testing.assert_close(pairs.squares(ROWS), expected, rtol=1e-14, atol=0)


def test_the_laplacian_is_that_of_the_weighted_graph(pairs):
    weights = torch.arange(1.0, 8.0, dtype=torch.float64)
    incidence = torch.eye(6, dtype=torch.float64)[FIRST] - torch.eye(6, dtype=torch.float64)[SECOND]
    expected = incidence.T @ (weights[:, None] * (incidence @ ROWS))
    torch.testing.assert_close(pairs.laplacian(weights, ROWS), expected, rtol=1e-13, atol=1e-14)


def test_derivatives_of_first_and_second_order(pairs):
    rows = ROWS.clone().requires_grad_()
    assert gradcheck(pairs.squares, rows)
    assert gradgradcheck(pairs.squares, rows)
