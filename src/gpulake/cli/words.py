"""Results of steps in words, for people; machines get `as_json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from functools import singledispatch
from itertools import groupby
from typing import cast

from gpulake.export import Exported
from gpulake.ingest import LandReport
from gpulake.pipeline import StepResult
from gpulake.report import counted, day_name, text_table
from gpulake.upkeep import Compacted, Status, Verification


@singledispatch
def text_of(result: object) -> str:
    """A result as a few lines."""
    raise NotImplementedError(type(result).__name__)


@text_of.register
def _(result: StepResult) -> str:
    lines: list[str] = []
    if result.land:
        lines += _landing_lines(result.land)
    if result.build:
        days = "every day" if result.build.full_build else "the touched days"
        lines.append(f"built {days}: {counted(result.build.models, 'model')} in {result.build.seconds:.1f} s")
    if result.detect:
        lines.append(
            f"judged {counted(result.detect.days, 'day')}: {len(result.detect.flagged_days)} flagged, "
            f"{result.detect.not_judged} not judged"
        )
    if result.tests:
        lines.append(f"tested: {result.tests.passed} passed, {len(result.tests.warned)} warned")
        lines += [f"  warned: {name}" for name in result.tests.warned]
    return "\n".join([*lines, _outcome(result)])


def _outcome(result: StepResult) -> str:
    publication = result.publication
    if result.published and publication is not None:
        return f"published build {publication.build_id}: {result.why}"
    standing = f" (build {publication.build_id} stays published)" if publication else ""
    return f"{result.why}{standing}"


def _landing_lines(land: LandReport) -> Iterator[str]:
    table = [
        [
            landing.table,
            f"{landing.rows_in:,}",
            f"{landing.rows_kept:,}",
            f"{landing.rows_refused:,}",
            landing.layout,
            {"landed": "", "already": "already here"}.get(landing.status, landing.status),
        ]
        for landing in land.landings
    ]
    if table:
        yield from text_table(["table", "rows", "kept", "refused", "layout", ""], table, right={1, 2, 3})
    reasons: Counter[tuple[str, str]] = Counter()
    for landing in land.landings:
        reasons.update({(landing.table, reason): rows for reason, rows in landing.reasons.items()})
    for (name, reason), rows in reasons.most_common(5):
        yield f"  refused: {rows:,} × {reason} ({name})"
    for refused in land.refused:
        yield f"refused {refused.path}: {refused.error.what}"
    by_reason = sorted(land.unrecognised, key=lambda other: other.reason)
    for reason, others in groupby(by_reason, key=lambda other: other.reason):
        yield f"left alone: {', '.join(other.path.name for other in others)}"
        yield f"  {reason}"


@text_of.register
def _(status: Status) -> str:
    lines = text_table(
        ["table", "rows", "files", "bytes"],
        [[table.name, f"{table.rows:,}", f"{table.files:,}", f"{table.bytes:,}"] for table in status.tables],
        right={1, 2, 3},
    )
    lines += ["", f"lake {status.lake}, version {status.version}"]
    for cluster in status.clusters:
        first, last, basis = (cluster[name] for name in ("first_day", "last_day", "time_basis"))
        days = (
            f"{day_name(cast('date', first), str(basis))} to {day_name(cast('date', last), str(basis))}"
            if first and last
            else "no times"
        )
        lines.append(f"cluster {cluster['cluster_id']}: {days}, {cluster['time_zone']} time")
    if status.last_landing:
        landing = status.last_landing
        lines.append(f"last landing: {landing['table_name']} from {landing['file_name']} at {landing['landed_at']} UTC")
    lines.append(
        f"waiting for the next build: {counted(status.pending_landings, 'landing')}; "
        f"in quarantine: {counted(status.quarantined_rows, 'row')}"
    )
    if status.last_build:
        lines.append(f"last build: {status.last_build['build_id']} at {status.last_build['built_at']} UTC")
    published = status.publication
    lines.append(
        f"published: build {published.build_id} at {published.published_at} UTC"
        if published
        else "nothing is published yet"
    )
    return "\n".join(lines)


@text_of.register
def _(verification: Verification) -> str:
    checked = (
        f"checked {counted(len(verification.publications), 'publication')}, "
        f"{counted(verification.tables_scanned, 'table')}, {counted(verification.files_checked, 'file')}"
    )
    return "\n".join([checked, *verification.faults, "no fault found" if not verification.faults else ""]).rstrip()


@text_of.register
def _(compacted: Compacted) -> str:
    kept = ", ".join(map(str, compacted.kept_builds)) or "none yet"
    return f"forgot {counted(compacted.expired_versions, 'version')}; kept builds: {kept}"


@text_of.register
def _(exported: Exported) -> str:
    table = text_table(
        ["table", "rows"], [[name, f"{rows:,}"] for name, rows in sorted(exported.rows.items())], right={1}
    )
    return "\n".join([*table, f"{exported.file}: {exported.bytes:,} bytes, build {exported.build_id}"])
