"""What goes into a reconstruction, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HOUR_S = 3600
LENGTH_CLASSES = ("under 1 h", "1 to 6 h", "over 6 h")


@dataclass(frozen=True)
class Parameters:
    """What is assumed of a machine's load, in units of its variance. The defaults lie in a flat optimum.

    `memory_s`: after how long a load is forgotten. `per_worker_ratio`: how much of the variance goes with the number of running
    windows, `own_level_ratio` with each window alone, `outside_ratio` with what lies beyond the margins. `nugget_ratio`: of
    one window, on top of its noise. Whole hours and their multiples for the cells, in which equal windows are one.
    """

    memory_s: int = 6 * HOUR_S
    per_worker_ratio: float = 2.0
    own_level_ratio: float = 0.1
    outside_ratio: float = 0.3
    nugget_ratio: float = 3e-4
    margin_s: int = 12 * HOUR_S
    reach_s: int = 24 * HOUR_S
    fine_cell_s: int = HOUR_S
    coarse_cell_s: int = 4 * HOUR_S


PARAMETERS = Parameters()


@dataclass(frozen=True)
class Windows:
    """Means over spans, in any order. `lane`: whose they are, a small number. `value`: one column per quantity, in percent.

    One that ends before it begins, or when it begins, says nothing.
    """

    lane: Ints
    start_s: Ints
    end_s: Ints
    value: Floats

    def __post_init__(self) -> None:
        """Values are a table of as many rows."""
        assert self.value.shape[0] == self.lane.size == self.start_s.size == self.end_s.size

    def where(self, chosen: Bools | Ints) -> Windows:
        """Some of them."""
        return Windows(self.lane[chosen], self.start_s[chosen], self.end_s[chosen], self.value[chosen])


@dataclass(frozen=True)
class Days:
    """What is asked for: half-open days of lanes, of which none overlap. One column per quantity: `full`, what complete use shows, in
    percent, and `noise`, the variance of one window's own error (percent²), none where it is left out.
    """

    lane: Ints
    start_s: Ints
    end_s: Ints
    full: Floats
    noise: Floats | None = None

    def where(self, chosen: Bools | Ints) -> Days:
        """Some of them."""
        noise = None if self.noise is None else self.noise[chosen]
        return Days(self.lane[chosen], self.start_s[chosen], self.end_s[chosen], self.full[chosen], noise)

    def columns(self, chosen: slice) -> Days:
        """The same days, of some quantities."""
        noise = None if self.noise is None else self.noise[:, chosen]
        return Days(self.lane, self.start_s, self.end_s, self.full[:, chosen], noise)

    @property
    def noise_ratio(self) -> Floats:
        """The noise as a variance of shares of complete use."""
        return np.zeros(self.full.shape) if self.noise is None else self.noise / self.full**2


@dataclass(frozen=True)
class Hours:
    """Hours of the days that were asked for, as far as windows cover them; `day` is a place in those days.

    `mean`: over the covered seconds, in percent, to 1e-6. `variance`: of that mean's error (percent²). `share`: an hour's part of
    the variance of its machine-day's sum, in (percent × h)²: parts of hours of any machines add up. Both to 1e-6.

    What the machine's windows say alone is `unbounded` before it is put between 0 and `most`; it gains `per_shift` where the whole
    fleet's day is known to be by one level higher. `pull` and `pull_weight`, in the first hour of each day, are what this
    machine knows of that: sums of them over machines, divided, are the best estimate of the shift, with 1 / `pull_weight` as its variance.
    """

    day: Ints
    hour_no: Ints
    covered_s: Ints
    mean: Floats
    variance: Floats
    share: Floats
    unbounded: Floats
    most: Floats
    per_shift: Floats
    pull: Floats
    pull_weight: Floats


@dataclass(frozen=True)
class LeftOut:
    """One group of like windows per day and what both methods make of it without its value; at most one per day.

    `measured`, `reconstructed`, `swept`: in percent. Where no other window covers half of it, there is no row.
    `unbounded`, `most`, `per_shift`: as those of `Hours`.
    """

    day: Ints
    end_s: Ints
    length_s: Ints
    measured: Floats
    reconstructed: Floats
    swept: Floats
    unbounded: Floats
    most: Floats
    per_shift: Floats


@dataclass(frozen=True)
class Bearing:
    """What the hours of one lane's day are made of: like windows as one, by start and end, and their weights.

    `mean` and `value` in percent, `weights` by window and hour; over the windows they sum to one, and weight × value to the hour's
    mean before it is put between 0 and what is the most, and before the shift of the fleet's day adds `shifted`. A weight may be
    negative.
    """

    start_s: Ints
    end_s: Ints
    windows: Ints
    value: Floats
    hour_no: Ints
    covered_s: Ints
    mean: Floats
    shifted: Floats
    weights: Floats


def class_of_length(length_s: Ints) -> Ints:
    """The place in LENGTH_CLASSES of each length."""
    return np.searchsorted(np.array([HOUR_S, 6 * HOUR_S + 1]), length_s, side="right").astype(np.int64)
