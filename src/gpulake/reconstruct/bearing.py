"""Which windows a day's hours are made of, and how much of each: the weights of the very solution that makes the hours."""

from __future__ import annotations

import numpy as np

from gpulake.reconstruct.blocks import blocks_of
from gpulake.reconstruct.kriging import solved
from gpulake.reconstruct.values import PARAMETERS, Bearing, Days, Parameters, Windows
from gpulake.reconstruct.whole import reconstruct, stacks


def bearing(windows: Windows, *, day: Days, shift: float = 0.0, parameters: Parameters = PARAMETERS) -> Bearing | None:
    """What makes one day of one lane, in one quantity whose values are known; None where no window covers a second of it.

    `shift`: by what part of its level the fleet's day is higher. As `reconstruct`, it stands on the windows that meet the day or come
    within a day's reach of it.
    """
    assert day.lane.size == windows.value.shape[1] == 1
    windows = windows.where((windows.start_s < windows.end_s) & (windows.lane == day.lane[0]))
    hours, _ = reconstruct(windows, days=day, parameters=parameters)
    if not hours.hour_no.size:
        return None
    members, pieces = blocks_of(windows, days=day, parameters=parameters)
    none_left_out = np.full(1, -1)
    (each,) = stacks(members, pieces, none_left_out, days=day, parameters=parameters)
    done = solved(each.stack, parameters=parameters)
    of_piece = done.weights[0][each.is_member[0]][:, each.is_piece[0]]
    of_hour = pieces.hour_no[:, None] == hours.hour_no
    weights = of_piece @ (of_hour * (pieces.end_s - pieces.start_s)[:, None]) / hours.covered_s
    order = np.lexsort((members.end_s, members.start_s))
    return Bearing(
        start_s=members.start_s[order] + day.start_s[0],
        end_s=members.end_s[order] + day.start_s[0],
        windows=members.windows[order],
        value=members.value[order, 0] * day.full[0, 0],
        hour_no=hours.hour_no,
        covered_s=hours.covered_s,
        mean=np.clip(hours.unbounded + shift * hours.per_shift, 0, hours.most)[:, 0],
        shifted=shift * hours.per_shift[:, 0],
        weights=weights[order],
    )
