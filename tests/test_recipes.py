from dataclasses import replace

import pytest

from lib.errors import OptionError
from lib.training.recipes import (
    CONTRASTIVE,
    SIMSIAM,
    Schedule,
    find_recipe,
    learning_rate,
)


def test_recipes_go_by_their_content_and_by_the_old_names():
    assert find_recipe("default") is find_recipe("contrastive")
    assert find_recipe("milopyp") is find_recipe("simsiam")
    with pytest.raises(OptionError, match="--recipe byol: expected contrastive, sim"):
        find_recipe("byol")


def test_rate_of_the_simsiam_recipe_falls_in_steps():
    recipe = SIMSIAM
    schedule = Schedule(700, 256, 1e-3)
    rates = [learning_rate(1e-3, e, recipe, schedule) for e in (0, 199, 200, 400, 600)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5, 1e-6])


def test_rate_warms_up_then_falls_along_a_cosine():
    recipe = replace(CONTRASTIVE, warm=0.1, cosine=True)
    schedule = Schedule(100, 256, 1e-3)
    rates = [learning_rate(1e-3, e, recipe, schedule) for e in range(101)]
    assert rates[0] < 1e-5
    assert rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx(0.5e-3)
    assert rates[100] == pytest.approx(0, abs=1e-9)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:], strict=False))


def test_user_may_change_the_schedule_of_a_recipe():
    changed = CONTRASTIVE.with_schedule(cosine=False, steps=(3,), warm=0.0)
    assert learning_rate(1.0, 2.9, changed, Schedule(10, 1, 1)) == 1.0
    assert learning_rate(1.0, 3.0, changed, Schedule(10, 1, 1)) == pytest.approx(0.1)
    assert CONTRASTIVE.with_schedule() == CONTRASTIVE
