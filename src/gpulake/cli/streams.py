"""Commands for streams: stream lands one, replay tells one again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulake.cli import edge
from gpulake.errors import UsageError

if TYPE_CHECKING:
    from gpulake.config import Config
    from gpulake.contract import Source
    from gpulake.replay import Pace, Replayed
    from gpulake.stream import Streamed, Told
    from gpulake.transports import Address, Inlet, Outlet

SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="Whose tables the messages are: pai2020, or several as slurm,prometheus."),
]
TableOption = Annotated[list[str], typer.Option("--table", metavar="NAME", help="Only this table; may be repeated.")]
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="NAME", help="Whose events they are. [default: the source's name]")
]
PropertiesOption = Annotated[
    Path | None,
    typer.Option("--kafka-config", metavar="FILE", help="Settings of Kafka's client, as sasl.username=…, one a line."),
]


_LOOK_S = 0.5


def register(app: typer.Typer) -> None:
    """Add this group's commands, in the order that --help lists them."""
    app.command()(stream)
    app.command()(replay)


def stream(
    source: SourceArgument,
    address: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="kafka://HOST:PORT/NAME, or a folder of messages.")
    ] = "",
    table: TableOption = [],  # noqa: B006  # Typer copies it
    cluster: ClusterOption = None,
    group: Annotated[
        str, typer.Option(metavar="NAME", help="Consumers of one group share the partitions.")
    ] = "gpulake",
    batch_rows: Annotated[int, typer.Option(min=1, metavar="N", help="Land at the latest when so many wait.")] = 10_000,
    batch_seconds: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="Land so long after the first message at the latest.")
    ] = 10.0,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait so long for a stream that is not there yet.")
    ] = 0.0,
    once: Annotated[bool, typer.Option("--once", help="Land what is there, and end.")] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Go on where a topic was made anew, or has lost what had not landed.")
    ] = False,
    audit: Annotated[bool, typer.Option("--audit", help="Land nothing: account for every message that has.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print what a message of each table is, as JSON Schema.")
    ] = False,
    properties: PropertiesOption = None,
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Land messages as they come, each exactly once, until it is told to end (Ctrl-C or SIGTERM)."""
    owners = _sources(source)
    if schema:
        _print_schemas(owners, table)
        return
    if audit:
        _audit(lake, as_json=as_json)
        return
    from gpulake import stream as streams
    from gpulake.config import check_cluster_name
    from gpulake.telling.words import counted
    from gpulake.transports import address as read_address

    if cluster is not None:
        check_cluster_name(cluster, where="--cluster")
    where = read_address(address)
    topics = streams.topics_of(where, owners, table)
    config = edge.config_of(lake)
    with edge.Screen().closing() as screen, edge.told_to_end() as ended:
        consumer = streams.Consumer(
            config,
            _awaited(
                lambda: _inlet(where, list(topics), group=group, properties=properties),
                wait_s=wait_s,
                ended=ended,
                tell=screen.say,
            ),
            topics,
            cluster=cluster,
            batch=streams.Batch(messages=batch_rows, seconds=batch_seconds),
            anew=anew,
            tell=screen.say,
        )

        def stopping() -> bool:
            done = consumer.done
            behind = "" if done.lag is None else f", {done.lag:,} behind"
            screen.live(f"{counted(done.messages, 'message')} landed in {counted(done.batches, 'transaction')}{behind}")
            return ended()

        done = consumer.run(stopping=stopping, once=once)
    if as_json:
        edge.put_json(done.as_json())
    else:
        edge.put("\n".join(_lines(done)))


def replay(
    source: SourceArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="ADDRESS", help="kafka://HOST:PORT/NAME, a folder, or queue: landed at once, in memory."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Its files. [default: what has landed in the lake]")
    ] = None,
    table: TableOption = [],  # noqa: B006  # Typer copies it
    cluster: ClusterOption = None,
    speed: Annotated[str, typer.Option(metavar="FACTOR", help="As 100x, or max.")] = "max",
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The first event's time, or how long after the first there is, as 2d."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before when, likewise.")] = None,
    disorder: Annotated[str, typer.Option(metavar="LENGTH", help="Delay each event by up to so long, as 30s.")] = "0",
    late: Annotated[str, typer.Option(metavar="SHARE", help="Delay so many by up to --late-by more, as 1%.")] = "0%",
    late_by: Annotated[str, typer.Option(metavar="LENGTH", help="How late those are at most.")] = "6h",
    duplicates: Annotated[str, typer.Option(metavar="SHARE", help="Send so many twice, as 1%.")] = "0%",
    pause: Annotated[
        str, typer.Option(metavar="LENGTH=LENGTH", help="After so much of events send nothing for so long, as 1d=30s.")
    ] = "",
    partitions: Annotated[int, typer.Option(min=1, metavar="N", help="Of topics that are made.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same order.")] = 42,
    properties: PropertiesOption = None,
    lake: edge.LakeOption = None,
    dry_run: edge.DryRunOption = False,
    as_json: edge.JsonOption = False,
) -> None:
    """Send the events of a source as messages, in the order of their times, as fast as asked."""
    from gpulake import replay as replays
    from gpulake import stream as streams
    from gpulake.transports import address as read_address

    pace = _pace(speed, disorder, late, late_by, duplicates, pause, seed)
    owners, where, config = _sources(source), read_address(to), edge.config_of(lake)
    topics = streams.topics_of(where, owners, table)
    landed: Streamed | None = None
    with edge.Screen().closing() as screen, edge.told_to_end() as ended:
        events = replays.events_of(config, owners, data=data, cluster=cluster, tables=where.narrowed(table))
        outlet = _outlet(where, partitions=partitions, properties=properties)
        done = replays.replay(
            events,
            outlet,
            to=where,
            pace=pace,
            since=_bound(start, "--start"),
            until=_bound(until, "--until"),
            stopping=ended,
            progress=screen.step,
            dry_run=dry_run,
        )
        outlet.close()
        if where.kind == "queue" and not dry_run:
            landed = _land_queue(outlet, topics, config, cluster, screen)
    if as_json:
        edge.put_json({**done.as_json(), "landed": landed.as_json() if landed else None})
    else:
        edge.put("\n".join([*_sent(done), *(_lines(landed) if landed else ())]))


# ------------------------------------------------------------------------------------------------- what is typed


def _sources(text: str) -> tuple[Source, ...]:
    from gpulake.sources import all_sources

    found = {source.name: source for source in all_sources()}
    names = dict.fromkeys(name.strip() for name in text.split(","))
    for name in names:
        if name not in found:
            raise UsageError(f"there is no source {name!r}.", do=f"use: {', '.join(sorted(found))}")
    return tuple(found[name] for name in names)


def _share(text: str, where: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r} is no share.", where=where, do="give a percentage, as 1%")
    return share


def _length(text: str, where: str) -> float:
    from gpulake.collecting.periods import seconds

    if text in {"0", "0s"}:
        return 0.0
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no length of time.", where=where, do=str(error)) from error


def _bound(text: str | None, where: str) -> timedelta | datetime | None:
    from gpulake.collecting.periods import moment, seconds

    if text is None:
        return None
    try:
        return timedelta(seconds=seconds(text))
    except ValueError:
        pass
    try:
        return moment(text, now=datetime.min)  # noqa: DTZ901  # lengths, which count from now elsewhere, were read above
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no time.", where=where, do="give 2026-11-30T06:00Z, or 2d after the first"
        ) from error


def _pace(speed: str, disorder: str, late: str, late_by: str, duplicates: str, pause: str, seed: int) -> Pace:
    from gpulake.replay import Pace

    try:
        factor = 0.0 if speed == "max" else float(speed.removesuffix("x"))
    except ValueError:
        factor = -1.0
    if factor < 0 or factor == float("inf") or (factor == 0 and speed != "max"):
        raise UsageError(f"{speed!r} is no speed.", where="--speed", do="give 100x, or max")
    every, is_pause, length = pause.partition("=")
    if pause and not is_pause:
        raise UsageError(f"{pause!r} is no pause.", where="--pause", do="give 1d=30s: after each day, for 30 seconds")
    return Pace(
        speed=factor,
        disorder_s=_length(disorder, "--disorder"),
        duplicates=_share(duplicates, "--duplicates"),
        late=_share(late, "--late"),
        late_by_s=_length(late_by, "--late-by"),
        pause_every_s=_length(every, "--pause") if pause else 0.0,
        pause_s=_length(length, "--pause") if pause else 0.0,
        seed=seed,
    )


# ------------------------------------------------------------------------------------------------ transports


def _inlet(where: Address, topics: list[str], *, group: str, properties: Path | None) -> Inlet:
    match where.kind:
        case "kafka":
            from gpulake.transports.kafka import KafkaInlet, read_properties

            return KafkaInlet(where.where, topics, group=group, properties=read_properties(properties))
        case "folder":
            from gpulake.transports.spool import SpoolInlet

            return SpoolInlet(Path(where.where), topics)
        case _:
            raise UsageError(
                "a queue in memory has nobody who fills it here.",
                where="--from",
                do="use: gpulake replay SOURCE --to queue",
            )


def _awaited(
    made: Callable[[], Inlet], *, wait_s: float, ended: Callable[[], bool], tell: Callable[[str], None]
) -> Inlet:
    from gpulake.transports import NoStreamError

    until, is_told = time.monotonic() + wait_s, False
    while True:
        try:
            return made()
        except NoStreamError as error:
            if time.monotonic() >= until or ended():
                raise
            if not is_told:
                tell(f"{error.what} It is waited for")
            is_told = True
        time.sleep(_LOOK_S)


def _outlet(where: Address, *, partitions: int, properties: Path | None) -> Outlet:
    match where.kind:
        case "kafka":
            from gpulake.transports.kafka import KafkaOutlet, read_properties

            return KafkaOutlet(where.where, partitions=partitions, properties=read_properties(properties))
        case "folder":
            from gpulake.transports.spool import SpoolOutlet

            return SpoolOutlet(Path(where.where), partitions=partitions)
        case _:
            from uuid import uuid4

            from gpulake.transports.memory import Queue

            return Queue(partitions=partitions, stream=f"queue {uuid4().hex[:12]}")


# -------------------------------------------------------------------------------------------------- answers


def _lines(done: Streamed) -> Iterator[str]:
    from gpulake.telling.words import counted

    yield (
        f"{counted(done.messages, 'message')} landed in {counted(done.batches, 'transaction')}: "
        f"{done.rows_kept:,} kept, {done.rows_refused:,} refused"
        + (" (gpulake quarantine)" if done.rows_refused else "")
    )
    if done.watermark:
        yield f"the latest event: {done.watermark:%Y-%m-%d %H:%M:%S} UTC"
    if done.messages:
        yield "next: gpulake build"


def _sent(done: Replayed) -> Iterator[str]:
    from gpulake.telling.words import counted

    said = "would be sent" if done.dry_run else "sent"
    yield f"{counted(sum(done.topics.values()), 'message')} of {counted(done.events, 'event')} {said} in {done.seconds:.1f} s"
    for topic, messages in sorted(done.topics.items()):
        yield f"  {topic}: {messages:,}"


def _print_schemas(sources: Sequence[Source], tables: list[str]) -> None:
    from gpulake.landing import json_schema
    from gpulake.stream import topics_of
    from gpulake.transports import Address

    told = topics_of(Address("folder", "", "events"), sources, tables)
    edge.put_json([json_schema(each.source, each.table) for each in told.values()])


def _audit(lake: Path | None, *, as_json: bool) -> None:
    from dataclasses import asdict

    from gpulake.errors import LakeError
    from gpulake.lake import open_newest
    from gpulake.stream import audit
    from gpulake.telling.text import text_table

    with open_newest(edge.config_of(lake).lake) as view:
        found = audit(view) if view else ()
    broken = [each for each in found if not each.closes]
    error = (
        LakeError(f"{len(broken)} of {len(found)} topics are not accounted for: {broken[0].topic}.", do="report it")
        if broken
        else None
    )
    if as_json:
        edge.put_json(
            {
                "topics": [{**asdict(each), "closes": each.closes} for each in found],
                "error": error.as_json() if error else None,
            }
        )
    else:
        table = text_table(
            ["topic", "messages", "landed", "duplicates", "quarantined", "lost", "closes"],
            [
                [each.topic, *(f"{n:,}" for n in (each.messages, each.landed, each.duplicates, each.quarantined, each.lost)),
                 "yes" if each.closes else "NO"]
                for each in found
            ],
            right={1, 2, 3, 4, 5},
        )  # fmt: skip
        edge.put("\n".join(table) if found else "no stream has landed here")
        if error:
            edge.tell_error(error)
    if error:
        raise typer.Exit(error.exit_code)


def _land_queue(
    outlet: Outlet, topics: Mapping[str, Told], config: Config, cluster: str | None, screen: edge.Screen
) -> Streamed:
    """A queue in memory is landed by whoever filled it."""
    from gpulake import stream as streams
    from gpulake.transports.memory import Queue

    assert isinstance(outlet, Queue)
    consumer = streams.Consumer(config, outlet.consumer(list(topics)), topics, cluster=cluster, tell=screen.say)
    return consumer.run(stopping=lambda: False, once=True)
