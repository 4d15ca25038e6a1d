"""Hours from the means of overlapping windows, one after the other by loops: what `gpulake.reconstruct` does in stacks."""

from __future__ import annotations

from math import exp, log1p

import numpy as np

HOUR = 3600
MEMORY, PER_WORKER, OWN, OUTSIDE, NUGGET = 6 * HOUR, 2.0, 0.1, 0.3, 3e-4
MARGIN, REACH = 12 * HOUR, 24 * HOUR


def correlation(a, b, c, d):
    """The mean of exp(-|t - t'| / memory) over [a, b) × [c, d)."""

    def f(z):
        return MEMORY**2 * exp(-abs(z) / MEMORY) + MEMORY * abs(z)

    return (f(b - c) + f(a - d) - f(a - c) - f(b - d)) / ((b - a) * (d - c))


def overlap(a, b, c, d):
    return max(0, min(b, d) - max(a, c))


def merge(windows, cell):
    """Windows that begin and end in the same cells are one: (start, end, value, how many)."""
    cells = {}
    for start, end, value in windows:
        cells.setdefault((start // cell, -(-end // cell)), []).append((start, end, round(value * 1e8)))
    found = []
    for members in cells.values():
        n = len(members)
        start, end = ((2 * sum(row[at] for row in members) + n) // (2 * n) for at in (0, 1))
        found.append((start, end, sum(row[2] for row in members) / n / 1e8, n))
    return found


def day(windows, *, start, end, full, noise=0.0, shift=0.0):
    """{hour: (covered seconds, mean, variance)} of one machine's day, in percent; and the variance of its (percent × h)."""
    found = whole_day(windows, start=start, end=end, full=full, noise=noise)
    hours = {
        hour: (total, min(max(mean + shift * per_shift, 0), found["most"]), variance)
        for hour, (total, mean, variance, per_shift) in found["hours"].items()
    }
    return hours, found["share"]


def days_of_fleet(machines, *, start, end, noise=0.0):
    """As `day`, of each machine of a fleet, {name: (windows, full)}: what the others know of the fleet's day moves it."""
    found = {
        name: whole_day(windows, start=start, end=end, full=full, noise=noise)
        for name, (windows, full) in machines.items()
    }
    hours = {}
    for name, (windows, full) in machines.items():
        pull = sum(each["pull"] for other, each in found.items() if other != name)
        weight = sum(each["pull_weight"] for other, each in found.items() if other != name)
        shift = pull / weight * (1 - weight / pull**2) if weight > 0 and pull**2 > weight else 0.0
        hours[name] = day(windows, start=start, end=end, full=full, noise=noise, shift=shift)
    return hours


def whole_day(windows, *, start, end, full, noise=0.0):
    """What one machine's windows say of its day: {hour: (covered seconds, mean before bounds, variance, gain per shift)} and more."""
    windows = [(s - start, e - start, v) for s, e, v in windows if s < e]
    length = end - start
    running = {}
    for s, e, _ in windows:
        for hour in range(max(s, -REACH) // HOUR, -(-min(e, length + REACH) // HOUR)):
            running[hour] = running.get(hour, 0) + overlap(s, e, hour * HOUR, (hour + 1) * HOUR)
    pieces = []
    for s, e, _ in sorted(windows):
        if pieces and s <= pieces[-1][1]:
            pieces[-1][1] = max(pieces[-1][1], e)
        else:
            pieces.append([s, e])
    covered = {
        hour: sum(overlap(s, e, hour * HOUR, (hour + 1) * HOUR) for s, e in pieces)
        for hour in range(-REACH // HOUR, -(-(length + REACH) // HOUR))
    }
    level = {hour: round(log1p(running.get(hour, 0) / c) * 2**20) / 2**20 if c else 0 for hour, c in covered.items()}
    targets = [
        (max(s, hour * HOUR), min(e, (hour + 1) * HOUR, length), hour)
        for hour in range(-(-length // HOUR))
        for s, e in pieces
        if overlap(s, e, hour * HOUR, min((hour + 1) * HOUR, length))
    ]
    if not targets:
        return {"hours": {}, "share": 0.0, "most": full, "pull": 0.0, "pull_weight": 0.0}
    # Whether a window meets the day is told by its cell.
    block = merge([w for w in windows if w[0] // HOUR * HOUR < length and w[1] > 0], HOUR)
    block += merge([w for w in windows if -MARGIN < w[1] <= 0], 4 * HOUR)
    block += [
        (s + length, e + length, v, n)
        for s, e, v, n in merge(
            [(s - length, e - length, v) for s, e, v in windows if length <= s < length + MARGIN], 4 * HOUR
        )
    ]
    f = []
    for s, e, _, _ in block:
        low, high = max(s, -REACH), min(e, length + REACH)
        f.append(sum(level[h] * overlap(low, high, h * HOUR, (h + 1) * HOUR) for h in level) / (high - low))
    n = len(block)
    block_mean = sum(v * count for _, _, v, count in block) / sum(count for *_, count in block) / full
    own_error = noise / full**2 / (0.6 * min(max(block_mean, 0.005), 1))
    before = [overlap(s, e, -(10**12), -MARGIN) / (e - s) for s, e, _, _ in block]
    after = [overlap(s, e, length + MARGIN, 10**12) / (e - s) for s, e, _, _ in block]
    own = np.array([[overlap(*i[:2], *k[:2]) / (i[1] - i[0]) for k in block] for i in block])
    matrix = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            matrix[i, j] = (
                correlation(*block[i][:2], *block[j][:2])
                + PER_WORKER * f[i] * f[j]
                + OUTSIDE * (before[i] * before[j] + after[i] * after[j])
                + OWN * sum(own[i, k] * own[j, k] for k in range(n))
                + ((NUGGET + own_error) / block[i][3] if i == j else 0)
            )
    inverse = np.linalg.inv(matrix)
    y = np.array([v / full for _, _, v, _ in block])
    ones = np.ones(n)
    mean = (ones @ inverse @ y) / (ones @ inverse @ ones)
    w = inverse @ (y - mean)
    towards, weights = [], []
    for hour in sorted({h for *_, h in targets}):
        parts = [(s, e) for s, e, h in targets if h == hour]
        total = sum(e - s for s, e in parts)
        towards.append(
            [
                sum((e - s) / total * correlation(s, e, *block[j][:2]) for s, e in parts)
                + PER_WORKER * level[hour] * f[j]
                + OWN * sum(sum(overlap(s, e, *block[k][:2]) for s, e in parts) / total * own[j, k] for k in range(n))
                for j in range(n)
            ]
        )
        weights.append((hour, total, parts))
    k_matrix = np.array(towards)
    between = np.array(
        [
            [
                sum((e - s) * (d - c) * correlation(s, e, c, d) for s, e in parts for c, d in other_parts)
                / (total * other_total)
                + PER_WORKER * level[hour] * level[other]
                + OWN
                * sum(
                    sum(overlap(s, e, *block[k][:2]) for s, e in parts)
                    * sum(overlap(s, e, *block[k][:2]) for s, e in other_parts)
                    / (total * other_total)
                    for k in range(n)
                )
                for other, other_total, other_parts in weights
            ]
            for hour, total, parts in weights
        ]
    )
    bias = 1 - k_matrix @ inverse @ ones
    scale = (0.6 * min(max(mean, 0.005), 1) + max(y @ w, 0)) / (2 + n)
    error = scale * (between - k_matrix @ inverse @ k_matrix.T + np.outer(bias, bias) / (ones @ inverse @ ones))
    u = mean + k_matrix @ w
    # Were the day's load higher by `height`, windows would be by `inside`; regress what is left of both beside an unknown mean.
    height = max(mean, 0.005)
    inside = np.array([height * overlap(s, e, 0, length) / (e - s) for s, e, _, _ in block])
    taken = (ones @ inverse @ inside) / (ones @ inverse @ ones)
    residual = inside - taken
    gain = height - taken - k_matrix @ inverse @ residual
    hours = {
        hour: (total, float(u[at]) * full, float(error[at, at]) * full**2, float(gain[at]) * full)
        for at, (hour, total, _) in enumerate(weights)
    }
    seconds_of = np.array([total for _, total, _ in weights]) / HOUR
    return {
        "hours": hours,
        "share": float(seconds_of @ error @ seconds_of) * full**2,
        "most": max(1, y.max()) * full,
        "pull": float(inside @ inverse @ (y - mean)) / scale,
        "pull_weight": float(inside @ inverse @ residual) / scale,
    }
