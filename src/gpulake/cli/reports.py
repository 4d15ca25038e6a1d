"""The command that tells the publication to a person: report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulake.cli import edge
from gpulake.errors import UsageError

if TYPE_CHECKING:
    from gpulake.config import Config
    from gpulake.lake import Reader
    from gpulake.reading.report import Report
    from gpulake.reading.scope import Scope
    from gpulake.telling.lines import Line
    from gpulake.telling.reports import Kind, Teller

_WORDS = "fleet, job ID, user NAME, queue, waste, anomalies"


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command()(report)


def report(
    what: Annotated[str | None, typer.Argument(metavar="REPORT", help=f"{_WORDS}.  [default: fleet]")] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of which job or user.")] = None,
    lake: edge.LakeOption = None,
    cluster: Annotated[str | None, typer.Option("--cluster", metavar="NAME", help="This cluster only.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="From this day on, as 2026-11-30, or 12 for day 12.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Up to this day, itself included.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Of this user only.")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Also draw the days.")] = None,
    waterfall: Annotated[
        Path | None, typer.Option("--waterfall", metavar="FILE", help="Also draw where the GPU-hours went.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write the pages that show the same into one file."),
    ] = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Tell what the publication says: of the fleet, a job, a user, the queue, waste or anomalies; in 80 columns, and draw it."""
    from gpulake.lake import open_publication
    from gpulake.reading.scope import clusters_of

    kind, name = _kind_of(what, name, user)
    asked = {key: text for key, text in (("cluster", cluster), ("since", since), ("until", until)) if text is not None}
    _check(kind, asked, user=user, pictures=(png, waterfall))
    config = edge.config_of(lake)
    given = None if lake is None else min(str(lake), os.path.relpath(lake), key=len)
    with open_publication(config.lake) as publication:
        tellers = _tellers(publication, clusters_of(publication), asked, lake=given)
        whose = name if kind.takes else user
        found = [(teller, kind.read(teller.scope, whose)) for teller in tellers]
        if tellers and all(each is None for _, each in found):
            raise _unknown(kind, whose or "", tellers)
        told = [(teller, each) for teller, each in found if each is not None]
        is_whole = not {"since", "until"} & set(asked)
        has_all = kind.name == "fleet" and (is_whole or png or waterfall)
        everything = _everything(publication, config) if has_all else None
        if everything is not None and cluster is not None:
            everything = replace(
                everything, clusters=tuple(each for each in everything.clusters if each.cluster_id == cluster)
            )
    # What cannot be written is told before anything is: with --json there is one answer.
    files = _drawn(everything, png=png, waterfall=waterfall)
    if html is not None:
        _write_pages(config, [teller.address(path) for teller, _ in told for path in kind.paths(whose or "")], html)
        files[html] = "the pages that show the same"
    if as_json:
        edge.put_json(_as_json(kind, publication, told, whole=everything if is_whole else None))
        return
    lines = _lines(kind, told, name=whose or "", whole=everything if is_whole else None)
    _put(lines or _nothing(publication))
    if files:
        edge.put("\n".join(["", "written", *(f"  {file}  {words}" for file, words in files.items())]))


def _kind_of(what: str | None, name: str | None, user: str | None) -> tuple[Kind, str | None]:
    """Which report is meant, and of what. Raises UsageError."""
    from gpulake.telling.reports import kind_of, words

    if what is None:
        what, name = ("user", user) if user is not None else ("fleet", name)
    if what not in words():
        near = get_close_matches(what, words(), n=1)
        do = f"did you mean {near[0]}?" if near else f"choose one of {_WORDS}"
        raise UsageError(f"there is no report {what[:60]!r}.", where="gpulake report", do=do)
    kind = kind_of(what)
    if kind.takes and name is None:
        raise UsageError(
            f"which {kind.name}?", where=f"gpulake report {kind.name}", do=f"gpulake report {kind.name} {kind.takes}"
        )
    if name is not None and not kind.takes:
        raise UsageError(
            f"a report of {kind.name} is of a whole cluster, and takes no name: {name[:60]!r}.",
            where=f"gpulake report {kind.name}", do=f"gpulake report {kind.name}",
        )  # fmt: skip
    return kind, name


def _check(kind: Kind, asked: Mapping[str, str], *, user: str | None, pictures: Sequence[Path | None]) -> None:
    where = f"gpulake report {kind.name}"
    if user is not None and not kind.takes_user and kind.name != "user":
        raise UsageError("--user does not go with this report.", where=where, do="gpulake report user NAME")
    if not kind.is_ranged and {"since", "until"} & set(asked):
        raise UsageError(
            "a job is told whole: --since and --until do not go with it.", where=where, do="leave them out"
        )
    if kind.name != "fleet" and any(pictures):
        raise UsageError(
            "--png and --waterfall draw the fleet.", where=where, do="use --html, or gpulake report --png FILE"
        )


