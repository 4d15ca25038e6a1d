"""Single GPUs: who used what of one, second by second, and what a counter of one grew by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rendered import asking, expression, table

MIDNIGHT = datetime(2026, 3, 1)  # noqa: DTZ001  # the lake's times are UTC, without a zone
START_S = int((MIDNIGHT - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001
DAY_S = 86_400
COUNTERS = (
    "energy_j", "ecc_sbe_volatile", "ecc_dbe_volatile", "ecc_sbe_aggregate", "ecc_dbe_aggregate", "pcie_replays", "nvlink_errors",
)  # fmt: skip
LANDED = {"landing_id": "text", "landing_no": "whole", "source_row": "whole"}
INSTANCES = {
    "cluster_id": "text", "job_id": "text", "task_id": "text", "attempt_id": "text", "machine_id": "text",
    "started_at": "moment", "ended_at": "moment", "known_fields": "whole", **LANDED,
}  # fmt: skip
HOLDS = {
    "cluster_id": "text", "job_id": "text", "attempt_id": "text", "machine_id": "text", "gpu_uuid": "text",
    "gpu_index": "whole", "mig_id": "text", **LANDED,
}  # fmt: skip
SAMPLES = {
    "cluster_id": "text", "machine_id": "text", "gpu_device": "text", "gpu_uuid": "text", "sampled_at": "moment",
    "sample_kind": "text", "interval_s": "number", "used_ratio": "number", "gpu_signal": "text",
    "memory_used_bytes": "number", "job_id": "text", **dict.fromkeys(COUNTERS, "number"),
}  # fmt: skip
GPUS = {
    "cluster_id": "text", "machine_id": "text", "gpu_uuid": "text", "gpu_index": "whole", "mig_id": "text",
    "mig_profile": "text", **LANDED,
}  # fmt: skip
STEPS = {"device_key": "whole", "utc_day": "whole", "usual_s": "whole"}
NAMED = {"cluster_id": "text", "job_id": "text", **LANDED}


def at(second: int) -> datetime:
    return MIDNIGHT + timedelta(seconds=second)


# ------------------------------------------------------------------------------------------ counters


@dataclass(frozen=True)
class Moment:
    """Time passes, GPUs have errors, some are put elsewhere, and some are sampled where they are."""

    passes_s: int
    errors: tuple[int, int, int]
    seats: tuple[int, int, int]
    seen: tuple[bool, bool, bool]


PLACES = (("m", "0"), ("m", "1"), ("n", "0"))
"""Where GPU number seats[place] sits."""
moments = st.lists(
    st.builds(
        Moment,
        st.sampled_from([1, 30, 3_600, DAY_S, DAY_S + 1]),
        st.tuples(*[st.integers(0, 3)] * 3),
        st.permutations([0, 1, 2]).map(tuple),
        st.tuples(*[st.booleans()] * 3),
    ),
    max_size=8,
)
SWAPPED = Moment(30, (0, 0, 0), (1, 0, 2), (True, True, True))
MOVED = Moment(30, (0, 0, 1), (2, 1, 0), (True, True, True))


@settings(max_examples=10, deadline=None)
@given(moments)
@example([SWAPPED])
@example([MOVED, SWAPPED, MOVED])
def test_a_counter_belongs_to_the_gpu_and_not_to_its_place(history):
    """A GPU that takes another's place, in its machine or from another one, would show the difference of two counters as errors."""
    counters, now = [5, 1_000, 40], 0
    samples, expected = [], {}
    last: dict[tuple[str, str], tuple[int, int, int]] = {}
    first = Moment(0, (0, 0, 0), (0, 1, 2), (True, True, True))
    for moment in [first, *history]:
        now += moment.passes_s
        counters = [counter + more for counter, more in zip(counters, moment.errors, strict=True)]
        for place, gpu, is_seen in zip(PLACES, moment.seats, moment.seen, strict=True):
            if not is_seen:
                continue
            samples.append(_counted(place, f"GPU-{gpu}", now, counters[gpu]))
            before, before_s, had = last.get(place, (None, 0, 0))
            is_known = before == gpu and now - before_s <= DAY_S
            expected[place, now] = float(counters[gpu] - had) if is_known else None
            last[place] = (gpu, now, counters[gpu])

    found = _grown(samples)
    assert expected == {key: grown for key, (grown, _) in found.items()}
    assert not any(has_reset for _, has_reset in found.values()), "no driver was loaded anew"


