"""Commands about incidents: alerts list, show, ack, silence, resolve, send, digest.

`ack`, `silence` and `resolve` only write a request; whoever writes the lake next does it. So they never wait for a refresh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulake.cli import edge
from gpulake.errors import UsageError

if TYPE_CHECKING:
    from gpulake.alert import Incident, Kind
    from gpulake.config import Config
    from gpulake.incidents import Listed, Shown, Told
    from gpulake.meta import Asked
    from gpulake.telling.mails.digest import Entry

alerts = typer.Typer(help="See what is open, take it in hand, silence it, close it; send what waits.")

NameArgument = Annotated[str, typer.Argument(metavar="ID", help="An incident, by the beginning of its name.")]
ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who asks. [default: the user's login]")]
NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; people will read it.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(alerts, name="alerts")


@alerts.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """List what is open, the most urgent first, and what has been asked of it."""
    from gpulake import incidents

    config = edge.config_of(lake)
    with _newest(config) as view:
        found = incidents.listed(view, config=config, with_resolved=everything)
    if as_json:
        edge.put_json(found.as_json())
    else:
        edge.put("\n".join(_list_lines(found, everything=everything)))


@alerts.command()
def show(name: NameArgument, lake: edge.LakeOption = None, as_json: edge.JsonOption = False) -> None:
    """Tell the life of one incident: what, since when, what happened, what was sent to whom."""
    from gpulake import incidents

    config = edge.config_of(lake)
    with _newest(config) as view:
        found = incidents.shown(view, name, config=config)
    if as_json:
        edge.put_json(found.as_json())
    else:
        edge.put("\n".join(_show_lines(found)))


@alerts.command()
def ack(
    name: NameArgument,
    by: ByOption = None,
    note: NoteOption = "",
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Say that you have it in hand: no reminders until it is over."""
    from gpulake.alert import Kind

    _ask(Kind.ACKNOWLEDGE, name, by=by, note=note, lake=lake, as_json=as_json)


@alerts.command()
def silence(
    name: NameArgument,
    lasting: Annotated[str, typer.Option("--for", metavar="TIME", help="How long, as 30m, 4h or 7d.")] = "1d",
    by: ByOption = None,
    note: NoteOption = "",
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Say nothing of it for a time; what is still so then is told."""
    from gpulake.alert import Kind

    _ask(Kind.SILENCE, name, by=by, note=note, lake=lake, as_json=as_json, lasting=_length(lasting))


@alerts.command()
def resolve(
    name: NameArgument,
    by: ByOption = None,
    note: NoteOption = "",
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Call it over. It opens again if the next hour or day that is judged shows it again."""
    from gpulake.alert import Kind

    _ask(Kind.RESOLVE, name, by=by, note=note, lake=lake, as_json=as_json)


@alerts.command()
def send(lake: edge.LakeOption = None, wait_s: edge.WaitOption = 0.0, as_json: edge.JsonOption = False) -> None:
    """Do what people have asked, and send what waits: what a refresh does at its end, without a refresh."""
    from gpulake import clock, incidents
    from gpulake import lake as lakes

    config = edge.config_of(lake)
    with lakes.writing(config.lake, purpose="alerts send", wait_s=wait_s, make=False) as writer:
        told = incidents.tell(writer, (), config=config, now=clock.now())
    if as_json:
        edge.put_json(told.as_json())
    else:
        edge.put(told_words(told))


@alerts.command()
def judge(lake: edge.LakeOption = None, wait_s: edge.WaitOption = 60.0, as_json: edge.JsonOption = False) -> None:
    """Judge the publication by the rules, and tell whom it concerns: what a refresh does last."""
    from gpulake import pipeline

    with edge.Screen().closing() as screen:
        result = pipeline.alert(edge.config_of(lake), wait_s=wait_s, progress=screen.step)
    edge.answer(result, as_json=as_json)


@alerts.command()
def digest(
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page instead.")] = None,
    lake: edge.LakeOption = None,
) -> None:
    """Print the digest of now, as it is mailed once a day where the settings say to whom."""
    from gpulake import clock, incidents

    config = edge.config_of(lake)
    with _newest(config) as view:
        message = incidents.digest(view, config=config, now=clock.now())
    if html is None:
        edge.put(message.text)
        return
    with edge.whole_file(html) as unfinished:
        unfinished.write_text(message.html, encoding="utf-8")
    edge.put(f"{html}  {message.subject}")


def told_words(told: Told) -> str:
    """What a run has told, in a line or two."""
    from gpulake.telling.words import counted

    done = [f"{told.sent:,} sent", f"{told.queued:,} waiting", f"{told.failed:,} failed"]
    if told.shadowed:
        done.append(f"{told.shadowed:,} recorded and not sent (shadow mode)")
    lines = [
        f"incidents: {told.opened:,} opened, {told.resolved:,} resolved, {told.open_now:,} open; notices: {', '.join(done)}"
    ]
    if told.requests:
        lines.append(f"did what was asked: {counted(told.requests, 'request')}")
    lines += [f"channel {name} does not work: gpulake alerts list" for name in told.channels_failed]
    return "\n".join(lines)


# --- asking ----------------------------------------------------------------------------------------------------------


def _ask(
    kind: Kind,
    name: str,
    *,
    by: str | None,
    note: str,
    lake: Path | None,
    as_json: bool,
    lasting: timedelta | None = None,
) -> None:
    from gpulake import clock, incidents

    config = edge.config_of(lake)
    with _newest(config) as view:
        incident = incidents.shown(view, name, config=config).incident
    if not incident.is_open:
        raise UsageError(
            f"incident {incident.incident_id} is over.", where=str(config.lake), do="see: gpulake alerts list"
        )
    at = clock.now()
    request = incidents.ask(
        config, kind, incident.incident_id, by=by or _login(), at=at, until=at + lasting if lasting else None, note=note
    )
    if as_json:
        edge.put_json(
            {
                "request_id": request.request_id,
                "kind": str(kind),
                "incident_id": incident.incident_id,
                "until": request.until,
                "state": "queued",
                "error": None,
            }
        )
        return
    until = f" until {request.until:%Y-%m-%d %H:%M} UTC" if request.until else ""
    edge.put(
        f"queued: {kind} {incident.incident_id}{until}, by {request.by}. The next refresh does it; at once: gpulake alerts send"
    )


@contextmanager
def _newest(config: Config) -> Iterator[Asked]:
    from gpulake import lake as lakes

    with lakes.open_newest(config.lake) as view:
        if view is None:
            raise lakes.Layout(config.lake).no_lake()
        yield view


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in many containers
        return "somebody"


def _length(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,4})(m|h|d)", text)
    if found is None or not int(found[1]):
        raise UsageError(f"{text!r} is no length of time.", where="--for", do="write it as 30m, 4h or 7d")
    return timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[found[2]]: int(found[1])})


