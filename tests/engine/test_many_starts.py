"""Many starts as one tensor."""

import pytest
import torch
from landscapes import LANDSCAPES

from sklearn_derand.engine import Status, descend_many, minimize


def draw(landscape, m=6):
    draws = torch.Generator().manual_seed(1)
    return torch.randn(m, landscape.start.numel(), generator=draws, dtype=torch.float64)


@pytest.mark.parametrize("name", ["matrix_factorisation", "phase_retrieval", "teacher_student", "burer_monteiro"])
def test_each_row_falls_as_it_would_alone(name):
    landscape = LANDSCAPES[name]()
    starts = draw(landscape)
    before = starts.clone()
    together = descend_many(landscape.function, starts, max_iter=15)
    assert torch.equal(starts, before)
    for row, start in enumerate(starts):
        alone = descend_many(landscape.function, start[None], max_iter=15)
        torch.testing.assert_close(together.params[row], alone.params[0], rtol=1e-6, atol=1e-8)
        assert together.values[row] < landscape.function(start)
        torch.testing.assert_close(together.values[row], landscape.function(together.params[row]))


def test_rows_come_to_rest_and_the_best_is_certified():
    landscape = LANDSCAPES["matrix_factorisation"]()
    ends = descend_many(landscape.function, draw(landscape), max_iter=2000)
    assert (ends.gradient_norms <= 1e-3).all()
    solution = minimize(landscape.function, ends.params[ends.values.argmin()], random_state=0)
    assert solution.status is Status.CERTIFIED
    assert solution.value <= ends.values.min()


def test_a_row_that_is_not_finite_stays_and_disturbs_no_other():
    starts = torch.tensor([[-1.0, 1.0], [2.0, 1.0]], dtype=torch.float64)
    ends = descend_many(lambda p: p[0].log() ** 2 + p[1] ** 2, starts)
    assert torch.equal(ends.params[0], starts[0])
    assert ends.values[0].isnan()
    torch.testing.assert_close(ends.params[1], torch.tensor([1.0, 0.0], dtype=torch.float64), rtol=0, atol=1e-2)


def test_an_objective_may_bring_its_own_formula():
    class Bowls:
        def value(self, params):
            raise AssertionError

        def values(self, params):
            return params.square().sum(dim=1)

    ends = descend_many(Bowls(), torch.ones(3, 2, dtype=torch.float64))
    assert (ends.values < 1e-6).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"starts": torch.ones(3, dtype=torch.float64)}, "starts"),
        ({"starts": torch.ones(3, 2)}, "float64"),
        ({"tol": 0.0}, "tol"),
        ({"max_iter": -1}, "max_iter"),
    ],
)
def test_bad_arguments_are_refused(settings, message):
    arguments = {"starts": torch.ones(3, 2, dtype=torch.float64)} | settings
    with pytest.raises(ValueError, match=message):
        descend_many(lambda p: p.square().sum(), **arguments)
