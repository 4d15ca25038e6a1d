"""What a rule says at each step, from what its condition was at that step and the earlier ones. Pure.

Of each thing and step the condition is true (T), over (C), between the two (H), or not known. The last are passed over: they
count for no duration and break none.

- It fires from the step on at which `for` many T stand in a row, until `clear_for` many C stand in a row.
- It has held since the first T of the row of T that made it fire. It has been over since the first C of the row of C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]
Conditions = NDArray[np.int8]
UNKNOWN, TRUE, OVER, BETWEEN = range(4)
NEVER = -1


@dataclass(frozen=True)
class Said:
    """Of each thing (a line) at each step (a column): whether anything is known, whether it fires, since which step that has
    held, and at which step it fired last. `NEVER` where there is none.
    """

    known: Flags
    fires: Flags
    since: Positions
    fired_last: Positions


def conditions(when: Flags, not_known: Flags, until: Flags) -> Conditions:
    """What a condition is where it is true, where either side is not known, and where it is over."""
    return np.select([when, not_known, until], [TRUE, UNKNOWN, OVER], BETWEEN).astype(np.int8)


def said(conditions: Conditions, *, for_steps: int, clear_steps: int) -> Said:
    """What is said of things whose conditions are known at each step."""
    known, true, over = conditions != UNKNOWN, conditions == TRUE, conditions == OVER
    number = np.cumsum(known, axis=1)  # of the known steps, from 1
    true_in_a_row = np.where(true, number - _latest(known & ~true, number, before=0), 0)
    over_in_a_row = np.where(over, number - _latest(known & ~over, number, before=0), 0)
    step = np.broadcast_to(np.arange(conditions.shape[1]), conditions.shape)
    ended = _latest(over_in_a_row >= clear_steps, step)
    fires = _latest(true_in_a_row >= for_steps, step) > ended
    opens = fires.copy()
    opens[:, 1:] &= ~fires[:, :-1]
    held_since, over_since = _latest(true_in_a_row == 1, step), _latest(over_in_a_row == 1, step)
    opened = _latest(opens, held_since)
    return Said(
        known=known,
        fires=known & fires,
        since=np.where(known & fires, opened, np.where(over, over_since, NEVER)),
        fired_last=_latest(known & fires, step),
    )


def _latest(where: Flags, values: Positions, *, before: int = NEVER) -> Positions:
    """At each step the value at the latest step of some kind; the values never fall."""
    found: Positions = np.maximum.accumulate(np.where(where, values, before), axis=1)
    return found
