"""Whether a Prometheus server answers, with what of GPUs and machines, and how new."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence

from gpulake import clock
from gpulake.collecting import Asked
from gpulake.collecting.prometheus import answer_of, is_page, page_of, server_of_call
from gpulake.collecting.server import Patience, Server
from gpulake.doctor import Check, Found, fail, ok, warn
from gpulake.errors import SourceError
from gpulake.telling.words import counted

_PATIENCE = Patience(timeout_s=15.0, attempts=2)
_MOST_SKEW_S = 5.0
_OLD_S = 600.0
_NAMES = 'count by (__name__) ({__name__=~"DCGM_FI_.+|node_load1|node_cpu_seconds_total|kube_pod_info"})'
_WANTED: Sequence[tuple[str, str, str]] = (
    (
        r"DCGM_FI_(PROF_(SM|GR_ENGINE)_ACTIVE|DEV_GPU_UTIL)$",
        "use of GPUs",
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE, or DCGM_FI_DEV_GPU_UTIL",
    ),
    (r"DCGM_FI_DEV_(FB_USED|MEM_COPY_UTIL)$", "memory of GPUs", "DCGM_FI_DEV_FB_USED and DCGM_FI_DEV_FB_FREE"),
    (r"DCGM_FI_DEV_POWER_USAGE", "power", "DCGM_FI_DEV_POWER_USAGE"),
    (r"DCGM_FI_DEV_GPU_TEMP$", "temperature", "DCGM_FI_DEV_GPU_TEMP"),
    (
        r"DCGM_FI_DEV_(CLOCK_THROTTLE_REASONS|CLOCKS_EVENT_REASONS)",
        "what slows GPUs down",
        "DCGM_FI_DEV_CLOCKS_EVENT_REASONS",
    ),
    (r"DCGM_FI_DEV_ECC_", "memory errors", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL and its like"),
    (r"DCGM_FI_DEV_XID_ERRORS?$", "Xid errors", "DCGM_FI_DEV_XID_ERRORS"),
)
"""What figures need, how that is called, and what dcgm-exporter must export for it."""


def look(asked: Asked) -> Iterator[Found]:
    """Ask a few small questions. Raises SourceError and UsageError as a run would."""
    server = server_of_call(asked, _PATIENCE)
    if is_page(server.url):
        text = page_of(server).decode("utf-8", "replace")
        yield ok("the page answers")
        yield from _metrics(set(re.findall(r"^(\w+)(?=[{ ])", text, re.MULTILINE)))
        return
    yield _clock(server)
    names = {labels.get("__name__", "") for labels, _ in _ask(server, _NAMES)}
    yield from _metrics(names)
    dcgm = sorted(name for name in names if name.startswith("DCGM_FI_"))
    if not dcgm:
        return
    known = next((name for name in ("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL") if name in names), dcgm[0])
    rows = _ask(server, f"count by (Hostname) ({known})")
    machines = [labels.get("Hostname") for labels, _ in rows]
    if rows and all(machines):
        yield ok(f"{counted(len(rows), 'machine')}, as {machines[0]}")
    else:
        yield warn(
            "samples name no machine (label Hostname)",
            do="let dcgm-exporter know its node's name: on Kubernetes NODE_NAME from spec.nodeName",
        )
    yield from _age(server, known)


def _clock(server: Server) -> Found:
    before = clock.now()
    answer = server.ask("/api/v1/query", {"query": "vector(1)"})
    answer_of(server, answer)
    skew_s = (answer.at - before).total_seconds() + 0.5 if answer.at else 0.0
    if abs(skew_s) <= _MOST_SKEW_S:
        return ok("the server answers, and its clock agrees with this machine's")
    which = "ahead of" if skew_s > 0 else "behind"
    return warn(
        f"the server answers, and its clock is {abs(skew_s):,.0f} s {which} this machine's",
        do="see that NTP runs on both: samples have the server's time, jobs that of Slurm",
    )


def _metrics(names: set[str]) -> Iterator[Found]:
    if not any(name.startswith("DCGM_FI_") for name in names):
        yield fail(
            SourceError(
                "nothing of dcgm-exporter is there (DCGM_FI_…).",
                where="metrics",
                do="let Prometheus scrape dcgm-exporter, or name another server",
            )
        )
        return
    known = [what for pattern, what, _ in _WANTED if any(re.match(pattern, name) for name in names)]
    if known:
        yield ok(f"it has {', '.join(known)}")
    for pattern, what, wanted in _WANTED:
        if not any(re.match(pattern, name) for name in names):
            yield warn(f"it has no {what}", do=f"let dcgm-exporter export {wanted}")
    if "node_load1" not in names:
        yield warn("it has nothing of node_exporter: use of CPUs stays unknown", do="let it scrape node_exporter too")


def _age(server: Server, metric: str) -> Iterator[Found]:
    rows = _ask(server, f"time() - max(timestamp({metric}))")
    age_s = rows[0][1] if rows else math.nan
    if not math.isfinite(age_s):
        yield warn("how new its samples are is not known", do=f"look there: time() - timestamp({metric})")
    elif age_s > _OLD_S:
        yield warn(f"its newest sample is {age_s / 60:,.0f} min old", do="see whether dcgm-exporter is scraped: up")
    else:
        yield ok(f"its newest sample is {max(age_s, 0):.0f} s old")


def _ask(server: Server, query: str) -> list[tuple[dict[str, str], float]]:
    """The labels and the value of each series. Raises SourceError where the answer is none."""
    body = answer_of(server, server.ask("/api/v1/query", {"query": query}))
    try:
        return [(dict(row["metric"]), float(row["value"][1])) for row in json.loads(body)["data"]["result"]]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise SourceError(
            "the answer is no reply of Prometheus.", where=server.url, do="see what answers at that address"
        ) from error


CHECK = Check("prometheus", look)
