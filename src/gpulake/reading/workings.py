"""How a figure that rests on the means of windows was worked out: by which method, of what, and how sure the method is.

A machine's hour or day is told by its windows and what each weighs, from the solution that makes the hours; a fleet's figure by
the machines that weigh most in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from gpulake.lake import Reader
from gpulake.reading import published

if TYPE_CHECKING:
    from gpulake.reconstruct import Bearing

MOST = 20
"""Windows or machines that are named; the rest are counted."""
_REACH_H = 25
"""How far beyond a day the model reads windows: a day's reach, and what is missing to a whole hour."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # as all times here: UTC


@dataclass(frozen=True)
class _Quantity:
    """A utilisation: in silver_machine_hours its method, its seconds, its weight in a fleet and what is summed; and of a window."""

    name: str
    method: str
    covered_s: str
    weight: str
    weighed_by: str
    amount: str
    window_pct: str


_GPU = _Quantity(
    name="gpu",
    method="gpu_method",
    covered_s="gpu_covered_s",
    weight="gpu_covered_s * gpu_count",
    weighed_by="measured GPU-seconds",
    amount="gpu_pct_s",
    window_pct="gpu_util_pct / greatest(coalesce(gpu_count, 1), 1)",
)
_CPU = _Quantity(
    name="cpu",
    method="cpu_method",
    covered_s="cpu_covered_s",
    weight="cpu_covered_s * cpu_cores",
    weighed_by="measured core-seconds",
    amount="cpu_pct_s * cpu_cores",
    window_pct="cpu_util_pct",
)

_DAYS = {
    **dict.fromkeys(("avg_gpu_util", "avg_gpu_util_low", "avg_gpu_util_high", "gpu_pct_s", "gpu_pct_h_variance"), _GPU),
    **dict.fromkeys(("p95_gpu_util", "p95_gpu_util_low", "p95_gpu_util_high"), _GPU),
    **dict.fromkeys(
        ("avg_cpu_util", "avg_cpu_util_low", "avg_cpu_util_high", "core_pct_s", "core_pct_h_variance"), _CPU
    ),
}
_FLEET = {name: quantity for name, quantity in _DAYS.items() if not name.startswith("p95_")}
_MACHINE_DAYS = {
    **dict.fromkeys(("gpu_util_per_gpu_pct", "gpu_util_per_gpu_low", "gpu_util_per_gpu_high"), _GPU),
    **dict.fromkeys(("gpu_pct_s", "gpu_pct_h_variance"), _GPU),
    **dict.fromkeys(("cpu_util_pct", "cpu_util_low", "cpu_util_high", "cpu_pct_s", "cpu_pct_h_variance"), _CPU),
}
_MACHINE_HOURS = {
    **dict.fromkeys(("gpu_util_weighted_pct", "gpu_util_low", "gpu_util_high", "gpu_weighted_pct_s"), _GPU),
    **dict.fromkeys(("gpu_pct_s", "gpu_pct_variance", "gpu_pct_h_variance"), _GPU),
    **dict.fromkeys(("cpu_util_pct", "cpu_util_low", "cpu_util_high", "cpu_pct_s"), _CPU),
    **dict.fromkeys(("cpu_pct_variance", "cpu_pct_h_variance"), _CPU),
}
_FIGURES = {
    "gold_cluster_util_daily": _DAYS,
    "gold_cluster_util_daily_scored": _DAYS,
    "gold_cluster_util_hourly": _FLEET,
    "gold_cluster_util_window": _FLEET,
    "gold_machine_util_daily": _MACHINE_DAYS,
    "gold_machine_util_hourly": _MACHINE_HOURS,
    "silver_machine_hours": _MACHINE_HOURS,
}
"""The figures that are machine-hours, or made of nothing else."""