def _tellers(
    publication: Reader, clusters: Sequence[Any], asked: Mapping[str, str], *, lake: str | None
) -> list[Teller]:
    """Who tells of each cluster, or of the one that is asked for. Raises UsageError for one that is not there, or an odd range."""
    from gpulake.reading.scope import Scope
    from gpulake.telling.reports import Teller

    wanted = [asked["cluster"]] if "cluster" in asked else [each.cluster_id for each in clusters]
    scopes = [Scope(publication, clusters=tuple(clusters), asked={**asked, "cluster": each}) for each in wanted]
    for scope in scopes:
        _check_range(scope)
    return [Teller(scope, lake=lake) for scope in scopes]


def _check_range(scope: Scope) -> None:
    cluster = scope.cluster
    if scope.since > scope.until and {"since", "until"} <= set(scope.asked):
        raise UsageError(
            f"{cluster.day(scope.since)} is after {cluster.day(scope.until)}.",
            where="--since, --until",
            do="turn them round",
        )


def _unknown(kind: Kind, name: str, tellers: Sequence[Teller]) -> UsageError:
    """The error for a thing that no cluster has, with similar names."""
    near = [each for teller in tellers for each in (kind.near(teller.scope, name) if kind.near else ())]
    where = " or ".join(teller.scope.cluster.cluster_id for teller in tellers)
    noun = kind.name if kind.takes else "user"
    do = f"did you mean {' or '.join(each[:80] for each in near[:3])}?" if near else "check its name, and --cluster"
    shown = repr(name[:80]) + ("…" if len(name) > 80 else "")
    return UsageError(f"there is no {noun} {shown} in {where}.", where=f"gpulake report {kind.name}", do=do)


def _everything(publication: Reader, config: Config) -> Report:
    from gpulake import incidents
    from gpulake.lake import open_operations
    from gpulake.reading import report as reports
    from gpulake.telling.sections import further_reads

    with open_operations(config.lake) as operations:
        needs = incidents.listed(operations, config=config).needs()
    return reports.read(publication, further=further_reads(), needs=needs)


def _lines(kind: Kind, told: Sequence[tuple[Teller, Any]], *, name: str, whole: Report | None) -> list[Line]:
    from gpulake.telling import terminal

    lines: list[Line] = []
    for teller, found in told:
        before, after = _sections(whole, teller.scope.cluster.cluster_id)
        lines += [(), ()] if lines else []
        lines += terminal.told(kind, found, teller, name=name, before=before, after=after)
    return lines


def _sections(whole: Report | None, cluster_id: str) -> tuple[Sequence[Line], Sequence[Line]]:
    """What sections tell of a cluster's whole window, before and after where its GPU-hours went."""
    cluster = next((each for each in whole.clusters if each.cluster_id == cluster_id), None) if whole else None
    if cluster is None:
        return (), ()
    from gpulake.telling.reports.fleet import sections_after, sections_before

    return sections_before(cluster), sections_after(cluster)


def _nothing(publication: Reader) -> list[Line]:
    from gpulake.telling.lines import line

    build = f"build {publication.build_id}, published {publication.published_at:%Y-%m-%d %H:%M} UTC"
    return [
        line(f"gpulake report   {build}"),
        (),
        line("Nothing has landed yet."),
        line("    gpulake refresh --data DIR"),
    ]


def _as_json(
    kind: Kind, publication: Reader, told: Sequence[tuple[Teller, Any]], *, whole: Report | None
) -> dict[str, object]:
    told_whole = {each.cluster_id: asdict(each) for each in whole.clusters} if whole else {}
    clusters = []
    for teller, found in told:
        scope = teller.scope
        clusters.append({
            **told_whole.get(scope.cluster.cluster_id, {}),
            "cluster_id": scope.cluster.cluster_id,
            "since": scope.since if scope.cluster.first_day or "since" in scope.asked else None,
            "until": scope.until if scope.cluster.last_day or "until" in scope.asked else None,
            "sentence": kind.sentence(found, teller),
            "told": asdict(found),
        })  # fmt: skip
    return {
        "report": kind.name,
        "build_id": publication.build_id,
        "published_at": publication.published_at,
        "clusters": clusters,
        "error": None,
    }


def _put(lines: Sequence[Line]) -> None:
    from gpulake.telling.ink import inks, written

    with edge.standard_output() as stream:
        ink = inks(os.environ, is_terminal=stream.isatty())
        stream.write(written(lines, inks=ink, encoding=stream.encoding or "utf-8"))


def _drawn(report: Report | None, *, png: Path | None, waterfall: Path | None) -> dict[Path, str]:
    """Draw what is asked for; what was written."""
    drawn = {}
    if png is not None and report is not None:
        from gpulake.telling.drawings import write_days

        with edge.whole_file(png) as unfinished:
            write_days(report, unfinished)
        drawn[png] = "the days"
    if waterfall is not None and report is not None:
        from gpulake.telling.drawings import write_waterfall

        with edge.whole_file(waterfall) as unfinished:
            write_waterfall(report, unfinished)
        drawn[waterfall] = "where the GPU-hours went"
    return drawn


def _write_pages(config: Config, addresses: Sequence[str], file: Path) -> None:
    from gpulake.serve.alone import write_pages

    with edge.whole_file(file) as unfinished:
        write_pages(config, addresses=addresses, file=unfinished)
