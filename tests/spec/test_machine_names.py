"""Machines that nobody describes: what they have is what is seen in them, and a GPU is in one place at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rendered import asking, table

from gpulake.lake import in_memory
from gpulake.reading.health import MOVES
from gpulake.telling.health import moved_words

MIDNIGHT = datetime(2026, 3, 1)  # noqa: DTZ001  # the lake's times are UTC, without a zone
LAST_H = 100
NAMES = "abcdefghi"
SEEN = {
    "cluster_id": "text",
    "machine_id": "text",
    "gpu_uuid": "text",
    "gpu_index": "whole",
    "seen_at": "moment",
    "landing_no": "whole",
}
MACHINES = {
    "cluster_id": "text", "machine_id": "text", "gpu_model_source": "text", "gpu_count": "whole", "cpu_cores": "number",
    "memory_bytes": "number", "valid_from": "moment", "valid_to": "moment", "is_seen": "truth", "landing_id": "text",
    "landing_no": "whole", "source_row": "whole",
}  # fmt: skip
Spell = tuple[str, int, int]
"""A name, and the hours from and to which its GPUs are seen by it, both ends too."""
hosts = st.lists(
    st.tuples(
        st.integers(1, 3), st.lists(st.integers(1, LAST_H - 2), max_size=2, unique=True).map(sorted), st.integers(0, 30)
    ),
    min_size=1,
    max_size=3,
)
"""Of each host how many GPUs it has, when it is called anew, and for how long it is not seen then."""


def spells_of(fleet: Sequence[tuple[int, Sequence[int], int]]) -> list[tuple[int, list[Spell]]]:
    """Each host's GPUs, and its names in their order; no name is of two hosts."""
    names = iter(NAMES)
    found = []
    for gpus, changes, silent_h in fleet:
        edges = [0, *changes, LAST_H]
        found.append(
            (
                gpus,
                [(next(names), begin + (silent_h if begin else 0), end - 1) for begin, end in pairwise(edges)],
            )
        )
    return [(gpus, [spell for spell in spells if spell[1] <= spell[2]]) for gpus, spells in found]


@settings(max_examples=5, deadline=None)
@given(hosts)
@example([(2, [50], 0)])
@example([(3, [30, 60], 5), (1, [], 0)])
def test_a_machine_by_another_name_is_the_same_gpus(fleet):
    """Whoever renames a node would own it twice, on every page and bill."""
    told = spells_of(fleet)
    named = _machines([(gpus, number, spell) for number, (gpus, spells) in enumerate(told) for spell in spells])

    for hour in range(LAST_H):
        at = MIDNIGHT + timedelta(hours=hour)
        there = [
            row
            for row in named
            if (row["valid_from"] or at) <= at and (row["valid_to"] is None or row["valid_to"] > at)
        ]
        assert sum(row["gpu_count"] for row in there) == sum(gpus for gpus, _ in told), hour
    for gpus, spells in told:
        for name, begin, end in spells:
            (row,) = [row for row in named if row["machine_id"] == name]
            assert gpus == row["gpu_count"]
            assert (row["valid_from"] or MIDNIGHT) <= MIDNIGHT + timedelta(hours=begin)
            assert row["valid_to"] is None or row["valid_to"] > MIDNIGHT + timedelta(hours=end)


def test_two_names_at_once_are_one_machine():
    """Two exporters that call one node differently would double it; a name that comes and goes is none of its own."""
    at_once = _machines([(2, 0, ("old", 0, 99)), (2, 0, ("new", 40, 99))])
    for_a_while = _machines([(2, 0, ("old", 0, 99)), (2, 0, ("mistaken", 20, 30))])

    moment = MIDNIGHT + timedelta(hours=40)
    assert [("new", moment, None), ("old", None, moment)] == sorted(
        (row["machine_id"], row["valid_from"], row["valid_to"]) for row in at_once
    )
    assert [("old", None, None)] == [(row["machine_id"], row["valid_from"], row["valid_to"]) for row in for_a_while]


def test_a_machine_that_some_described_is_what_they_say():
    """Who names nodes and their GPUs knows better than who sees them."""
    named = _machines([(2, 0, ("old", 0, 50)), (2, 0, ("new", 51, 99))], described=("old", "new"))

    assert [("new", None, None), ("old", None, None)] == sorted(
        (row["machine_id"], row["valid_from"], row["valid_to"]) for row in named
    )