@dataclass(frozen=True)
class RowOf:
    """Whose row a figure stands in: what is None, its table does not have, and the figure is over all of it."""

    cluster_id: str | None
    dt: date | None = None
    hour_start_at: datetime | None = None
    machine_id: str | None = None

    @property
    def where(self) -> str:
        """A condition on silver_machine_hours; `bound` are its values."""
        return " AND ".join(f"{name} = ?" for name, value in vars(self).items() if value is not None) or "false"

    @property
    def bound(self) -> list[object]:
        """The values, in the order of `where`."""
        return [value for value in vars(self).values() if value is not None]


@dataclass(frozen=True)
class WindowWeighs:
    """Windows of a machine that begin in the same hour and end in the same one, as one: their mean times and value.

    `value_pct` of one GPU, or of the CPU. `weight` may be below zero.
    """

    started_at: datetime
    ended_at: datetime
    windows: int
    value_pct: float
    weight: float


@dataclass(frozen=True)
class OfWindows:
    """What the reconstructed part of a machine's hour or day is made of: the weights of all windows sum to one.

    `sum_pct` is Σ weight × value, `fleet_pct` what the shift of the fleet's day added, and `bounded_by_pct` what was added where hours
    lay below 0 or above the most that is.
    """

    named: tuple[WindowWeighs, ...]
    other_windows: int
    other_weight: float
    sum_pct: float
    fleet_pct: float
    bounded_by_pct: float


@dataclass(frozen=True)
class MachineWeighs:
    """One machine's part in a fleet's figure, its own mean over what counts there, and what made that."""

    machine_id: str
    weight: float
    value_pct: float
    method: str


@dataclass(frozen=True)
class OfMachines:
    """What a fleet's figure is made of, by machine: the weights of all of them sum to one. `weighed_by` says what a weight is."""

    weighed_by: str
    named: tuple[MachineWeighs, ...]
    other_machines: int
    other_weight: float


@dataclass(frozen=True)
class Missed:
    """What both methods missed windows of a class of length by that were left out: roots of mean squares, in points."""

    window_length: str
    windows: int
    reconstructed_rmse: float
    swept_rmse: float


@dataclass(frozen=True)
class Workings:
    """How one figure was worked out. `methods`: what part of it was made by which.

    `parameters` are the reconstruction's, as `gpulake.reconstruct.Parameters` tells them, and of a day `noise_points`, what one window
    errs by itself (a standard deviation), where that is known not to be none; empty where it made nothing. A swept
    machine-hour has no `of_windows`: each second has the mean of the windows over it.
    """

    quantity: str
    methods: Mapping[str, float]
    parameters: Mapping[str, float] = field(default_factory=dict)
    of_windows: OfWindows | None = None
    of_machines: OfMachines | None = None
    left_out: tuple[Missed, ...] = ()


def workings(reader: Reader, *, table: str, column: str, row: RowOf) -> Workings | None:
    """How the figure of a column was worked out; None where no window's mean is behind it, or an earlier gpulake built it."""
    quantity = _FIGURES.get(table, {}).get(column)
    if quantity is None or f"{quantity.name}_shift" not in published.columns(reader, "lake", "silver_machine_hours"):
        return None
    is_p95 = column.startswith("p95_")
    hours = _P95_HOURS if is_p95 else _HOURS if row.machine_id is None else _MACHINE
    query, bound = hours.format(**vars(quantity), table=table, where=row.where), row.bound
    methods = _methods(reader, query, bound)
    if not {"reconstructed", "swept"} & methods.keys():
        return None
    is_reconstructed = "reconstructed" in methods
    noise, shift = _solution(reader, quantity, row) if is_reconstructed else (0.0, 0.0)
    weighed_by = "machine-hours at the figure or above" if is_p95 else quantity.weighed_by
    return Workings(
        quantity=quantity.name,
        methods=methods,
        parameters=_parameters(noise) if is_reconstructed else {},
        of_windows=None if row.machine_id is None else _of_windows(reader, quantity, row, noise=noise, shift=shift),
        of_machines=None if row.machine_id is not None else _of_machines(reader, query, bound, weighed_by=weighed_by),
        left_out=_left_out(reader, quantity, row),
    )


