"""The daily digest: what is open, what began and ended since the last one, in one page that can be read over a coffee."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape

from gpulake.alert import Incident
from gpulake.alert.policy import Maintenance
from gpulake.findings import Severity
from gpulake.notifiers import Message
from gpulake.telling.mails.layout import (
    CALM,
    COLOURS,
    HAIR,
    INK,
    SOFT,
    Clock,
    Clocks,
    amount,
    badge,
    beginning,
    heading,
    lasted,
    moment,
    page,
    paragraph,
    title_of,
    where,
)
from gpulake.telling.words import counted, gpu_hours

MOST_ROWS = 12
"""So many of each kind are listed; the rest are counted."""


@dataclass(frozen=True)
class Entry:
    """One group of incidents in the digest: the worst of it, how many there are, and what is so of them."""

    incident: Incident
    size: int = 1
    gpu_h: float | None = None


@dataclass(frozen=True)
class Digest:
    """What a digest tells. `gpu_h` is what the open ones concern, each of them counted by its largest figure."""

    day: date
    made_at: datetime
    since: datetime | None
    still_open: tuple[Entry, ...]
    opened: tuple[Entry, ...]
    resolved: tuple[Entry, ...]
    gpu_h: float | None = None
    failed_channels: tuple[str, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    is_shadow: bool = False


def message_of(digest: Digest, *, notice_id: str, clocks: Clocks) -> Message:
    """The digest laid out in text and HTML."""
    headline = _headline(digest)
    subject = f"gpulake, {digest.day:%A %d %B}: {headline}"
    worst = digest.still_open[0].incident.finding.severity if digest.still_open else None
    new = frozenset(entry.incident.incident_id for entry in digest.opened)
    parts = [_Part("Open", digest.still_open, new), _Part("Over since the last digest", digest.resolved, is_over=True)]
    shown = [part for part in parts if part.entries]
    lead = _lead(digest)
    foot = [
        "Look at one: gpulake alerts show ID. Take it: gpulake alerts ack ID.",
        f"Made {digest.made_at:%Y-%m-%d %H:%M} UTC"
        + (f"; the last one was made {digest.since:%Y-%m-%d %H:%M} UTC." if digest.since else "; it is the first."),
    ]
    notes = _notes(digest, clocks)
    body = [
        f'<p style="margin:0;font-size:13px;color:{SOFT}">{digest.day:%A, %d %B %Y}</p>',
        f'<h1 style="margin:4px 0 0;font-size:22px;line-height:1.25;color:{INK}">{escape(headline.capitalize())}</h1>',
        paragraph(lead, above=10),
        *(paragraph(note, size=14, colour=SOFT) for note in notes),
        *(line for part in shown for line in _html_part(part, clocks)),
    ]
    text = [headline.capitalize(), "", lead, *notes]
    for part in shown:
        text += ["", f"{part.title} ({len(part.entries):,})", *_text_part(part, clocks)]
    return Message(
        notice_id=notice_id,
        dedup_key=notice_id,
        told="digest",
        severity=str(worst or Severity.INFO),
        subject=subject,
        text="\n".join([*text, "", *foot]),
        html=page(subject, accent=COLOURS[worst] if worst else CALM, body=body, foot=foot),
        at=digest.made_at.isoformat(),
    )


@dataclass(frozen=True)
class _Part:
    title: str
    entries: Sequence[Entry]
    new: frozenset[str] = frozenset()
    is_over: bool = False

    def is_new(self, entry: Entry) -> bool:
        """Whether it began since the last digest."""
        return entry.incident.incident_id in self.new


def _headline(digest: Digest) -> str:
    if not digest.still_open:
        return "all is calm"
    now = sum(entry.incident.finding.severity is Severity.PAGE for entry in digest.still_open)
    words = f"{counted(len(digest.still_open), 'thing')} open"
    return words + (f", {now:,} of them urgent" if now else "")


def _lead(digest: Digest) -> str:
    """The state of things in two sentences."""
    if not digest.still_open and not digest.opened and not digest.resolved:
        return "Nothing is open, and nothing began or ended since the last digest. Nobody needs to do anything."
    words = [f"Since the last digest {len(digest.opened):,} began and {len(digest.resolved):,} ended."]
    if not digest.still_open:
        return f"{words[0]} Nothing is open any more."
    if digest.gpu_h is not None:
        words.append(f"What is open concerns up to {gpu_hours(digest.gpu_h)}.")
    names = sorted({entry.incident.acknowledged_by for entry in digest.still_open} - {""})
    if len(digest.still_open) > sum(bool(entry.incident.acknowledged_by) for entry in digest.still_open):
        free = sum(not entry.incident.acknowledged_by for entry in digest.still_open)
        words.append(
            f"{'Nobody has taken' if not names else 'Still to be taken:'} {free:,}{' yet' if not names else ''}."
        )
    else:
        words.append(f"All of it is in hand: {', '.join(names)}.")
    return " ".join(words)


def _notes(digest: Digest, clocks: Clocks) -> list[str]:
    notes = [
        f"In maintenance: {window.cluster_id} until {moment(window.until, clocks.get(window.cluster_id, Clock()))} ({window.why})."
        for window in digest.maintenance
    ]
    if digest.failed_channels:
        notes.append(f"Not working, so nobody is told there: channel {', '.join(digest.failed_channels)}.")
    if digest.is_shadow:
        notes.append("Shadow mode: everything is recorded, and nothing is sent.")
    return notes


def _state(entry: Entry) -> str:
    incident = entry.incident
    if incident.silenced_until is not None and incident.is_open:
        return f"silenced until {incident.silenced_until:%Y-%m-%d %H:%M} UTC"
    if incident.acknowledged_by:
        return f"taken by {incident.acknowledged_by}"
    return "not told: it began before the first judgement" if incident.history else ""


def _details(entry: Entry, clocks: Clocks, *, is_over: bool) -> str:
    incident = entry.incident
    finding, clock = incident.finding, clocks.get(incident.finding.cluster_id, Clock())
    began = finding.since or incident.opened_at
    end = incident.resolved_at or incident.last_at
    parts = [where(finding)]
    if is_over:
        parts.append(f"lasted {lasted(began, end)}")
    else:
        parts.append(f"since {beginning(began, clock)}")
    if finding.value is not None and finding.expected is not None:
        parts.append(f"{amount(finding.value, finding.unit)}, expected {amount(finding.expected, finding.unit)}")
    elif finding.value is not None:
        parts.append(amount(finding.value, finding.unit))
    if entry.gpu_h is not None and finding.unit not in {"GPU-h", "gpu_h"}:
        parts.append(gpu_hours(entry.gpu_h))
    if state := _state(entry):
        parts.append(state)
    return " · ".join(parts)


def _title(entry: Entry) -> str:
    return title_of(entry.incident.finding) + (f" and {entry.size - 1:,} more" if entry.size > 1 else "")


def _html_part(part: _Part, clocks: Clocks) -> list[str]:
    rows = []
    for entry in part.entries[:MOST_ROWS]:
        finding = entry.incident.finding
        colour = CALM if part.is_over else COLOURS[finding.severity]
        label = "over" if part.is_over else str(finding.severity)
        name = escape(_title(entry))
        if finding.link.startswith(("https://", "http://")):
            name = f'<a href="{escape(finding.link)}" style="color:{INK}">{name}</a>'
        new = (
            f'&nbsp; <span style="font-size:12px;font-weight:600;color:{COLOURS[Severity.INFO]}">new</span>'
            * part.is_new(entry)
        )
        do = (
            f'<div style="margin-top:3px;font-size:13px;line-height:1.45;color:{INK}">→ {escape(finding.do)}</div>'
            if finding.do and not part.is_over
            else ""
        )
        rows.append(
            f'<tr><td style="padding:11px 12px 11px 0;border-top:1px solid {HAIR};vertical-align:top;width:58px">{badge(label, colour)}</td>'
            f'<td style="padding:10px 0 11px;border-top:1px solid {HAIR};vertical-align:top">'
            f'<div style="font-size:15px;line-height:1.35;font-weight:600;color:{INK}">{name}{new}</div>'
            f'<div style="margin-top:2px;font-size:13px;line-height:1.45;color:{SOFT}">{escape(_details(entry, clocks, is_over=part.is_over))}</div>{do}</td>'
            f'<td align="right" style="padding:13px 0 11px 12px;border-top:1px solid {HAIR};vertical-align:top;width:1%;font:12px ui-monospace,Menlo,Consolas,monospace;color:{SOFT}">{escape(entry.incident.group[:6])}</td></tr>'
        )
    more = len(part.entries) - MOST_ROWS
    table = (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="margin-top:6px;border-collapse:collapse">'
        + "".join(rows)
        + "</table>"
    )
    return [
        heading(part.title, len(part.entries)),
        table,
        *([paragraph(f"and {more:,} more: gpulake alerts list", size=13, colour=SOFT)] if more > 0 else []),
    ]


def _text_part(part: _Part, clocks: Clocks) -> list[str]:
    lines = []
    for entry in part.entries[:MOST_ROWS]:
        finding = entry.incident.finding
        lines.append(
            f"  [{'over' if part.is_over else finding.severity}] {_title(entry)}{', new' * part.is_new(entry)}  ({entry.incident.group[:6]})"
        )
        lines.append(f"      {_details(entry, clocks, is_over=part.is_over)}")
        if finding.do and not part.is_over:
            lines.append(f"      → {finding.do}")
    more = len(part.entries) - MOST_ROWS
    return [*lines, *([f"  and {more:,} more: gpulake alerts list"] if more > 0 else [])]