def test_where_no_uuid_is_told_the_place_is_the_gpu():
    """An exporter without uuids would lose all its errors; a restart is one still."""
    samples = [
        _counted(("m", "0"), None, 0, 5),
        _counted(("m", "0"), "GPU-0", 30, 7),
        _counted(("m", "0"), None, 60, 8),
        _counted(("m", "0"), None, 90, 2),
    ]

    assert [(None, False), (2.0, False), (1.0, False), (2.0, True)] == list(_grown(samples).values())


def _counted(place: tuple[str, str], uuid: str | None, second: int, counter: int) -> dict[str, object]:
    machine, device = place
    return {
        "cluster_id": "c", "machine_id": machine, "gpu_device": device, "gpu_uuid": uuid, "sampled_at": at(second),
        "sample_kind": "instant", "interval_s": 30.0, **dict.fromkeys(COUNTERS, float(counter)),
    }  # fmt: skip


def _grown(samples: Sequence[dict]) -> dict[tuple[tuple[str, str], int], tuple[float | None, bool]]:
    """Of each place and second what every counter grew by, and whether one had begun anew."""
    places = [{"cluster_id": "c", "machine_id": machine, "gpu_device": device} for machine, device in PLACES]
    given_tables = {
        "usual_gpu_steps": table(STEPS, []),  # a full build looks for them in the samples
        "int_days": table({"cluster_id": "text", "cluster_no": "whole"}, [{"cluster_id": "c", "cluster_no": 1}]),
        "silver_gpu_samples": table(SAMPLES, samples),
        "places": table({"cluster_id": "text", "machine_id": "text", "gpu_device": "text"}, places),
    }
    with asking("int_gpu_samples", given_tables) as ask:
        rows = ask(
            f"SELECT machine_id, gpu_device, from_s - {START_S} AS second, has_reset, {', '.join('grown_' + name for name in COUNTERS)} "
            f"FROM int_gpu_samples JOIN places ON device_key = {expression('device_hash', 'places')} ORDER BY second, 1, 2"
        )
    found = {}
    for row in rows:
        (grown,) = {row[f"grown_{name}"] for name in COUNTERS}
        found[(row["machine_id"], row["gpu_device"]), row["second"]] = (grown, row["has_reset"])
    return found


# ------------------------------------------------------------------------------------------ who used a device


@dataclass(frozen=True)
class Attempt:
    """A job with one attempt on the one machine; `end` None has not ended."""

    start: int
    end: int | None
    devices: frozenset[str]


@dataclass(frozen=True)
class Use:
    """A sample of a device: from when to when it may speak, and what it saw."""

    second: int
    interval: int
    is_mean: bool
    used: float | None