_HOURS = """
    SELECT machine_id, {method} AS method, {weight} AS weight, {amount} AS amount
    FROM lake.main.silver_machine_hours WHERE {where} AND {weight} > 0
"""
_MACHINE = """
    SELECT machine_id, {method} AS method, {covered_s} AS weight, NULL AS amount
    FROM lake.main.silver_machine_hours WHERE {where} AND {covered_s} > 0
"""
_P95_HOURS = """
    SELECT machine_id, {method} AS method, 1 AS weight, gpu_util_weighted_pct AS amount
    FROM lake.main.silver_machine_hours JOIN lake.main.{table} USING (cluster_id, dt)
    WHERE {where} AND gpu_covered_s * 2 >= hour_s AND gpu_util_weighted_pct::double >= p95_gpu_util
"""
"""The machine-hours that a figure is made of. A percentile hangs on the hours at it and above: their number places it."""


def _parameters(noise: float) -> Mapping[str, float]:
    from gpulake.reconstruct import PARAMETERS  # numpy, which most answers do without

    return {**asdict(PARAMETERS), **({"noise_points": noise**0.5} if noise else {})}


def _solution(reader: Reader, quantity: _Quantity, row: RowOf) -> tuple[float, float]:
    """Of the row's day what one window errs by itself (a variance), and the shift of the fleet's day; 0 where they are not known."""
    (found,) = reader.sql(
        f"""
        SELECT
            coalesce(max({quantity.name}_window_variance), 0)::double AS noise,
            coalesce(any_value({quantity.name}_shift), 0)::double AS shift
        FROM lake.main.silver_machine_hours
        WHERE {row.where} AND {quantity.method} = 'reconstructed'
        """,
        row.bound,
    ).to_pylist()
    return float(found["noise"]), float(found["shift"])


def _methods(reader: Reader, hours: str, bound: list[object]) -> dict[str, float]:
    found = reader.sql(
        f"SELECT method, sum(weight)::double / sum(sum(weight)) OVER () AS part FROM ({hours}) "
        "WHERE method IS NOT NULL GROUP BY method ORDER BY part DESC, method",
        bound,
    ).to_pylist()
    return {row["method"]: row["part"] for row in found}


def _of_machines(reader: Reader, hours: str, bound: list[object], *, weighed_by: str) -> OfMachines:
    rows = reader.sql(
        f"""
        SELECT
            machine_id, sum(weight)::double / sum(sum(weight)) OVER () AS weight,
            sum(amount)::double / sum(weight) AS value_pct, string_agg(DISTINCT method, ', ' ORDER BY method) AS method,
            count(*) OVER () AS machines
        FROM ({hours}) GROUP BY machine_id ORDER BY weight DESC, machine_id LIMIT {MOST}
        """,
        bound,
    ).to_pylist()
    machines = rows[0]["machines"] if rows else 0
    named = tuple(MachineWeighs(**{name: value for name, value in row.items() if name != "machines"}) for row in rows)
    others = machines - len(named)
    return OfMachines(
        weighed_by=weighed_by,
        named=named,
        other_machines=others,
        other_weight=1 - sum(each.weight for each in named) if others else 0.0,
    )


