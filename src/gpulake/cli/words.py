"""Results of steps in words, for people; machines get `as_json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import singledispatch
from itertools import groupby
from textwrap import wrap
from typing import cast

from gpulake.detecting.outcomes import FileScored
from gpulake.lake import Publication
from gpulake.landing import LandReport
from gpulake.pipeline import StepResult
from gpulake.reading.definitions import Compared, DefinitionDiff
from gpulake.reading.difference import Difference, GroupChange
from gpulake.reading.export import Exported
from gpulake.reading.figure import Explanation, FedBy, Figure, Move
from gpulake.reading.report import day_name
from gpulake.session import Alerted
from gpulake.telling.cells import visible
from gpulake.telling.text import WIDTH, text_table
from gpulake.telling.words import counted, pct, span
from gpulake.telling.workings import workings_lines
from gpulake.upkeep import Compacted, Quarantine, Status, Verification


@singledispatch
def text_of(result: object) -> str:
    """A result as a few lines."""
    raise NotImplementedError(type(result).__name__)


_LEVEL_WORDS = {"cluster_day": "day", "cluster_hour": "hour", "machine_hour": "machine-hour", "job": "job"}


@text_of.register
def _(result: StepResult) -> str:
    lines: list[str] = []
    if result.land:
        lines += _landing_lines(result.land)
    if result.build:
        days = "every day" if result.build.full_build else "the touched days"
        lines.append(f"built {days}: {counted(result.build.models, 'model')} in {result.build.seconds:.1f} s")
        lines += [f"  not believed: {values:,} × {reason}" for reason, values in result.build.implausible.items()]
    if result.detect:
        lines += [
            f"judged {counted(judged.rows, _LEVEL_WORDS[judged.level])} by {judged.detector}: "
            f"{judged.flagged:,} flagged, {judged.not_judged:,} not judged"
            + (", as before: nothing had changed" if judged.is_as_before else "")
            for judged in result.detect.judged
        ]
    if result.tests:
        lines.append(f"tested: {result.tests.passed} passed, {len(result.tests.warned)} warned")
        lines += [f"  warned: {name}" for name in result.tests.warned]
    if result.alerts:
        lines += _alert_lines(result.alerts)
    if result.dashboards and not result.dashboards.error:
        lines.append(f"dashboards: their file holds build {result.dashboards.build_id}")
    return "\n".join([*lines, _outcome(result)])


def _alert_lines(alerts: Alerted) -> Iterator[str]:
    told = alerts.told
    changed = [(told.opened, "opened"), (told.updated, "updated"), (told.resolved, "resolved")]
    changes = ", ".join(f"{count:,} {word}" for count, word in changed if count)
    yield (
        f"rules: {counted(alerts.rules, 'rule')}, {alerts.firing:,} firing; incidents: {told.open_now:,} open"
        + (f" ({changes})" if changes else "")
    )
    sending = [
        (told.sent, "sent"),
        (told.queued, "queued"),
        (told.failed, "failed"),
        (told.shadowed, "kept in shadow mode"),
    ]
    if sent := ", ".join(f"{count:,} {word}" for count, word in sending if count):
        yield f"notices: {sent}"
    for rule in alerts.broken:
        yield f"  a rule could not be asked: {rule}"


def _outcome(result: StepResult) -> str:
    publication = result.publication
    if result.published and publication is not None:
        return f"published build {publication.build_id}: {result.why}"
    standing = f" (build {publication.build_id} stays published)" if publication else ""
    return f"{result.why}{standing}"


MOST_FILES = 20
"""That are named for one reason; --json has them all."""


def _landing_lines(land: LandReport) -> Iterator[str]:
    table = [
        [
            landing.table,
            *("" if n is None else f"{n:,}" for n in (landing.rows_in, landing.rows_kept, landing.rows_refused)),
            landing.layout,
            {"landed": "", "already": "already here"}.get(landing.status, landing.status),
            landing.file_name,
        ]
        for landing in land.landings
    ]
    if table:
        yield from text_table(["table", "rows", "kept", "refused", "layout", "", "file"], table, right={1, 2, 3})
    reasons: Counter[tuple[str, str]] = Counter()
    for landing in land.landings:
        reasons.update({(landing.table, reason): rows for reason, rows in landing.reasons.items()})
    for (name, reason), rows in reasons.most_common(5):
        yield f"  refused: {rows:,} × {reason} ({name})"
    for landing in land.landings:
        if landing.missing:
            values = ", ".join(f"{count:,} × {name}" for name, count in landing.missing.items())
            yield f"  missing: {values} ({landing.table})"
        if landing.columns_left:
            yield f"  left out, for they are no columns of {landing.table}: {', '.join(landing.columns_left)}"
        if landing.note:
            yield f"  {landing.file_name}: {landing.note}"
    for landing in land.landings:
        if landing.times_unknown:
            hour = "the hour that clocks show twice, or skip"
            yield f"  unknown: {counted(landing.times_unknown, 'local time')} in {hour} ({landing.table})"
    for refused in land.refused:
        yield f"refused {refused.path}: {refused.error.what}"
    by_reason = sorted(land.unrecognised, key=lambda other: other.reason)
    for reason, others in groupby(by_reason, key=lambda other: other.reason):
        names = [other.path.name for other in others]
        more = f" and {len(names) - MOST_FILES:,} more: --json lists them all" if len(names) > MOST_FILES else ""
        yield f"left alone: {', '.join(names[:MOST_FILES])}{more}"
        yield f"  {reason}"


@text_of.register
def _(scored: FileScored) -> str:
    told = f"judged {counted(scored.rows, 'row')} by {scored.detector}: {scored.scored:,} scored, {scored.flagged:,} flagged"
    return f"{told}\n{scored.out or 'nothing was written'}"


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
    for topic in status.streams:
        watermark = f", events up to {topic.watermark:%Y-%m-%d %H:%M:%S} UTC" if topic.watermark else ""
        lost = f", {topic.lost:,} lost" if topic.lost else ""
        lines.append(
            f"stream {topic.topic}: {counted(topic.messages, 'message')}, {topic.rows_refused:,} refused{lost}{watermark}"
        )
    for one in status.consumers:
        behind = "" if one.get("lag") is None else f", {one['lag']:,} behind"
        lines.append(f"consumer {one.get('pid')}: {one.get('state')} at {one.get('noted_at')} UTC{behind}")
    published = status.publication
    lines.append(
        f"published: build {published.build_id} at {published.published_at} UTC{_how_fresh(published)}"
        if published
        else "nothing is published yet"
    )
    return "\n".join(lines)


def _how_fresh(published: Publication) -> str:
    waited = f", {span(published.waited_s)} after the first of it landed" if published.waited_s is not None else ""
    age_s = published.event_age_s
    age = f"; its newest event was {span(age_s)} old" if age_s is not None and age_s >= 0 else ""
    return waited + age


@text_of.register
def _(found: Quarantine) -> str:
    lines: list[str] = []
    for what, left_out in (("refused", found.refused), ("implausible", found.implausible)):
        for each in left_out:
            lines.append(f"{what}: {each.count:,} × {each.reason} ({each.table_name}, cluster {each.cluster_id})")
            for line in each.lines:
                lines.append(f"  {line['file_name']}:{line['source_row']}: {line['whole_reason']}")
                lines.append(f"    {visible(line['line'], keep='')}")
    if found.refused:
        lines.append("once the source is mended: gpulake quarantine --replay")
    return "\n".join(lines) or "nothing is left out: no row was refused, and no value is implausible"


@text_of.register
def _(verification: Verification) -> str:
    checked = (
        f"checked {counted(len(verification.publications), 'publication')}, "
        f"{counted(verification.tables_scanned, 'table')}, {counted(verification.files_checked, 'file')}"
    )
    if verification.tests_passed is not None:
        checked += f"; {counted(verification.tests_passed, 'data test')} held for every row"
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


MOST_LANDINGS = 20
MOST_GROUPS = 40
"""Lines of one list; --json has them all."""


@text_of.register
def _(found: Explanation) -> str:
    key = ", ".join(f"{name} = {_day(value, found.time_basis)}" for name, value in found.key.items())
    title = f"{found.table}.{found.column}   {key}"
    lines = [title, "═" * min(len(title), WIDTH), *wrap(f"{found.definition}.".replace("..", "."), WIDTH)]
    lines += [*wrap(f"Table: {found.table_description}", WIDTH), ""]
    lines += _figure_lines(found.figure, found.unit)
    lines += [f"{'':<13}{line}" for line in wrap(found.no_parts or "", WIDTH - 13)]
    if found.why_unknown:
        lines.append(f"why unknown  {found.why_unknown}")
    if found.workings:
        lines += ["", *workings_lines(found.workings)]
    if found.as_of:
        lines += ["", *_as_of_lines(found)]
    day = "this day" if found.day else "this row"
    lines += ["", *_fed_lines(f"landings that reach {day}", found.landings)]
    if found.stands_on:
        lines += ["", "stands on"]
        width = max(len(each.name) for each in found.stands_on)
        lines += [f"  {each.name.ljust(width)}  {each.file or 'written by gpulake'}" for each in found.stands_on]
    lines += ["", f"the SQL, {found.sql_file}"]
    if found.definitions_are_newer and found.sql_is_compiled:
        lines.append("(it is what made this figure; what is said above is of newer definitions, not built yet)")
    elif found.definitions_are_newer:
        lines.append("(definitions were changed since this build: the next refresh rebuilds all with these)")
    lines += [f"  {line}".rstrip() for line in found.sql.rstrip().splitlines()]
    if found.as_of and found.as_of.sql:
        lines += ["", f"the SQL of build {found.as_of.figure.build_id}"]
        lines += [f"  {line}".rstrip() for line in found.as_of.sql.rstrip().splitlines()]
    return "\n".join(lines)


def _figure_lines(figure: Figure, unit: str | None) -> Iterator[str]:
    value = "no row" if not figure.has_row else "unknown" if figure.value is None else _number(figure.value)
    yield f"value        {value}" + (f"  ({unit})" if unit and figure.value is not None else "")
    for name in ("numerator", "denominator", "coverage"):
        if part := getattr(figure, name):
            yield f"{name:<13}{part.formula}" + (f" = {_number(part.value)}" if part.value is not None else "")
    yield f"build        {figure.build_id}, published {figure.published_at:%Y-%m-%d %H:%M} UTC"


def _as_of_lines(found: Explanation) -> Iterator[str]:
    as_of = found.as_of
    assert as_of is not None
    yield f"as of build {as_of.figure.build_id}, published {as_of.figure.published_at:%Y-%m-%d %H:%M} UTC"
    if not as_of.moved:
        value = "unknown" if as_of.figure.value is None else _number(as_of.figure.value)
        yield f"the same: {value if as_of.figure.has_row else 'no row'}"
    else:
        rows = [[name, *_move_cells(move, as_of.figure, found.figure)] for name, move in as_of.moved.items()]
        yield from text_table(["", "then", "now", "change"], rows, right={1, 2, 3})
    yield ""
    yield from _fed_lines("included since, and reaching it", as_of.landings_since)
    if as_of.other_landings_since:
        yield f"included since for other days: {counted(as_of.other_landings_since, 'landing')}"
    yield from (f"setting changed: {line}" for line in as_of.settings_changed)
    if as_of.definitions_changed:
        yield "definitions changed: models, seeds, detectors or versions are not those of that build"
    elif as_of.definitions_changed is None:
        yield "definitions may have changed too: one digest is kept of them and the settings"


def _move_cells(move: Move, then: Figure, now: Figure) -> list[str]:
    cells = [
        "no row" if not figure.has_row else "unknown" if value is None else _number(value)
        for figure, value in ((then, move.then), (now, move.now))
    ]
    return [*cells, "" if move.change is None else f"{'+' if move.change > 0 else ''}{_number(move.change)}"]


def _fed_lines(title: str, landings: Sequence[FedBy]) -> list[str]:
    if not landings:
        return [f"{title}: none"]
    rows = [
        [each.landing_id[:12], each.table_name, f"{each.rows_kept:,}", str(each.first_build_id), each.file_name]
        for each in landings[-MOST_LANDINGS:]
    ]
    earlier = len(landings) - len(rows)
    return [
        f"{title}: {len(landings):,}" + (f", the newest {len(rows)} of them" if earlier else ""),
        *text_table(["landing", "table", "rows", "since build", "file"], rows, right={2, 3}),
    ]


def _day(value: object, time_basis: str | None) -> str:
    return day_name(value, time_basis) if type(value) is date and time_basis else str(value)


def _number(value: object) -> str:
    """All that a reader compares: digits that tell two builds apart stay."""
    match value:
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case float() | Decimal():
            return f"{float(value):,.9g}"
        case _:
            return str(value)


@text_of.register
def _(found: Difference) -> str:
    first, second = found.first, found.second
    told = [f"build {each.build_id}, published {each.published_at:%Y-%m-%d %H:%M} UTC" for each in (first, second)]
    lines = [" → ".join(told)]
    for change in found.tables:
        lines += ["", change.table]
        lines += [
            f"  {name}: {what}"
            for what, names in (("new column", change.columns_added), ("column gone", change.columns_removed))
            for name in names
        ]
        columns = [[each.column, f"{each.changed:,}", _by(each.max_abs_change)] for each in change.columns]
        if columns:
            table = text_table(["column", "values changed", "by at most"], columns, right={1, 2})
            lines += [f"  {line}" for line in table]
        rows = [_group_cells(group, found.time_bases) for group in change.groups[:MOST_GROUPS]]
        if rows:
            lines += [""] if columns else []
            table = text_table(["cluster", "day", "rows added", "removed", "changed"], rows, right={2, 3, 4})
            lines += [f"  {line}" for line in table]
        if len(change.groups) > MOST_GROUPS:
            lines.append(f"  and {len(change.groups) - MOST_GROUPS:,} more: --json lists them all")
    if not found.tables:
        lines += ["", "no published figure changed"]
    names = {
        "unchanged": found.unchanged,
        f"only in build {first.build_id}": found.only_in_first,
        f"only in build {second.build_id}": found.only_in_second,
        "not compared, for want of a known grain": found.not_compared,
    }
    lines.append("")
    for what, tables in names.items():
        lines += wrap(f"{what}: {', '.join(tables)}", WIDTH, subsequent_indent="  ") if tables else []
    return "\n".join(lines).rstrip()


def _by(change: float | None) -> str:
    return "" if change is None else _number(change)


def _group_cells(group: GroupChange, time_bases: Mapping[str, str]) -> list[str]:
    cluster = group.cluster_id or "all"
    day = _day(group.dt, time_bases.get(cluster, "real")) if group.dt else "all"
    return [cluster, day, *(f"{n:,}" if n else "" for n in (group.rows_added, group.rows_removed, group.rows_changed))]


@text_of.register
def _(diff: DefinitionDiff) -> str:
    return "\n\n".join("\n".join(_compared_lines(one)) for one in diff.compared) or "no job held GPUs here"


def _compared_lines(compared: Compared) -> Iterator[str]:
    yield f"cluster {compared.cluster_id}, " + (
        f"job {compared.job_id}" if compared.job_id else "all jobs that held GPUs"
    )
    yield ""
    yield from text_table(
        ["definition", "utilisation", "low to high", "GPU-hours", "speaks for", "leaves out", "unused"],
        [
            [
                figure.definition,
                pct(figure.util_pct, digits=2),
                ""
                if figure.util_low_pct is None
                else f"{figure.util_low_pct:.2f} to {pct(figure.util_high_pct, digits=2)}",
                *(f"{hours:,.1f}" for hours in (figure.gpu_h, figure.denominator_gpu_h, figure.left_out_gpu_h)),
                "" if figure.unused_gpu_h is None else f"{figure.unused_gpu_h:,.1f}",
            ]
            for figure in compared.figures
        ],
        right={1, 2, 3, 4, 5, 6},
    )
    yield ""
    for figure in compared.figures:
        yield from wrap(f"{figure.definition}: {figure.note}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