DEVICES = ("0", "1", "2/a", "2/b")
"""Two whole GPUs, which may be shared by MPS or in turns, and two parts of a third (MIG)."""
WINDOW_S = 600
attempts = st.builds(
    Attempt,
    st.integers(0, 300),
    st.none() | st.integers(200, 500),
    st.sets(st.sampled_from(DEVICES), min_size=1, max_size=3).map(frozenset),
)
uses = st.lists(
    st.builds(
        Use,
        st.integers(0, 60).map(lambda step: step * 10),
        st.sampled_from([10, 30, 100]),
        st.booleans(),
        st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]),
    ),
    max_size=10,
    unique_by=lambda use: use.second,
)
fleets = st.tuples(st.lists(attempts, max_size=5), st.fixed_dictionaries(dict.fromkeys(DEVICES, uses)))
"""The jobs of a cluster, and the samples of each device. Several clusters are asked for at once: planning takes the time."""
ALL_DAY = tuple(Use(second, 100, False, 0.5) for second in range(0, 600, 100))
THREE_SHARERS = [
    Attempt(0, 400, frozenset({"0"})),
    Attempt(100, 400, frozenset({"0"})),
    Attempt(500, 550, frozenset({"0"})),
]
"""Tenants are told apart by numbers, and the sum of two may be a third's: 1 + 2 = 3."""
COMING_AND_GOING = [Attempt(0, None, frozenset({"0"})), Attempt(50, 200, frozenset({"0", "2/a"}))]
Fleet = tuple[Sequence[Attempt], dict[str, Sequence[Use]]]
Seconds = dict[tuple[str, str, str], dict[int, float]]
"""Of a cluster, job and device how much was used of it in each second."""


def spoken(taken: Sequence[Use]) -> Iterator[tuple[int, float | None]]:
    """Each second that a sample of one device speaks of, and the share of the device in use then."""
    taken = sorted(taken, key=lambda use: use.second)
    for number, use in enumerate(taken):
        before = taken[number - 1].second if number else -WINDOW_S
        after = taken[number + 1].second if number + 1 < len(taken) else 2 * WINDOW_S
        if use.is_mean:
            seconds = range(max(use.second - use.interval, before), use.second)
        else:
            following = taken[number + 1] if number + 1 < len(taken) else None
            if following and following.is_mean:
                after = following.second - following.interval
            seconds = range(use.second, min(use.second + use.interval, after))
        yield from ((second, use.used) for second in seconds)


@settings(max_examples=4, deadline=None)
@given(st.lists(fleets, min_size=1, max_size=8))
@example([(THREE_SHARERS, dict.fromkeys(DEVICES, ALL_DAY)), (COMING_AND_GOING, {"0": ALL_DAY, "2/a": ALL_DAY})])
def test_what_sharers_used_is_what_the_device_did_in_every_second(clusters):
    """Alone on a device somebody has all of its use; what several did together is nobody's, and nobody gets another's.

    So what jobs are said to have used adds up, second by second, to what was measured of devices with one tenant, on whole
    GPUs, parts of one, and shared ones alike.
    """
    alone: Seconds = defaultdict(dict)
    for number, (jobs, samples) in enumerate(clusters):
        for device, taken in samples.items():
            tenants: dict[int, list[str]] = defaultdict(list)
            for job_no, job in enumerate(jobs):
                for second in (
                    range(job.start, WINDOW_S if job.end is None else job.end) if device in job.devices else ()
                ):
                    tenants[second].append(f"j{job_no}")
            spoken_of = set()
            for second, used in spoken(taken):
                assert second not in spoken_of, "two samples speak of one second"
                spoken_of.add(second)
                if used is not None and len(tenants[second]) == 1:
                    alone[f"c{number}", tenants[second][0], device][second] = used

    told: Seconds = defaultdict(dict)
    for row in _used(clusters):
        key, seconds = (row["cluster_id"], row["job_id"], row["gpu_device"]), range(row["from_s"], row["to_s"])
        assert not told[key].keys() & set(seconds), "a second counts twice"
        told[key].update(dict.fromkeys(seconds, row["gpu_used_count"]))
    for key in told.keys() | alone.keys():
        assert told[key].keys() == alone[key].keys(), key
        assert sum(told[key].values()) == pytest.approx(sum(alone[key].values()), abs=1e-5), key
        # A run of seconds is idle or is not: a mean over both would hide that a GPU was held for nothing.
        assert {second for second, used in told[key].items() if not used} == {
            second for second, used in alone[key].items() if not used
        }, key