def _of_windows(reader: Reader, quantity: _Quantity, row: RowOf, *, noise: float, shift: float) -> OfWindows | None:
    import numpy as np

    hours = reader.sql(
        "SELECT epoch_us(hour_start_at) // 1000000 AS start_s FROM lake.main.silver_machine_hours "
        f"WHERE {row.where} AND {quantity.method} = 'reconstructed'",
        row.bound,
    )
    found, first_s = _bearing(reader, quantity, row, noise=noise, shift=shift) if hours.num_rows else (None, 0)
    if found is None:
        return None
    chosen = np.isin(found.hour_no * 3600 + first_s, hours["start_s"].to_numpy())
    if not chosen.any():  # made by another gpulake than this one
        return None
    parts = found.covered_s * chosen / (found.covered_s * chosen).sum()
    weights = found.weights @ parts
    order = np.lexsort((found.end_s, found.start_s, -np.abs(weights)))
    named, others = order[:MOST], order[MOST:]
    sum_pct, fleet_pct = float(found.value @ weights), float(found.shifted @ parts)
    return OfWindows(
        named=tuple(
            WindowWeighs(
                started_at=_EPOCH + timedelta(seconds=int(found.start_s[at])),
                ended_at=_EPOCH + timedelta(seconds=int(found.end_s[at])),
                windows=int(found.windows[at]),
                value_pct=float(found.value[at]),
                weight=float(weights[at]),
            )
            for at in named
        ),
        other_windows=int(found.windows[others].sum()),
        other_weight=float(weights[others].sum()),
        sum_pct=sum_pct,
        fleet_pct=round(fleet_pct, 5) + 0.0,
        bounded_by_pct=round(float(found.mean @ parts) - sum_pct - fleet_pct, 5) + 0.0,  # hours are told to 1e-6
    )


def _bearing(
    reader: Reader, quantity: _Quantity, row: RowOf, *, noise: float, shift: float
) -> tuple[Bearing | None, int]:
    """The solution of the machine's day, and when that day begins."""
    import numpy as np

    from gpulake.reconstruct import Days, Windows, bearing

    found = reader.sql(
        f"""
        WITH days AS (FROM lake.main.silver_days WHERE cluster_id = ? AND dt = ?)
        SELECT
            epoch_us(days.starts_at) // 1000000 AS day_start_s, epoch_us(days.ends_at) // 1000000 AS day_end_s,
            epoch_us(started_at) // 1000000 AS start_s, epoch_us(ended_at) // 1000000 AS end_s,
            ({quantity.window_pct})::double AS value_pct
        FROM days JOIN lake.main.silver_gpu_timeseries AS windows
            ON windows.cluster_id = days.cluster_id
                AND windows.started_at < days.ends_at + INTERVAL {_REACH_H} HOUR
                AND windows.ended_at > days.starts_at - INTERVAL {_REACH_H} HOUR
        WHERE machine_id = ? AND started_at < ended_at AND {quantity.window_pct} IS NOT NULL
        """,
        [row.cluster_id, row.dt, row.machine_id],
    )
    if not found.num_rows:
        return None, 0
    day_start_s, day_end_s, start_s, end_s, value = (column.to_numpy() for column in found.columns)
    lane = np.zeros(1, dtype=np.int64)
    day = Days(lane, day_start_s[:1], day_end_s[:1], np.full((1, 1), 100.0), np.full((1, 1), noise))
    windows = Windows(np.zeros(start_s.size, dtype=np.int64), start_s, end_s, value[:, None])
    return bearing(windows, day=day, shift=shift), int(day_start_s[0])


def _left_out(reader: Reader, quantity: _Quantity, row: RowOf) -> tuple[Missed, ...]:
    """Of the cluster's day, or of all its days where the figure is over all of them."""
    found = reader.sql(
        """
        SELECT
            window_length, sum(windows)::bigint AS windows,
            sqrt(sum(reconstructed_squares) / sum(windows)) AS reconstructed_rmse,
            sqrt(sum(swept_squares) / sum(windows)) AS swept_rmse
        FROM lake.main.gold_left_out_windows_daily
        WHERE cluster_id = ? AND quantity = ? AND (?::date IS NULL OR dt = ?)
        GROUP BY window_length ORDER BY list_position(['under 1 h', '1 to 6 h', 'over 6 h'], window_length)
        """,
        [row.cluster_id, quantity.name, row.dt, row.dt],
    ).to_pylist()
    return tuple(Missed(**each) for each in found)
