"""One user: place, hours, efficiency, what sat idle, failures, waits, cost, and the jobs to begin with."""

from __future__ import annotations

from gpulake.reading.people import OneUser, near_users, read_user
from gpulake.reading.scope import Scope
from gpulake.telling.held import use_meters
from gpulake.telling.lines import Col, Line, Note, Part, facts, heading, meter, table, text_lines
from gpulake.telling.reports import Kind, Teller, page_of
from gpulake.telling.sentences import job_advice, user_sentence

MOST_DAYS = 7


def _read(scope: Scope, name: str | None) -> OneUser | None:
    return read_user(scope, name or "")


def _sentence(found: OneUser, _teller: Teller) -> str:
    return user_sentence(found.user, found.wait)


def _lines(found: OneUser, teller: Teller) -> list[Line]:
    cluster = teller.scope.cluster
    held = found.user["allocated_gpu_h"] if found.user else None
    days = found.days[-MOST_DAYS:]
    return [
        *facts(_facts(found, teller)),
        (),
        *heading("What this user held, and used of it", teller.text("allocated_gpu_h", held)),
        *((found.user and use_meters(found.user, teller)) or text_lines("Nothing is known to have been held.")),
        *_failed(found, teller),
        (),
        *heading("Jobs with the most idle GPU-hours" if "idle_held_gpu_h" not in found.lacks else "The largest jobs"),
        *table(
            found.jobs,
            (
                Col("job_id", "job"), Col("idle_held_gpu_h", "idle", bar="idle_held"), Col("allocated_gpu_h", "held"),
                Col("efficiency_ratio", "in use"), Col("gpu_request_count", "GPUs"), Col("job_status", "status"),
                Col("wait_s", "waited"),
            ),
            cluster=cluster,
            lacks=found.lacks,
            otherwise="No job was submitted in these days.",
        ),
        (),
        *heading("Day by day", f"the last {len(days)} of {len(found.days)}" if len(days) < len(found.days) else ""),
        *table(
            days,
            (
                Col("dt", "day"), Col("rank", "place"), Col("idle_held_gpu_h", "idle", bar="idle_held"),
                Col("allocated_gpu_h", "held"), Col("efficiency_ratio", "in use"), Col("jobs_submitted", "jobs"),
                Col("failed_ratio_of_submitted", "failed"), Col("cost_usd", "cost"),
            ),
            cluster=cluster,
            otherwise="This user held no GPU and submitted no job in these days.",
        ),
    ]  # fmt: skip


def _facts(found: OneUser, teller: Teller) -> list[tuple[str, str]]:
    user, wait = found.user, found.wait
    told = []
    if user:
        told += [
            ("place", f"{user['rank']:,} of {found.users:,} by held hours" if user["rank"] else "none"),
            ("cost", teller.text("cost_usd", user["cost_usd"])),
            ("jobs", teller.text("jobs_submitted", user["jobs_submitted"])),
            ("failed", teller.text("jobs_failed", user["jobs_failed"])),
        ]
    if wait:
        told += [
            (
                "half start",
                f"within {teller.text('km_p50_s', wait['km_p50_s'])}" if wait["km_p50_s"] is not None else "not known",
            ),
            (
                "90 % start",
                f"within {teller.text('km_p90_s', wait['km_p90_s'])}" if wait["km_p90_s"] is not None else "not known",
            ),
            ("never began", teller.text("jobs_never_started", wait["jobs_never_started"])),
        ]
    return told


def _failed(found: OneUser, teller: Teller) -> list[Line]:
    user = found.user
    if not user or user["failed_ratio_of_submitted"] is None:
        return []
    return meter(
        "jobs failed",
        [Part("failed", user["failed_ratio_of_submitted"])],
        figure=teller.text("failed_ratio_of_submitted", user["failed_ratio_of_submitted"]),
        note="of submitted",
    )


def _notes(found: OneUser, teller: Teller) -> list[Note]:
    told: list[Note] = []
    if found.first and found.first["idle_held_gpu_h"]:
        said = " ".join(["Begin with the job that let most sit idle.", *job_advice(found.first)])
        told.append((said, teller.command("report", "job", found.first["job_id"])))
    if found.user and found.user["unbounded_spans"]:
        spans = teller.text("unbounded_spans", found.user["unbounded_spans"])
        told.append((f"{spans} attempts lack a start or an end: what they held is not counted.", None))
    if found.wait:
        told.append(
            (
                "Waits are of the whole window, never-started jobs included. Of everybody:",
                teller.command("report", "queue"),
            )
        )
    told.append(("Who else holds GPUs without using them:", teller.command("report", "waste", keeps_range=True)))
    return told


KIND = Kind(
    name="user",
    answers="what one user held, used, lost and waited for, and which jobs to look at",
    takes="NAME",
    title="User",
    read=_read,
    near=near_users,
    sentence=_sentence,
    lines=_lines,
    notes=_notes,
    paths=lambda name: (page_of("users", name),),
)
