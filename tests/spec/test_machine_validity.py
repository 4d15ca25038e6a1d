"""Which row says what a machine was at a moment: a law of one macro, and how DuckDB joins by it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

from rendered import expression, table

from gpulake.lake import in_memory

DAY = datetime(2026, 3, 1)  # noqa: DTZ001  # the lake's times are UTC, without a zone
NOON, NEXT = DAY + timedelta(hours=12), DAY + timedelta(days=1)
MACHINES = {"machine_id": "text", "valid_from": "moment", "valid_to": "moment"}
HOURS = {"machine_id": "text", "moment": "moment"}
JOINED = f"hours left join machines on hours.machine_id = machines.machine_id and {expression('is_valid_at', 'machines', 'hours.moment')}"


def test_a_row_is_valid_from_its_begin_to_before_its_end():
    """A machine of whom two rows spoke at once would count twice, and one that none speaks of not at all."""
    spans = list(product((None, DAY), (None, NEXT)))
    moments = (None, DAY - timedelta(seconds=1), DAY, NOON, NEXT)

    def is_valid(begin, end, at):
        if at is None:
            return begin is None and end is None
        return (begin is None or begin <= at) and (end is None or at < end)

    machines = [
        {"machine_id": str(number), "valid_from": begin, "valid_to": end} for number, (begin, end) in enumerate(spans)
    ]
    hours = [{"machine_id": row["machine_id"], "moment": at} for row in machines for at in moments]
    with in_memory({"machines": table(MACHINES, machines), "hours": table(HOURS, hours)}) as duck:
        found = duck.sql(
            f"select hours.machine_id, moment from {JOINED} where machines.machine_id is not null"
        ).to_pylist()
    expected = {
        (str(number), at) for number, (begin, end) in enumerate(spans) for at in moments if is_valid(begin, end, at)
    }
    assert expected == {(row["machine_id"], row["moment"]) for row in found}


def test_each_hour_is_not_tried_with_each_machine():
    """Two million machine-hours and two thousand machines: their pairs took a third of the model's time."""
    with in_memory({"machines": table(MACHINES, []), "hours": table(HOURS, [])}) as duck:
        (plan,) = duck.sql(f"explain select * from {JOINED}").to_pylist()
    assert "HASH_JOIN" in plan["explain_value"]
    assert "NL_JOIN" not in plan["explain_value"]