def test_a_gpu_that_moves_alone_counts_where_it_is():
    """m has three GPUs, of which one is seen in n from the second landing on; what does not answer is still there."""
    sightings = [
        *({"machine_id": "m", "gpu_uuid": uuid, "landing_no": 1, "seen_at": MIDNIGHT} for uuid in "uvw"),
        {"machine_id": "n", "gpu_uuid": "x", "landing_no": 1, "seen_at": MIDNIGHT},
        {"machine_id": "m", "gpu_uuid": "v", "landing_no": 2, "seen_at": MIDNIGHT + timedelta(hours=1)},
        *(
            {"machine_id": "n", "gpu_uuid": uuid, "landing_no": 2, "seen_at": MIDNIGHT + timedelta(hours=1)}
            for uuid in "xu"
        ),
    ]
    machines = [("m", 3, 1), ("n", 1, 1), ("m", 1, 2), ("n", 2, 2)]

    with asking("int_told_machines", _given(sightings, machines)) as ask:
        found = ask("SELECT machine_id, landing_no, gpu_count FROM int_told_machines ORDER BY landing_no, machine_id")

    assert [("m", 1, 3), ("n", 1, 1), ("m", 2, 2), ("n", 2, 2)] == [
        (row["machine_id"], row["landing_no"], row["gpu_count"]) for row in found
    ]


def _given(
    sightings: Sequence[Mapping], machines: Sequence[tuple[str, int, int]], described: Sequence[str] = ()
) -> dict:
    seen = [
        {
            "cluster_id": "c",
            "machine_id": name,
            "gpu_count": gpus,
            "landing_no": landing,
            "landing_id": f"l{landing}",
            "is_seen": name not in described,
        }
        for name, gpus, landing in machines
    ]
    return {
        "int_delivered_gpus": table(SEEN, [{"cluster_id": "c", **each} for each in sightings]),
        "int_delivered_machines": table(MACHINES, seen),
    }


def _machines(spells: Sequence[tuple[int, int, Spell]], described: Sequence[str] = ()) -> list[dict]:
    """Rows of silver_machines, of (GPUs, number of the host, name and hours)."""
    sightings = [
        {
            "machine_id": name,
            "gpu_uuid": f"GPU-{host}-{gpu}",
            "gpu_index": gpu,
            "seen_at": MIDNIGHT + timedelta(hours=hour),
            "landing_no": 1,
        }
        for gpus, host, (name, begin, end) in spells
        for gpu in range(gpus)
        for hour in {begin, (begin + end) // 2, end}
    ]
    machines = [(name, gpus, 1) for gpus, _, (name, _, _) in spells]
    tables = _given(sightings, machines, described)
    tables |= {
        "int_machines": tables["int_delivered_machines"],
        "gpu_model_aliases": table({"alias": "text", "gpu_model": "text"}, []),
        "meta_clusters": table({"cluster_id": "text", "pools": "text"}, [{"cluster_id": "c", "pools": "all"}]),
    }
    with asking("silver_machines", tables) as ask:
        return ask("SELECT machine_id, gpu_count, valid_from, valid_to FROM silver_machines")


def test_what_is_found_elsewhere_is_one_line():
    """Who reads that a node fell silent must read in the same place that it is there by another name."""
    gpus = {
        "cluster_id": "text",
        "machine_id": "text",
        "gpu_device": "text",
        "gpu_uuid": "text",
        "mig_id": "text",
        "valid_from": "moment",
    }
    moved = MIDNIGHT + timedelta(hours=5)
    rows = [
        {"cluster_id": "c", "machine_id": name, "gpu_device": device, "gpu_uuid": uuid, "valid_from": since}
        for device, uuid in (("0", "a"), ("1", "b"))
        for name, since in (("old", None), ("new", moved))
    ]
    rows += [  # it changed its place, not its machine
        {"cluster_id": "c", "machine_id": "m", "gpu_device": device, "gpu_uuid": "d", "valid_from": since}
        for device, since in (("0", None), ("3", moved))
    ]
    day = {"cluster_id": "c", "dt": MIDNIGHT.date(), "starts_at": MIDNIGHT, "ends_at": MIDNIGHT + timedelta(days=1)}
    days = {
        "cluster_id": pa.string(),
        "dt": pa.date32(),
        "starts_at": pa.timestamp("us"),
        "ends_at": pa.timestamp("us"),
    }
    tables = {
        "silver_gpus": table(gpus, rows),
        "silver_days": pa.Table.from_pylist([day], schema=pa.schema(days.items())),
    }

    with in_memory(tables) as duck:
        (found,) = duck.sql(MOVES, ["c", MIDNIGHT.date(), MIDNIGHT.date()]).to_pylist()

    assert moved == found["moved_at"]
    assert "2 GPUs of old are found in new since noon (0, 1 there): moved, or the machine was renamed." == moved_words(
        found, "noon"
    )
