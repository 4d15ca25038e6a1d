"""The look of our mails: a table layout with inline style, which is what mail programs show, and words that both mails share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from gpulake.findings import Finding, Severity
from gpulake.reading.report import day_label, day_name

INK, SOFT, HAIR, PAPER, GROUND = "#1c2733", "#5b6876", "#d5dbe1", "#ffffff", "#f1f4f7"
COLOURS = {Severity.PAGE: "#c0392b", Severity.TICKET: "#b45309", Severity.INFO: "#0072b2"}
CALM = "#2e7d4f"
FONT = "-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_WORDS = {Severity.PAGE: "now", Severity.TICKET: "this working day", Severity.INFO: "when you can"}


@dataclass(frozen=True)
class Clock:
    """How a cluster's time is shown: its zone, and what its stamps mean."""

    time_zone: str = "UTC"
    time_basis: str = "real"
    has_weekdays: bool = True


Clocks = Mapping[str, Clock]


def moment(at: datetime, clock: Clock) -> str:
    """As people of the cluster say it; the end of a day belongs to that day."""
    local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(clock.time_zone))
    is_midnight = (local.hour, local.minute) == (0, 0)
    day = (local - timedelta(days=1)).date() if is_midnight else local.date()
    hour = "24:00" if is_midnight else f"{local:%H:%M}"
    name = (day_name if clock.has_weekdays else day_label)(day, clock.time_basis)
    return f"{name}, {hour}" + (" UTC" if clock.time_zone == "UTC" else "")


def beginning(at: datetime, clock: Clock) -> str:
    """The same of a time since when something is so: midnight is the start of a day, and is left out."""
    local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(clock.time_zone))
    name = (day_name if clock.has_weekdays else day_label)(local.date(), clock.time_basis)
    return (
        name if (local.hour, local.minute) == (0, 0) else f"{name}, {local:%H:%M}" + " UTC" * (clock.time_zone == "UTC")
    )


def lasted(since: datetime, until: datetime) -> str:
    """How long, in the unit in which people count."""
    hours = (until - since).total_seconds() / 3600
    if hours < 1:
        return f"{max(1, round(hours * 60))} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def amount(value: float, unit: str) -> str:
    """A figure with its unit; digits as many as it needs to be told from its neighbours."""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    text = f"{value:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text} {unit}".rstrip()


def where(finding: Finding) -> str:
    """The thing, as its key says it: "pai2020, machine m1"."""
    parts = [
        value if name == "cluster_id" else f"{name.removesuffix('_id')} {value}"
        for name, value in finding.key
        if name != "address"
    ]
    return ", ".join(parts) or "the lake"


def title_of(finding: Finding) -> str:
    """What is wrong, in a few words."""
    return finding.title or finding.rule.replace("_", " ").capitalize()


def urgency(severity: Severity) -> str:
    """How soon a person should look."""
    return _WORDS[severity]


def badge(text: str, colour: str) -> str:
    """A small coloured label."""
    style = f"display:inline-block;padding:1px 9px;border-radius:10px;background:{colour};color:#ffffff;font-size:12px;line-height:18px;white-space:nowrap"
    return f'<span style="{style}">{escape(text)}</span>'


def paragraph(text: str, *, size: int = 15, colour: str = INK, above: int = 8) -> str:
    """A paragraph; the text is escaped."""
    return f'<p style="margin:{above}px 0 0;font-size:{size}px;line-height:1.5;color:{colour}">{escape(text)}</p>'


def heading(text: str, count: int | None = None) -> str:
    """What a part is about, and how much there is of it."""
    number = "" if count is None else f' <span style="color:{SOFT};font-weight:400">{count:,}</span>'
    return f'<h2 style="margin:28px 0 4px;font-size:16px;line-height:1.3;color:{INK}">{escape(text)}{number}</h2>'


def facts_table(facts: Iterable[tuple[str, str]]) -> str:
    """Names and texts, one below the other."""
    rows = "".join(
        f'<tr><td style="padding:5px 14px 5px 0;vertical-align:top;color:{SOFT};font-size:13px;white-space:nowrap">{escape(name)}</td>'
        f'<td style="padding:5px 0;vertical-align:top;font-size:14px;line-height:1.45;color:{INK};word-break:break-word">{_linked(text)}</td></tr>'
        for name, text in facts
    )
    return f'<table role="presentation" cellpadding="0" cellspacing="0" style="margin-top:14px;border-collapse:collapse">{rows}</table>'


def page(subject: str, *, accent: str, body: Sequence[str], foot: Sequence[str]) -> str:
    """The whole mail: one column of 640 pixels, a coloured edge on top, nothing fetched from anywhere."""
    footer = "".join(
        f'<p style="margin:4px 0 0;font-size:12px;line-height:1.5;color:{SOFT}">{_linked(line)}</p>' for line in foot
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light"><title>{escape(subject)}</title></head>
<body style="margin:0;padding:0;background:{GROUND};font-family:{FONT}">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:{GROUND}"><tr><td align="center" style="padding:24px 10px">
<table role="presentation" width="640" cellpadding="0" cellspacing="0" style="width:100%;max-width:640px;background:{PAPER};border:1px solid {HAIR};border-top:4px solid {accent};border-radius:6px">
<tr><td style="padding:22px 26px 26px">
{chr(10).join(body)}
</td></tr>
<tr><td style="padding:14px 26px 18px;border-top:1px solid {HAIR}">{footer}</td></tr>
</table></td></tr></table></body></html>
"""


def _linked(text: str) -> str:
    safe = escape(text)
    if text.startswith(("https://", "http://")) and not any(c.isspace() for c in text):
        return f'<a href="{safe}" style="color:#0072b2">{safe}</a>'
    return safe