def _used(clusters: Sequence[Fleet], landings: Sequence[Sequence[int]] | None = None) -> list[dict]:
    """What the warehouse says that each job used of each device, where it says how much."""
    instances = _instances(clusters, landings)
    held = [{**row, "gpu_device": device} for row, job in instances for device in sorted(job.devices)]
    tables = {**_tables(clusters, landings), "silver_gpu_samples": table(SAMPLES, list(_sampled(clusters)))}
    tables["held"] = table({**INSTANCES, "gpu_device": "text"}, held)
    key = expression("row_key", ["held.cluster_id", "held.job_id", "held.attempt_id", "held.gpu_device"])
    with asking("int_device_usage", tables) as ask:
        return ask(
            f"SELECT cluster_id, job_id, gpu_device, from_s - {START_S} AS from_s, to_s - {START_S} AS to_s, gpu_used_count "
            f"FROM int_device_usage JOIN held ON measured_key = {key} WHERE gpu_used_count IS NOT NULL"
        )


def _instances(
    clusters: Sequence[Fleet], landings: Sequence[Sequence[int]] | None = None
) -> list[tuple[dict, Attempt]]:
    """Of the landings that are named, or of all; a job that comes with none of them is left out."""
    return [
        (
            {
                "cluster_id": f"c{number}", "job_id": f"j{job_no}", "task_id": "t", "attempt_id": f"j{job_no}",
                "machine_id": "m", "started_at": at(job.start), "ended_at": None if job.end is None else at(job.end),
                "known_fields": 8, "landing_id": f"l{landing}", "landing_no": landing, "source_row": 100 * number + job_no,
            },
            job,
        )
        for number, (jobs, _) in enumerate(clusters)
        for job_no, job in enumerate(jobs)
        for landing in [landings[number][job_no] if landings else 1]
        if landing
    ]  # fmt: skip


def _sampled(clusters: Sequence[Fleet]) -> Iterator[dict]:
    for number, (_, samples) in enumerate(clusters):
        for device, taken in samples.items():
            for use in taken:
                yield {
                    "cluster_id": f"c{number}", "machine_id": "m", "gpu_device": device, "sampled_at": at(use.second),
                    "sample_kind": "interval_mean" if use.is_mean else "instant", "interval_s": float(use.interval),
                    "used_ratio": use.used, "gpu_signal": None if use.used is None else "sm_active",
                    "memory_used_bytes": 1e9,
                }  # fmt: skip


