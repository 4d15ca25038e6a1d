"""The intervals of rare errors: exact bounds, what stands for them above 100, and how often they hold the truth."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from gpulake.lake import in_memory

ROOT = Path(__file__).parents[2]


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


SEED = np.array(
    [
        [float(value) for value in row.values()]
        for row in rows_of(ROOT / "warehouse" / "seeds" / "poisson_intervals.csv")
    ]
)


def exact(events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the chi-square quantiles: the textbook's exact interval of 95 %."""
    low = np.where(events > 0, chi2.ppf(0.025, 2 * np.maximum(events, 1)) / 2, 0.0)
    return low, chi2.ppf(0.975, 2 * events + 2) / 2


def by_macro(name: str, value: float) -> float:
    """A macro's one expression, for a number."""
    text = (ROOT / "warehouse" / "macros" / "health.sql").read_text(encoding="utf-8")
    body = re.search(rf"{{% macro {name}\((\w+)\) -%}}(.*?){{%- endmacro", text, re.DOTALL)
    assert body
    expression = body[2].replace(f"{{{{ {body[1]} }}}}", f"cast({value} as double)")
    with in_memory({}) as duck:
        return float(duck.sql(f"select {expression} as value").to_pylist()[0]["value"])


def test_the_bounds_of_up_to_a_hundred_events_are_exact():
    """A wrong bound would call a healthy machine sick, or a sick one healthy, and nobody could see why."""
    events = np.arange(101)

    assert events.tolist() == SEED[:, 0].astype(int).tolist()
    np.testing.assert_allclose(SEED[:, 1], exact(events)[0], atol=6e-7)
    np.testing.assert_allclose(SEED[:, 2], exact(events)[1], atol=6e-7)


@pytest.mark.parametrize("events", [101, 250, 5_000, 99_999])
def test_the_bounds_of_more_events_are_off_by_less_than_they_say(events):
    """Above the seed's last row a formula stands for the quantile: 0.002 at most."""
    low, high = exact(np.array([events]))

    assert by_macro("poisson_mean_low", events) == pytest.approx(low[0], abs=0.002)
    assert by_macro("poisson_mean_high", events) == pytest.approx(high[0], abs=0.002)


@pytest.mark.parametrize("mean", [70.0, 83.3, 150.0, 999.9, 20_000.0])
def test_the_expected_range_of_large_means_is_off_by_one_at_most(mean):
    """What a mean makes no surprise: the counts whose own exact interval holds it."""
    counts = np.arange(int(mean + 12 * mean**0.5) + 10)
    low, high = exact(counts)

    assert abs(by_macro("poisson_highest", mean) - counts[low <= mean].max()) <= 1
    assert abs(by_macro("poisson_lowest", mean) - counts[high >= mean].min()) <= 1


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 1,000 fleets with failures of a known rate 93 % or more must have it in their interval: exact ones are never short."""
    rng = np.random.default_rng(14)
    for mean in (0.3, 2.0, 9.0, 40.0):
        counts = rng.poisson(mean, 1_000)
        held = (SEED[counts, 1] <= mean) & (mean <= SEED[counts, 2])
        assert held.mean() >= 0.93


def test_a_quiet_fleet_has_few_spikes():
    """A year of days of one rate: the upper bound of the past's mean keeps false spikes below the 2.5 % that one side may have."""
    rng = np.random.default_rng(15)
    false = total = 0
    for mean in (0.05, 0.5, 2.0):
        errors = rng.poisson(mean, 365)
        for day in range(3, 365):
            past = errors[max(0, day - 28) : day]
            most = SEED[past.sum(), 2] / len(past)
            false += errors[day] > SEED[SEED[:, 1] <= most, 0].max()
            total += 1
    assert false / total < 0.025