# --- in words --------------------------------------------------------------------------------------------------------


def _list_lines(found: Listed, *, everything: bool) -> Iterator[str]:
    from gpulake.telling.text import text_table
    from gpulake.telling.words import counted

    if not found.entries:
        yield "nothing is open" if not everything else "nothing has ever been open"
    else:
        rows = [_row(entry, found) for entry in found.entries]
        yield from text_table(["id", "urgency", "state", "since", "told to", "what"], rows, right=set())
    if found.waiting_notices:
        yield f"{counted(found.waiting_notices, 'notice')} waiting to be sent: gpulake alerts send"


def _row(entry: Entry, found: Listed) -> list[str]:
    from gpulake.incidents import state_of
    from gpulake.telling.mails.layout import title_of

    incident = entry.incident
    asked = [f"{request.kind} queued" for request in found.of(incident)]
    more = f" (+{entry.size - 1:,})" if entry.size > 1 else ""
    return [
        incident.group[:8],
        str(incident.finding.severity),
        ", ".join([state_of(incident), *asked]),
        _beginning(incident, found),
        incident.finding.audience,
        title_of(incident.finding) + more,
    ]


def _moment(at: datetime, incident: Incident, found: Listed | Shown) -> str:
    from gpulake.telling.mails.layout import Clock, moment

    return moment(at, found.clocks.get(incident.finding.cluster_id, Clock()))


def _beginning(incident: Incident, found: Listed | Shown) -> str:
    from gpulake.telling.mails.layout import Clock, beginning

    at = incident.finding.since or incident.opened_at
    return beginning(at, found.clocks.get(incident.finding.cluster_id, Clock()))


def _show_lines(found: Shown) -> Iterator[str]:
    from gpulake.incidents import state_of
    from gpulake.telling.mails.layout import amount, title_of, where
    from gpulake.telling.mails.notice import hit_words

    incident, finding = found.incident, found.incident.finding
    yield title_of(finding)
    if finding.message:
        yield f"  {finding.message}"
    facts = [
        ("incident", incident.incident_id),
        ("state", state_of(incident) + (f", by {incident.acknowledged_by}" if incident.acknowledged_by else "")),
        ("urgency", f"{finding.severity}, told to {finding.audience} (rule {finding.rule})"),
        ("told with", "" if incident.is_leader else f"{incident.group}: take that one in hand"),
        ("where", where(finding)),
        ("since", _beginning(incident, found)),
        ("judged to", _moment(incident.last_at, incident, found)),
        ("seen", "" if finding.value is None else amount(finding.value, finding.unit)),
        ("expected", "" if finding.expected is None else amount(finding.expected, finding.unit)),
        ("hit", hit_words(finding)),
        ("do", finding.do),
        ("page", finding.link),
        ("silenced", f"until {incident.silenced_until:%Y-%m-%d %H:%M} UTC" if incident.silenced_until else ""),
        ("not told", _why_not_told(incident)),
        *(("asked", f"{request.kind} by {request.by}, queued") for request in found.queued),
    ]
    yield from (f"  {name:<9} {text}" for name, text in facts if text)
    yield "what happened"
    for event in found.events:
        words = [str(event.kind), *([f"by {event.by}"] if event.by else []), *([event.note] if event.note else [])]
        told = f" · told: {event.told}" if event.told else ""
        yield f"  {_moment(event.at, incident, found)}  {' '.join(words)}{told}"
    if found.members:
        yield f"together with it ({len(found.members):,})"
        yield from (
            f"  {each.incident_id[:8]}  {state_of(each)}  {title_of(each.finding)}" for each in found.members[:20]
        )
        if len(found.members) > 20:
            yield f"  and {len(found.members) - 20:,} more: --json has them all"
    if found.notices:
        yield "notices"
        for notice in found.notices:
            reply = " ".join(str(notice[name]) for name in ("reply_code", "reply") if notice[name] is not None)
            yield f"  {notice['happened_at']:%Y-%m-%d %H:%M} UTC  {notice['channel']}  {notice['told']}: {notice['state']} {reply}".rstrip()


def _why_not_told(incident: Incident) -> str:
    if incident.is_flapping:
        return "it comes and goes: told again when it has been calm for a day"
    return {"first": "it was so when its cluster was first judged", "old": "it lies more than two days back"}.get(
        incident.history or "", ""
    )