def _tables(clusters: Sequence[Fleet], landings: Sequence[Sequence[int]] | None = None) -> dict:
    """What attribution reads beside the samples: attempts, what they held, and one machine with its GPUs."""
    instances = _instances(clusters, landings)
    names = [f"c{number}" for number in range(len(clusters))]
    tasks = [{**{name: row[name] for name in (*NAMED, "task_id")}, "gpu_request_count": 1.0} for row, _ in instances]
    holds = [
        {
            **{name: row[name] for name in (*NAMED, "attempt_id", "machine_id")},
            "gpu_index": int(device[0]), "mig_id": device[2:] or None,
        }
        for row, job in instances
        for device in sorted(job.devices)
    ]  # fmt: skip
    machines = {"cluster_id": "text", "machine_id": "text"}
    return {
        "int_days": table(
            {"cluster_id": "text", "cluster_no": "whole", "ends_s": "whole"},
            [{"cluster_id": name, "cluster_no": number, "ends_s": START_S + WINDOW_S} for number, name in enumerate(names)],
        ),
        "int_delivered_instances": table(INSTANCES, [row for row, _ in instances]),
        "int_delivered_gpu_holds": table(HOLDS, holds),
        "int_delivered_gpus": table(GPUS, []),
        "int_delivered_job_labels": table({**NAMED, "label": "text"}, []),
        "int_delivered_usages": table(NAMED, []),
        "int_delivered_tasks": table({**NAMED, "task_id": "text", "gpu_request_count": "number"}, tasks),
        "silver_gpus": table(
            {**machines, "gpu_uuid": "text", "gpu_index": "whole"},
            [{"cluster_id": name, "machine_id": "m", "gpu_index": index} for name in names for index in range(3)],
        ),
        "silver_machines": table(
            {**machines, "gpu_count": "whole", "valid_from": "moment", "valid_to": "moment"},
            [{"cluster_id": name, "machine_id": "m", "gpu_count": 3} for name in names],
        ),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------ who must be looked at again

dealt = st.lists(st.tuples(attempts, st.integers(1, 2)), min_size=1, max_size=5)
"""Jobs, and the delivery that each comes with."""


@settings(max_examples=3, deadline=None)
@given(st.lists(dealt, min_size=1, max_size=8))
@example([[(Attempt(0, 400, frozenset({"0"})), 1), (Attempt(100, 300, frozenset({"0"})), 2)]])
def test_who_gets_company_on_a_device_is_looked_at_again(clusters):
    """A job that had a GPU to itself until another's rows came would keep what both did; in one delivery it would not."""
    fleets = [([job for job, _ in jobs], dict.fromkeys(DEVICES, ALL_DAY)) for jobs in clusters]
    landings = [[landing for _, landing in jobs] for jobs in clusters]
    before, after = (
        {
            (row["cluster_id"], row["job_id"], row["gpu_device"], row["from_s"], row["to_s"])
            for row in _used(fleets, told)
        }
        for told in ([[landing % 2 for landing in each] for each in landings], landings)
    )
    changed = {(cluster, job) for cluster, job, *_ in before ^ after}

    touched = _touched(fleets, landings)

    assert changed <= touched
    sharing = {
        (f"c{number}", f"j{job_no}")
        for number, jobs in enumerate(clusters)
        for job_no, (job, landing) in enumerate(jobs)
        if landing == 2 or any(job.devices & other.devices for other, landing in jobs if landing == 2)
    }
    assert touched <= sharing, "a job on other devices is read again for nothing"


def _touched(clusters: Sequence[Fleet], landings: Sequence[Sequence[int]], **more: object) -> set[tuple[str, str]]:
    """Jobs that a build after the second delivery reads again."""
    tables = _tables(clusters, landings)
    rows = [
        {name: row[name] for name in ("cluster_id", "job_id", "landing_no")}
        for row, _ in _instances(clusters, landings)
    ]
    tables |= {
        "meta_landings": table(
            {"landing_id": "text", "landing_no": "whole"}, [{"landing_id": f"l{one}", "landing_no": one} for one in (1, 2)]
        ),
        "meta_published_landings": table({"landing_id": "text"}, [{"landing_id": "l1"}]),
        "rows": table({"cluster_id": "text", "job_id": "text", "landing_no": "whole"}, rows),
        "int_delivered_jobs": table(NAMED, []),
        "int_delivered_group_tags": table({"cluster_id": "text", "instance_id": "text", **LANDED}, []),
        "int_delivered_gpu_samples": table({"cluster_id": "text", "machine_id": "text", "sampled_at": "moment", **LANDED}, []),
        "silver_jobs": table({"cluster_id": "text", "job_id": "text", "instance_id": "text"}, []),
        "silver_gpu_hours": table(
            {"cluster_id": "text", "machine_id": "text", "gpu_uuid": "text", "hour_start_at": "moment"}, []
        ),
        **more,
    }  # fmt: skip
    found = f"SELECT {expression('row_hash', ['cluster_id', 'job_id'])} AS key_hash, landing_no FROM rows"
    with asking("touched_jobs", tables, is_full_build=False, views={"job_landings": found}) as ask:
        return {(row["cluster_id"], row["job_id"]) for row in ask("SELECT cluster_id, job_id FROM touched_jobs")}
