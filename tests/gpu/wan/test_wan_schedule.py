"""Timesteps in numbers, against the public scheduler's arithmetic, and the way between clean and noisy."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from wan_chance import error, normal  # noqa: E402

from gpu.errors import ModelError  # noqa: E402
from gpu.wan.schedule import Schedule  # noqa: E402


def test_four_steps_are_the_released_ones() -> None:
    """Self-Forcing, LongLive and LiveEdit: [1000, 750, 500, 250], warped with shift 5."""
    schedule = Schedule.of(4)
    assert schedule.timesteps == pytest.approx((1000, 937.5, 2500 / 3, 625), abs=1e-9)
    assert schedule.sigmas == pytest.approx((1, 0.9375, 5 / 6, 0.625), abs=1e-12)
    assert len(schedule) == 4


def test_without_a_shift_they_are_even() -> None:
    """As LiveEdit's own script takes them."""
    assert Schedule.of(4, shift=1).timesteps == (1000, 750, 500, 250)


def test_two_steps_are_the_first_and_third() -> None:
    four, two = Schedule.of(4), Schedule.of(2)
    assert two.timesteps == pytest.approx((1000, 833.33), abs=0.01)
    assert two.timesteps == pytest.approx(four.timesteps[::2])


@pytest.mark.parametrize(("steps", "shift"), [(1, 5.0), (2, 5.0), (3, 8.0), (4, 5.0), (4, 1.0), (50, 3.0)])
def test_it_is_the_flow_matching_schedule(steps: int, shift: float) -> None:
    """The table of a thousand warped steps that training uses, read at the steps that are taken."""
    table = torch.linspace(1, 0, 1001, dtype=torch.float64)[:-1]
    table = 1000 * shift * table / (1 + (shift - 1) * table)
    taken = [1000 - round(1000 * (steps - index) / steps) for index in range(steps)]
    if all(1000 * (steps - index) % steps == 0 for index in range(steps)):
        assert Schedule.of(steps, shift).timesteps == pytest.approx(table[taken].tolist())
    even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1]
    sigmas = 1 / (1 + (1 / even - 1) / shift)  # odds of the clean, divided by the shift
    assert Schedule.of(steps, shift).sigmas == pytest.approx(sigmas.tolist())


def test_the_clean_latents_are_found_again() -> None:
    schedule, clean, noise = (
        Schedule.of(4),
        normal(0, "clean", 1, 4, 3, 4, 6),
        normal(0, "noise", 1, 4, 3, 4, 6),
    )
    assert torch.equal(schedule.renoise(0, clean, noise), noise)  # all noise
    for step in range(4):
        noisy = schedule.renoise(step, clean, noise)
        assert error(schedule.clean(step, noisy, noise - clean), clean) < 1e-6
        assert error(noisy, clean + schedule.sigmas[step] * (noise - clean)) < 1e-6


def test_types_stay() -> None:
    latents = torch.ones(1, 4, 1, 2, 2, dtype=torch.bfloat16)
    assert Schedule.of().clean(1, latents, latents).dtype == torch.bfloat16
    assert Schedule.of().renoise(1, latents, latents).dtype == torch.bfloat16


@pytest.mark.parametrize(("steps", "shift"), [(0, 5.0), (4, 0.0), (4, -1.0)])
def test_what_is_no_schedule_is_refused(steps: int, shift: float) -> None:
    with pytest.raises(ModelError, match="above 0"):
        Schedule.of(steps, shift)
