"""What `gpulake.toml` says of who is told, how, and when: channels, audiences, windows, maintenance. Strict; reads no secret file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from gpulake.alert import Maintenance, Policy
from gpulake.errors import UsageError
from gpulake.findings import Severity

DEFAULT_AUDIENCES = ("operators", "managers", "owners")
"""Whom rules tell as shipped: who keeps the fleet running, who pays for it, who owns the jobs."""
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DURATION = re.compile(r"(\d{1,4})\s?(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TABLES: Mapping[str, tuple[str, ...]] = {
    "channels.<name>": ("url", "url_file", "kind", "at_least"),
    "audiences.<name>": ("channels",),
    "alerts": ("shadow", "told_from", "repeat", "reopens_within", "closes_after", "most_at_once", "digest_to", "maintenance"),
    "alerts.maintenance": ("cluster", "from", "until", "why", "machines"),
}  # fmt: skip


@dataclass(frozen=True)
class Channel:
    """One way to reach people. Its address is a secret: it is never shown, and `${NAME}` in it is read from the environment."""

    name: str
    url: str = field(default="", repr=False)
    url_file: Path | None = None
    kind: str | None = None
    at_least: Severity = Severity.INFO


@dataclass(frozen=True)
class AlertSettings:
    """Who is told what, how, and when. `shadow`: everything is recorded, nothing is sent."""

    channels: Mapping[str, Channel] = field(default_factory=dict)
    audiences: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(DEFAULT_AUDIENCES, ()))
    policy: Policy = field(default_factory=Policy)
    shadow: bool = False
    digest_to: str | None = None


def read(written: Mapping[str, object], file: Path) -> AlertSettings:
    """The settings in the tables `channels`, `audiences` and `alerts`. Raises UsageError, with the place, for what is wrong."""
    channels = {
        name: _channel(name, table, f"{file} [channels.{name}]", file.parent)
        for name, table in _named(written, "channels", file)
    }
    audiences: dict[str, tuple[str, ...]] = dict.fromkeys(DEFAULT_AUDIENCES, ())
    for name, table in _named(written, "audiences", file):
        where = f"{file} [audiences.{name}]"
        _check_keys(table, "audiences.<name>", where)
        audiences[name] = _texts(table.get("channels", []), "channels", where)
        for channel in audiences[name]:
            if channel not in channels:
                raise UsageError(f"there is no channel {channel!r}.", where=where, do=_nearest(channel, channels))
    return _alerts(written.get("alerts", {}), channels, audiences, f"{file} [alerts]")


def _channel(name: str, table: Mapping[str, object], where: str, folder: Path) -> Channel:
    _check_keys(table, "channels.<name>", where)
    texts = {key: table[key] for key in ("url", "url_file", "kind") if key in table}
    for key, value in texts.items():
        if not (isinstance(value, str) and value):
            raise UsageError(f"{key} must be a text that is not empty.", where=where, do=f'write {key} = "…"')
    if ("url" in texts) == ("url_file" in texts):
        raise UsageError("a channel needs url or url_file, one of them.", where=where, do='write url = "…"')
    url_file = folder / str(texts["url_file"]) if "url_file" in texts else None
    kind = str(texts["kind"]) if "kind" in texts else None
    return Channel(name, str(texts.get("url", "")), url_file, kind, _severity(table, "at_least", where, Severity.INFO))


def _alerts(
    table: object, channels: Mapping[str, Channel], audiences: Mapping[str, tuple[str, ...]], where: str
) -> AlertSettings:
    table = _table(table, where)
    _check_keys(table, "alerts", where)
    standard = Policy()
    shadow = table.get("shadow", False)
    if not isinstance(shadow, bool):
        raise UsageError("shadow must be true or false.", where=where, do="write shadow = true")
    most = table.get("most_at_once", standard.most_at_once)
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise UsageError("most_at_once must be a whole number from 1 on.", where=where, do="write most_at_once = 20")
    digest_to = table.get("digest_to")
    if digest_to is not None and digest_to not in audiences:
        raise UsageError(f"there is no audience {digest_to!r}.", where=where, do=_nearest(str(digest_to), audiences))
    repeat = dict(standard.repeat)
    for severity, value in _table(table.get("repeat", {}), f"{where} repeat").items():
        if severity not in set(Severity):
            raise UsageError(
                f"unknown severity {severity!r}.", where=f"{where} repeat", do=f"use: {', '.join(Severity)}"
            )
        repeat[Severity(severity)] = None if value == "never" else _duration(value, f"{where} repeat.{severity}")
    windows = table.get("maintenance", [])
    if not isinstance(windows, list):
        raise UsageError("maintenance must be a list.", where=where, do="write [[alerts.maintenance]]")
    return AlertSettings(
        channels=channels,
        audiences=audiences,
        policy=Policy(
            repeat=repeat,
            told_from=_severity(table, "told_from", where, standard.told_from),
            reopens_within=_duration(table.get("reopens_within", standard.reopens_within), f"{where} reopens_within"),
            closes_after=_duration(table.get("closes_after", standard.closes_after), f"{where} closes_after"),
            most_at_once=most,
            maintenance=tuple(
                _maintenance(_table(window, f"{where} maintenance"), f"{where} maintenance") for window in windows
            ),
        ),
        shadow=shadow,
        digest_to=cast("str | None", digest_to),
    )


def _maintenance(table: Mapping[str, object], where: str) -> Maintenance:
    _check_keys(table, "alerts.maintenance", where)
    since, until = (_moment(table.get(key), key, where) for key in ("from", "until"))
    if since >= until:
        raise UsageError("maintenance ends before it begins.", where=where, do="mend from and until")
    texts = [table.get(key) for key in ("cluster", "why")]
    if not all(isinstance(text, str) and text for text in texts):
        raise UsageError(
            "maintenance needs a cluster and a reason.", where=where, do='write cluster = "…" and why = "…"'
        )
    cluster, why = (str(text) for text in texts)
    return Maintenance(cluster, since, until, why, _texts(table.get("machines", []), "machines", where))


def _moment(value: object, key: str, where: str) -> datetime:
    if not isinstance(value, datetime):
        raise UsageError(f"{key} must be a time.", where=where, do=f"write {key} = 2026-03-01T08:00:00Z")
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _duration(value: object, where: str) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or not int(found[1]):
        raise UsageError(f"{value!r} is no length of time.", where=where, do='write it as "30m", "4h" or "2d"')
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _severity(table: Mapping[str, object], key: str, where: str, default: Severity) -> Severity:
    value = table.get(key, default)
    if value not in set(Severity):
        raise UsageError(f"unknown {key} {value!r}.", where=where, do=f"use: {', '.join(Severity)}")
    return Severity(str(value))


def _texts(value: object, key: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise UsageError(f"{key} must be a list of texts.", where=where, do=f'write {key} = ["…"]')
    return tuple(dict.fromkeys(value))


def _named(written: Mapping[str, object], key: str, file: Path) -> list[tuple[str, Mapping[str, object]]]:
    named = _table(written.get(key, {}), f"{file} [{key}]")
    for name in named:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name in {key}.", where=str(file), do="use small letters, digits, '-' and '_'"
            )
    return [(name, _table(table, f"{file} [{key}.{name}]")) for name, table in named.items()]


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UsageError("this must be a table.", where=where, do="write KEY = VALUE lines below its [heading]")
    return value


def _check_keys(table: Mapping[str, object], kind: str, where: str) -> None:
    unknown = sorted(set(table) - set(_TABLES[kind]))
    if unknown:
        raise UsageError(f"unknown setting {unknown[0]!r}.", where=where, do=f"use: {', '.join(_TABLES[kind])}")


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"use {near[0] if near else ', '.join(known) or 'one that the file describes'}"
