"""What one visitor looks at: a cluster, a range of its days, and whatever else stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlencode

from gpulake.charts import Calendar
from gpulake.reading.scope import Scope


@dataclass(frozen=True, kw_only=True)
class Look(Scope):
    """One request: the Publication, where in it the visitor stands, and how to go on from there.

    `path` is that of the page, `asked` the query string, `named` the parts of the path that name a thing. `lake`: the folder
    whose inbox holds what people have asked and no writer has done yet.
    """

    path: str
    named: Mapping[str, str] = field(default_factory=dict)
    lake: Path | None = None

    @property
    def calendar(self) -> Calendar:
        """How pictures write the cluster's time."""
        cluster = self.cluster
        return Calendar.of(cluster.time_zone, time_basis=cluster.time_basis, has_weekdays=cluster.has_weekdays)

    def url(self, path: str | None = None, /, **changes: object) -> str:
        """The address of another view from here: cluster and range go along, None takes something out."""
        kept = {name: self.asked[name] for name in ("cluster", "since", "until") if name in self.asked}
        asked = {**(self.asked if path is None else kept), **changes}
        query = urlencode({name: value for name, value in asked.items() if value not in {None, ""}})
        return (path or self.path) + (f"?{query}" if query else "")

    def last_days_url(self, days: int) -> str | None:
        """The same view of the last days of the cluster's window; None where the window is no longer, or is shown so already."""
        first, last = self.cluster.first_day, self.cluster.last_day
        if first is None or last is None or last - first < timedelta(days=days):
            return None
        since = last - timedelta(days=days - 1)
        if (since, last) == (self.since, self.until):
            return None
        return self.url(since=self.cluster.written(since), until=self.cluster.written(last))

    def day_url(self, path: str, dt: date) -> str:
        """A view of one day."""
        written = self.cluster.written(dt)
        return self.url(path, since=written, until=written)
