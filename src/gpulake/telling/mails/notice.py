"""A notice as a person reads it: what, where, since when, expected and seen, who is hit, what to do, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gpulake.alert import Notice, Told
from gpulake.findings import Finding
from gpulake.notifiers import Message
from gpulake.telling.mails.layout import (
    CALM,
    COLOURS,
    INK,
    SOFT,
    Clock,
    Clocks,
    amount,
    badge,
    beginning,
    facts_table,
    heading,
    lasted,
    moment,
    page,
    paragraph,
    title_of,
    urgency,
    where,
)
from gpulake.telling.words import counted, gpu_hours

_PREFIX = {
    Told.OPENED: "",
    Told.WORSE: "Worse: ",
    Told.REMINDED: "Still: ",
    Told.ACKNOWLEDGED: "Taken: ",
    Told.RESOLVED: "Over: ",
}
MOST_NAMES = 8
"""So many machines or jobs are named; the rest are counted."""


def message_of(notice: Notice, *, notice_id: str, clocks: Clocks) -> Message:
    """The notice laid out for every kind of channel."""
    finding = notice.finding
    clock = clocks.get(finding.cluster_id, Clock())
    facts = _facts(notice, clock)
    subject = _subject(notice)
    lead = finding.message or title_of(finding)
    if notice.told is Told.RESOLVED:
        lead = f"It is over. It was so: {lead}"
    rest = _rest(notice)
    foot = [
        f"Incident {notice.group}, rule {finding.rule}, told to {notice.audience}.",
        f"gpulake alerts ack {notice.group} · gpulake alerts silence {notice.group} --for 1d",
        f"Notice {notice_id}",
    ]
    colour = CALM if notice.told is Told.RESOLVED else COLOURS[notice.severity]
    label = "over" if notice.told is Told.RESOLVED else f"look {urgency(notice.severity)}"
    body = [
        badge(label, colour),
        f'<h1 style="margin:10px 0 0;font-size:20px;line-height:1.3;color:{INK}">{escape(subject)}</h1>',
        paragraph(lead),
        facts_table(facts),
        *([heading("Told together with it"), *(paragraph(line, size=14, colour=SOFT, above=4) for line in rest)] if rest else []),
    ]  # fmt: skip
    wide = max(len(name) for name, _ in facts)
    lines = [lead, "", *(f"{name.ljust(wide)}  {text}" for name, text in facts)]
    if rest:
        lines += ["", "Told together with it", *(f"  {line}" for line in rest)]
    return Message(
        notice_id=notice_id,
        dedup_key=notice.group,
        told=str(notice.told),
        severity=str(notice.severity),
        subject=subject,
        text="\n".join([*lines, "", *foot]),
        html=page(subject, accent=colour, body=body, foot=foot),
        link=finding.link,
        cluster_id=finding.cluster_id,
        rule=finding.rule,
        at=notice.at.isoformat(),
        facts=tuple(facts),
    )


def _subject(notice: Notice) -> str:
    finding = notice.finding
    more = sum(count for _, count in notice.counts) - 1
    cluster = f"{finding.cluster_id}: " if finding.cluster_id and finding.cluster_id not in finding.title else ""
    return _PREFIX[notice.told] + cluster + title_of(finding) + (f" (and {more:,} more)" if more > 0 else "")


def _facts(notice: Notice, clock: Clock) -> list[tuple[str, str]]:
    finding = notice.finding
    began = finding.since or notice.opened_at
    until = "" if notice.told is Told.RESOLVED else f", for {lasted(began, max(finding.at, notice.at))}"
    facts = [("where", where(finding)), ("since", beginning(began, clock) + until)]
    if finding.value is not None:
        facts.append(("seen", amount(finding.value, finding.unit)))
    if finding.expected is not None:
        facts.append(("expected", amount(finding.expected, finding.unit)))
    if hit := hit_words(finding):
        facts.append(("hit", hit))
    if notice.told is Told.ACKNOWLEDGED:
        facts.append(("taken by", notice.by))
    elif notice.told is Told.RESOLVED:
        facts.append(("over", moment(notice.at, clock) + (f", said by {notice.by}" if notice.by else "")))
    elif finding.do:
        facts.append(("do", finding.do))
    if notice.note:
        facts.append(("note", notice.note))
    if finding.link:
        facts.append(("page", finding.link))
    return facts


def hit_words(finding: Finding) -> str:
    """Whom it concerns: machines and jobs by name, GPU-hours."""
    machines = ["every machine"] if "*" in finding.machines else _named(finding.machines, "machine")
    gpu_h = [gpu_hours(finding.gpu_h)] if finding.gpu_h is not None else []
    return "; ".join([*machines, *_named(finding.jobs, "job"), *gpu_h])


def _named(names: Sequence[str], noun: str) -> list[str]:
    if not names:
        return []
    if len(names) == 1:
        return [f"{noun} {names[0]}"]
    more = ", …" if len(names) > MOST_NAMES else ""
    return [f"{counted(len(names), noun)} ({', '.join(names[:MOST_NAMES])}{more})"]


def _rest(notice: Notice) -> list[str]:
    """What else is told with it, by rule and then by name."""
    more = sum(count for _, count in notice.counts) - 1
    if more <= 0:
        return []
    counts = ", ".join(f"{count:,} × {rule}" for rule, count in sorted(notice.counts, key=lambda each: -each[1]))
    named = [f"{title_of(part)} ({where(part)})" for part in notice.parts]
    left = more - len(named)
    return [f"in all: {counts}", *named, *([f"and {left:,} more: gpulake alerts show {notice.group}"] if left else [])]
