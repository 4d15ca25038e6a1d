"""How busy each machine's work is in each hour: one factor for all instances there, so that use changes while they run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gpulake.simulate import reference
from gpulake.simulate.curves import Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.faults import FLEET, Fault
from gpulake.simulate.population import Window

_MEAN, _DAILY_SWING, _BUSIEST_HOUR = 0.72, 0.16, 15
_WEEKEND = 0.92
_DAY_NOISE, _DAY_MEMORY = 0.07, 0.6
_MACHINE_NOISE, _HOUR_NOISE = 0.10, 0.10


@dataclass(frozen=True)
class Activity:
    """Factor in [0, 1] per machine and hour, with its integral from the window's start."""

    window: Window
    factor: Floats
    integral_s: Floats

    def until(self, machine: Ints, at_s: Ints) -> Floats:
        """Seconds of full activity on each machine from the window's start until each time."""
        since = at_s - self.window.start_s
        hour = np.minimum(since // 3_600, self.factor.shape[1] - 1)
        flat = machine.astype(np.int64) * self.factor.shape[1] + hour
        before = self.integral_s.ravel()[flat + machine]
        result: Floats = before + self.factor.ravel()[flat] * (since - hour * 3_600)
        return result


def draw_activity(number_of_machines: int, window: Window, dice: Dice) -> Activity:
    """Activity of a healthy fleet: a daily swing, quieter weekends, days that resemble their neighbours, machines of their own."""
    rng = dice.on("activity")
    hours = np.arange(window.days * 24)
    swing = 1 + _DAILY_SWING * np.cos(2 * np.pi * (hours % 24 - _BUSIEST_HOUR) / 24)
    day_noise = _DAY_NOISE * rng.standard_normal(window.days)
    for day in range(1, window.days):
        day_noise[day] += _DAY_MEMORY * day_noise[day - 1]
    weekday = (reference.FIRST_LOCAL_DAY + np.arange(window.days) - 2) % 7
    by_day = np.exp(day_noise) * np.where(weekday < 2, _WEEKEND, 1.0)
    of_machine = np.exp(_MACHINE_NOISE * rng.standard_normal((number_of_machines, 1)))
    noise = 1 + _HOUR_NOISE * rng.standard_normal((number_of_machines, len(hours)), dtype=np.float32)
    factor = np.clip(_MEAN * (swing * by_day[hours // 24])[None, :] * of_machine * noise, 0.05, 1.0)
    return _integrated(window, factor)


def with_faults(activity: Activity, faults: Iterable[Fault]) -> Activity:
    """The same activity, cut down where a fault says so."""
    factor = activity.factor.copy()
    for fault in faults:
        if fault.cuts_use:
            first, last = ((at - activity.window.start_s) // 3_600 for at in (fault.start_s, fault.end_s))
            rows = slice(None) if fault.machine == FLEET else slice(fault.machine, fault.machine + 1)
            factor[rows, first:last] *= fault.magnitude
    return _integrated(activity.window, factor)


def _integrated(window: Window, factor: Floats) -> Activity:
    integral = np.zeros((factor.shape[0], factor.shape[1] + 1))
    np.cumsum(factor * 3_600.0, axis=1, out=integral[:, 1:])
    return Activity(window, factor, integral)
