"""What a person would say after reading a page, in one or two sentences made of gold figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.telling.words import DRIVERS, EXPECTED, counted, gpu_hours, pct, ratio_pct, span


def fleet_sentence(waste: Mapping[str, Any] | None, idle_users: Sequence[Mapping[str, Any]]) -> str:
    """What became of the capacity, and who holds most of what sat idle; only what is known is said.

    `waste` has the columns of `gold_waste_window`; `idle_users` begins with the user with the most idle GPU-hours, whose
    `idle_held_share_ratio` is the share of all users' idle GPU-hours.
    """
    if waste is None or not waste["starts_at_gpu_h"]:
        return "No GPU-hours are known here."
    if waste["starts_at_capacity"]:
        free = "nobody" if waste["down_gpu_h"] is not None else "nobody or down"
        said = f"{_share(waste['unallocated_ratio'])} of {gpu_hours(waste['starts_at_gpu_h'])} were held by {free}"
    else:
        said = f"Jobs held {gpu_hours(waste['allocated_gpu_h'])}"
    if waste["efficiency_ratio"] is None:
        return f"{said}. Whether what was held was used, was not measured."
    said += f"; of what was held and measured, {ratio_pct(waste['efficiency_ratio'], digits=0)} was in use."
    if idle_users and (share := idle_users[0]["idle_held_share_ratio"]) is not None:
        said += f" One user holds {ratio_pct(share, digits=0)} of what sat idle."
    return said


def _share(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


def machines_sentence(fleet: Mapping[str, Any] | None, idlest: Sequence[Mapping[str, Any]]) -> str:
    """How many machines there are, and which of them was held and idle for longest.

    `fleet` is a row of `gold_fleet`; `idlest` begins with the machine of the most idle GPU-hours.
    """
    said = (
        "No machine table has landed"
        if fleet is None
        else (f"{fleet['machines']:,} machines hold {fleet['gpus']:,} GPUs")
    )
    if not idlest or not idlest[0]["idle_held_gpu_h"]:
        return f"{said}. No machine is known to have been held and idle."
    first = idlest[0]
    return f"{said}; on {first['machine_id']} jobs left {gpu_hours(first['idle_held_gpu_h'])} idle, more than on any other."


def machine_sentence(machine_id: str, summed: Mapping[str, Any] | None) -> str:
    """What one machine did in a range: its use, how much of it was observed, and what jobs left idle."""
    if summed is None:
        return f"{machine_id}: nothing was measured or held in this range."
    told = []
    if summed["gpu_util_per_gpu_pct"] is not None:
        told.append(
            f"its GPUs were {pct(summed['gpu_util_per_gpu_pct'], digits=0)} in use, "
            f"as far as it was observed ({ratio_pct(summed['coverage_ratio'], digits=0)} of the time)"
        )
    if summed["allocated_gpu_h"]:
        idle = summed["idle_held_gpu_h"]
        told.append(
            f"jobs held {gpu_hours(summed['allocated_gpu_h'])}"
            + ("" if idle is None else f" and left {gpu_hours(idle)} idle")
        )
    return f"{machine_id}: {'; '.join(told) or 'its GPUs were neither measured nor held'}."


def cost_sentence(bill: Mapping[str, Any] | None, dearest: Sequence[Mapping[str, Any]]) -> str:
    """What the range cost, how much of that paid for capacity that nobody held, and who cost most.

    `bill` has cost_usd, idle_usd, idle_cost_ratio and unpriced_gpu_h; `dearest` begins with the user who cost most.
    """
    if bill is None or bill["cost_usd"] is None:
        return "No cost is known here: no pool of this cluster has a price."
    said = f"The capacity{' that has a price' if bill['unpriced_gpu_h'] else ''} cost {usd(bill['cost_usd'])}"
    if bill["idle_cost_ratio"] is not None:
        said += f"; {ratio_pct(bill['idle_cost_ratio'], digits=0)} of it paid for GPUs that nobody held"
    if dearest and dearest[0]["cost_usd"]:
        said += f". The user who cost most: {usd(dearest[0]['cost_usd'])}"
    return said + "."


def usd(value: Any) -> str:  # a decimal, or a double
    """Money, in whole dollars where there is much of it."""
    return f"{value:,.0f} USD" if abs(value) >= 100 else f"{value:,.2f} USD"


def jobs_sentence(count: int, first: Sequence[Mapping[str, Any]], *, is_first: bool, order: str) -> str:
    """How many jobs there are, and what the first of them let sit idle, or held."""
    said = counted(count, "job")
    if not count or not first or not is_first:
        return f"{said}." if count else "No job is like that."
    words = {"idle_held_gpu_h": "let {} sit idle", "allocated_gpu_h": "held {}"}
    if order not in words or not (amount := first[0].get(order)):
        return f"{said}."
    return f"{said}; the one at the top {words[order].format(gpu_hours(amount))}."


def job_sentence(job: Mapping[str, Any]) -> str:
    """What became of a job, in two sentences at most: what it held and used, how it ended, how long it waited.

    `job` has the columns of `gold_jobs`.
    """
    status = job["job_status"]
    ran = f" after {span(job['run_s'])}" if job["run_s"] is not None else ""
    ends = {
        "succeeded": f"It succeeded{ran}",
        "failed": f"It failed{ran}",
        "preempted": f"It was preempted{ran}",
        "running": "It was running when last heard of",
        "waiting": "It was waiting when last heard of: it has not started",
    }
    end = ends.get(status, "How it ended is not known" if status == "unknown" else f"It ended as {status!r}{ran}")
    if job["wait_s"] is not None:
        end += f", having waited {span(job['wait_s'])}"
    return f"{_held_by_job(job)} {end}."


def wait_sentence(job: Mapping[str, Any], *, like: Mapping[str, Any] | None, free: Mapping[str, Any] | None) -> str:
    """Whether a job's wait was long for its size, and what nobody held of its GPU model when it was submitted.

    `like` is the row of `gold_queue_wait` of its size class, `free` that of `gold_capacity_hourly`; empty where no wait is known.
    """
    waited = job["wait_s"]
    if waited is None:
        return ""
    said = f"It waited {span(waited)}"
    if like and like["km_p50_s"] is not None and like["km_p90_s"] is not None:
        half, most = (span(like[name]) for name in ("km_p50_s", "km_p90_s"))
        if waited > like["km_p90_s"]:
            said += f", longer than nine of ten jobs that ask for as many GPUs: those start within {most}"
        elif waited > like["km_p50_s"]:
            said += (
                f", longer than half of the jobs that ask for as many GPUs ({half}); nine of ten start within {most}"
            )
        else:
            said += f", as half of the jobs that ask for as many GPUs do: those start within {half}"
    if free and free["unallocated_gpu_h"] is not None:
        said += (
            f". In the hour of its submission nobody held {gpu_hours(free['unallocated_gpu_h'])} of the "
            f"{gpu_hours(free['capacity_gpu_h'])} of {free['pool']}"
        )
    return f"{said}."


def _held_by_job(job: Mapping[str, Any]) -> str:
    held = job["allocated_gpu_h"]
    if held is None:
        return "What this job held is not known."
    if not held:
        return "This job held no GPU."
    part = " as far as is known" if job["gpu_h_reason"] else ""
    said = f"This job held {gpu_hours(held)}{part}"
    if job["efficiency_ratio"] is None:
        return f"{said}; whether it used them, was not measured."
    return f"{said}; of what was measured, {ratio_pct(job['efficiency_ratio'], digits=0)} was in use."


def job_advice(job: Mapping[str, Any]) -> tuple[str, ...]:
    """What its owner could change, the weightiest first, two pieces at most. `job` has the columns of `gold_jobs`."""
    advice = []
    asked, used = job["gpu_request_count"], job["gpu_used_count_max"]
    if asked and used is not None and used < asked / 2:
        held, most = (f"{gpus:,.3g} {'GPU' if gpus <= 1 else 'GPUs'}" for gpus in (asked, used))
        change = "ask for fewer, or look for what kept the others waiting" if asked > 1 else "a smaller share would do"
        advice.append(f"It asked for {held} and used at most {most}: {change}.")
    spread, needed = job["machines_used"], job["machines_needed"]
    if spread and needed and spread >= 2 * needed:
        would = "one" if needed == 1 else f"{needed:,}"
        advice.append(
            f"It sat on {counted(spread, 'machine')} where {would} would have held it: GPUs talk faster when packed."
        )
    if job["gpu_mem_ratio"] is not None and job["gpu_mem_ratio"] < 0.25:
        advice.append(
            f"Its fullest attempt filled {ratio_pct(job['gpu_mem_ratio'], digits=0)} of a GPU's memory: "
            "try larger batches, or share the GPU."
        )
    return tuple(advice[:2])


def users_sentence(users: int, most: Mapping[str, Any] | None, idlest: Mapping[str, Any] | None) -> str:
    """How many users there are, who held most, and who let most sit idle; rows are of `ranges.users_query`."""
    if most is None or not most["allocated_gpu_h"]:
        return f"{counted(users, 'user')}; none is known to have held a GPU." if users else "No user is recorded here."
    said = f"{counted(users, 'user')}; one held {_of_all(most['allocated_share_ratio'])} of what was held"
    if idlest is None or not idlest["idle_held_gpu_h"]:
        return f"{said}."
    who = "the same one" if idlest["user_id"] == most["user_id"] else "another"
    return f"{said}, {who} {_of_all(idlest['idle_held_share_ratio'])} of what sat idle."


def _of_all(ratio: float) -> str:
    return ratio_pct(ratio, digits=0)


def user_sentence(user: Mapping[str, Any] | None, wait: Mapping[str, Any] | None) -> str:
    """What a user held, used and lost, and how long the jobs waited.

    `user` is a row of `ranges.users_query`, `wait` one of `gold_queue_wait`; either may be missing.
    """
    if user is None:
        return "This user held no GPU and submitted no job in these days."
    held = user["allocated_gpu_h"]
    if not held:
        said = "What this user held is not known" if held is None else "This user held no GPU"
    else:
        place = f", {_place(user['rank'])}" if user["rank"] else ""
        said = f"This user held {gpu_hours(held)}{place}"
        if user["efficiency_ratio"] is not None:
            said += f"; of what was measured, {ratio_pct(user['efficiency_ratio'], digits=0)} was in use"
    if user["jobs_submitted"] and user["jobs_failed"] is not None:
        share = ratio_pct(user["failed_ratio_of_submitted"], digits=0)
        said += f". Of {counted(user['jobs_submitted'], 'job')} {share} failed"
        if wait is not None and wait["km_p50_s"] is not None:
            said += f"; half of all start within {span(wait['km_p50_s'])}"
    return f"{said}."


def _place(rank: int) -> str:
    if rank == 1:
        return "more than any other user"
    ending = "th" if rank % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"the {rank:,}{ending} most of all users"


def queue_sentence(wait: Mapping[str, Any] | None) -> str:
    """How long jobs wait, with those that never started in it. `wait` is a row of `gold_queue_wait` or of its days."""
    if wait is None or not wait["jobs_submitted"]:
        return "No job was submitted here."
    if not wait["jobs_with_wait"]:
        return f"Of {counted(wait['jobs_submitted'], 'job')} none has a known wait."
    if wait["km_p50_s"] is None:
        said = f"Fewer than half of {counted(wait['jobs_submitted'], 'job')} are known to have started"
    else:
        said = f"Half of the jobs start within {span(wait['km_p50_s'])}"
        said += (
            f", nine of ten within {span(wait['km_p90_s'])}"
            if wait["km_p90_s"] is not None
            else "; nine of ten never did while anybody looked"
        )
    never = wait["jobs_never_started"]
    return f"{said}. {counted(never, 'job')} never started, and count." if never else f"{said}."


def alerts_sentence(found: Mapping[str, Any], *, oldest: str) -> str:
    """How many need someone, and how soon. `found` are groups of open incidents; `oldest` since when the most urgent is so."""
    groups, pages, tickets = (int(found[name]) for name in ("open_groups", "pages", "tickets"))
    if not groups:
        return "Nothing needs anyone: no incident is open."
    rest = groups - pages - tickets
    urgent = [
        *([f"{pages:,} {_need(pages)} someone now"] if pages else []),
        *([f"{tickets:,} {_need(tickets)} someone this working day"] if tickets else []),
        *([f"{rest:,} can wait until somebody has time"] if rest else []),
    ]
    if not pages and not tickets:
        return f"Nothing is urgent: {', '.join(urgent)}."
    return f"{', '.join(urgent)}; the first in the list has been so since {oldest}."


def _need(number: int) -> str:
    return "needs" if number == 1 else "need"


def days_sentence(judged: Mapping[str, Any] | None, *, strangest: str | None) -> str:
    """How many days of a range are unusual, the strangest by name, and how many were not judged.

    `judged` has the columns of `ranges.judged_query`.
    """
    if judged is None or not judged["days"]:
        return "No day of this range has a figure."
    days, flagged, unjudged = (int(judged[name]) for name in ("days", "flagged_days", "not_judged_days"))
    if unjudged == days:
        return f"None of {counted(days, 'day')} could be judged: too little was measured, or too little went before."
    if not flagged:
        said = f"No day is unusual, of {counted(days, 'day')}"
    elif flagged == 1:
        said = f"{_capital(strangest)} is unusual, of {counted(days, 'day')}"
    else:
        said = f"{flagged:,} of {counted(days, 'day')} are unusual, most of all {strangest}"
    return f"{said}; {unjudged:,} could not be judged." if unjudged else f"{said}."


def day_sentence(name: str, row: Mapping[str, Any] | None) -> str:
    """What is said of one day. `row` has the columns of `gold_cluster_util_daily_scored`, `name` is the day as people see it."""
    if row is None or row["judgement"] is None:
        return f"{_capital(name)}: GPU use was not measured."
    reason = str(row["anomaly_reason"] or "no reason was given").removesuffix(".")
    if row["judgement"] == "not_judged":
        return f"{_capital(name)} is not judged: {reason}."
    if row["judgement"] == "anomaly":
        driver = row["anomaly_driver"]
        if driver not in EXPECTED or row[driver] is None:
            return f"{_capital(name)} is unusual: {reason}."
        expected, low, high = (row[column] for column in EXPECTED[driver])
        said = f"{_capital(name)} is unusual: {DRIVERS[driver]} was {pct(row[driver])}"
        return f"{said}, expected {pct(expected)} ({low:.0f} to {high:.0f})." if expected is not None else f"{said}."
    use = (
        f": GPUs were in use for {pct(row['avg_gpu_util'])} of what was measured"
        if row["avg_gpu_util"] is not None
        else ""
    )
    return f"{_capital(name)} was as usual{use}."


def data_sentence(cluster_id: str, found: Mapping[str, Any]) -> str:
    """What landed of a cluster, how much of it was refused or not believed, and whether anything is missing."""
    if not found["tables"]:
        return f"Nothing of {cluster_id} has landed."
    said = f"{counted(int(found['tables']), 'table')} with {int(found['rows_kept'] or 0):,} rows landed"
    left_out = [
        f"{counted(int(found['rows_refused'] or 0), 'row')} refused" if found["rows_refused"] else "no row refused",
        *(
            [f"{counted(int(found['values_implausible']), 'value')} not believed"]
            if found["values_implausible"]
            else []
        ),
        *([f"{counted(int(found['columns_empty']), 'column')} cannot be computed"] if found["columns_empty"] else []),
    ]
    return f"{said}; {', '.join(left_out)}."


def _capital(text: str | None) -> str:
    return text[:1].upper() + text[1:] if text else ""
