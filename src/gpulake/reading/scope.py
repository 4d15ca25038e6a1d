"""Where in a Publication a reader stands: a cluster, a range of its days, and what else is asked for, each as text.

Pages and reports stand in one of these, so what one shows of a range the other shows too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from gpulake.errors import UsageError
from gpulake.lake import Reader
from gpulake.reading.report import day_label, day_number
from gpulake.sources import all_sources

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = date(1970, 1, 1)
_CLUSTERS = """
    select
        named.cluster_id,
        arg_max(named.source, named.noted_at) as source,
        arg_max(named.time_zone, named.noted_at) as time_zone,
        arg_max(named.time_basis, named.noted_at) as time_basis,
        any_value(days.first_day) as first_day,
        any_value(days.last_day) as last_day,
        any_value(days.coverage_ratio) as coverage_ratio,
        any_value(waste.allocated_gpu_h) as allocated_gpu_h
    from ops.meta.clusters as named
    left join gold_cluster_util_window as days using (cluster_id)
    left join gold_waste_window as waste using (cluster_id)
    group by named.cluster_id
    order by allocated_gpu_h desc nulls last, named.cluster_id
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster that has landed: how it tells the time, and the days of its window; none where nothing dates them."""

    cluster_id: str
    source: str
    time_zone: str
    time_basis: str
    first_day: date | None
    last_day: date | None
    coverage_ratio: float | None
    allocated_gpu_h: float | None

    @property
    def has_weekdays(self) -> bool:
        """Whether the source's days have a weekday that is right."""
        return all(source.has_weekdays for source in all_sources() if source.name == self.source)

    def day(self, dt: date) -> str:
        """A day as people see it: a date, or "day 12" where the source hides its dates."""
        return day_label(dt, self.time_basis)

    def written(self, dt: date) -> str:
        """The same as an address writes it: a date, or the number of the day."""
        return dt.isoformat() if self.time_basis == "real" else str(day_number(dt))

    def read_day(self, text: str, *, where: str) -> date:
        """What an address names. Raises UsageError."""
        try:
            return date.fromisoformat(text) if self.time_basis == "real" else _EPOCH + timedelta(days=int(text))
        except (ValueError, OverflowError):
            example = "2026-11-30" if self.time_basis == "real" else "12"
            raise UsageError(f"{text[:40]!r} is no day.", where=where, do=f"write one as {example}") from None


@dataclass(frozen=True)
class Scope:
    """A Publication and what is asked of it: `cluster`, `since` and `until` by these names, as people write them."""

    reader: Reader
    clusters: tuple[Cluster, ...] = field(kw_only=True)
    asked: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def cluster(self) -> Cluster:
        """The chosen cluster, else the largest. Raises UsageError where there is none of that name, or none at all."""
        if not self.clusters:
            raise UsageError("nothing has landed yet.", do="run: gpulake refresh --data DIR")
        wanted = self.asked.get("cluster")
        found = next((each for each in self.clusters if wanted in {None, each.cluster_id}), None)
        if found is None:
            names = [each.cluster_id for each in self.clusters]
            near = get_close_matches(str(wanted), names, n=1) or names
            raise UsageError(f"there is no cluster {str(wanted)[:80]!r}.", do=f"choose {' or '.join(near)}")
        return found

    @property
    def since(self) -> date:
        """The first day of the range. Raises UsageError for a day that cannot be read."""
        text = self.asked.get("since")
        return self.cluster.read_day(text, where="since") if text else (self.cluster.first_day or date.min)

    @property
    def until(self) -> date:
        """The last day of the range, itself included. Raises UsageError for a day that cannot be read."""
        text = self.asked.get("until")
        return self.cluster.read_day(text, where="until") if text else (self.cluster.last_day or date.max)

    @property
    def is_whole(self) -> bool:
        """Whether the range is the cluster's whole window."""
        return (self.since, self.until) == (self.cluster.first_day or date.min, self.cluster.last_day or date.max)

    @property
    def range_words(self) -> str:
        """The range for a sentence: "day 1 to day 62"."""
        if self.cluster.first_day is None:
            return "no day known"
        first, last = self.cluster.day(self.since), self.cluster.day(self.until)
        return first if first == last else f"{first} to {last}"

    def rows(self, query: str, *params: object) -> list[dict[str, Any]]:
        """The rows of one query, as dictionaries; for the few that a page shows."""
        found: list[dict[str, Any]] = self.reader.sql(query, params).to_pylist()
        return found

    def table(self, query: str, *params: object) -> pa.Table:
        """The rows of one query, for a picture."""
        return self.reader.sql(query, params)

    def row(self, query: str, *params: object) -> dict[str, Any] | None:
        """Its first row, if it has one."""
        return next(iter(self.rows(query, *params)), None)

    def not_recorded(self, table: str) -> dict[str, str]:
        """The columns of a table that the cluster's source cannot give, each with the reason."""
        found = self.rows(
            "select column_name, reason from gold_availability where cluster_id = ? and table_name = ? and not available",
            self.cluster.cluster_id,
            table,
        )
        return {row["column_name"]: row["reason"] for row in found}


def clusters_of(reader: Reader) -> tuple[Cluster, ...]:
    """Every cluster that has landed, the largest first."""
    return tuple(Cluster(**row) for row in reader.sql(_CLUSTERS).to_pylist())
