"""The first `gpulake.toml`: what somebody answered, and beside it what else could be said. Pure but for the two files it writes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from gpulake.collecting import collector_named, read_options
from gpulake.collecting.prometheus import SECRETS
from gpulake.collecting.server import Patience, server_of
from gpulake.config import check_cluster_name, check_zone
from gpulake.errors import UsageError

EXAMPLE_PRICES = """\
# What an hour of one GPU's capacity costs you, in US dollars. These are examples: replace them.
# valid_to is the first day on which a price is no longer valid; an empty cell is open. See docs/how-to/configure.md.
gpu_model,usd_per_gpu_h,valid_from,valid_to,cluster,label
NVIDIA H100-SXM5-80GB,3.00,,,,example
NVIDIA A100-SXM4-80GB,2.00,,,,example
NVIDIA L40S,1.00,,,,example
"""


@dataclass(frozen=True)
class Answers:
    """What was answered; None: it is not there. `via` is the command that Slurm's commands are run through."""

    lake: str = "lake"
    cluster: str = "site"
    zone: str = "UTC"
    has_slurm: bool = False
    via: str | None = None
    prometheus_url: str | None = None
    prices: str | None = None


@dataclass(frozen=True)
class Begun:
    """The files that were written, and what to type next."""

    settings: Path
    prices: Path | None
    next_steps: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "settings": str(self.settings),
            "prices": str(self.prices) if self.prices else None,
            "next": list(self.next_steps),
            "error": None,
        }


def begin(folder: Path, answers: Answers) -> Begun:
    """Write `gpulake.toml`, and the file of prices if one is named that is not there. Raises UsageError.

    Nothing is ever overwritten: where there are settings already, nothing is written at all.
    """
    check_cluster(answers.cluster)
    check_zone_name(answers.zone)
    check_via(answers.via or "")
    check_address(answers.prometheus_url or "")
    settings = folder / "gpulake.toml"
    _write_new(settings, settings_text(answers))
    prices = folder / answers.prices if answers.prices else None
    if prices is not None and prices.exists():
        prices = None
    if prices is not None:
        _write_new(prices, EXAMPLE_PRICES)
    return Begun(settings, prices, tuple(_next(answers)))


def check_cluster(name: str) -> None:
    """Refuse what is no name of a cluster. Raises UsageError, as the checks below do."""
    check_cluster_name(name, where="--cluster")


def check_zone_name(zone: str) -> None:
    """Refuse what is no time zone."""
    check_zone(zone, "--zone")


def check_via(command: str) -> None:
    """Refuse what is no command. Nothing: Slurm's are here."""
    read_options(collector_named("slurm"), {"via": command or None})


def check_address(url: str) -> None:
    """Refuse what is no address, and one with a password in it, which must not be kept in a file. Nothing: there is none."""
    if url:
        server_of(url, {}, prefix=SECRETS, patience=Patience())


def local_zone(environ: dict[str, str], link: Path = Path("/etc/localtime")) -> str:
    """The zone of this machine, as IANA calls it; UTC where it does not say."""
    named = environ.get("TZ", "").lstrip(":") or os.path.realpath(link).partition("/zoneinfo/")[2]
    try:
        check_zone(named, "TZ")
    except UsageError:
        return "UTC"
    return {"Etc/UTC": "UTC"}.get(named, named) or "UTC"


def settings_text(answers: Answers) -> str:
    """The file, with a word on each setting, those that nobody gave as comments."""
    lines = [
        "# Settings of gpulake for this folder: docs/how-to/configure.md has all of them. `gpulake doctor` checks them.",
        f"lake = {_text(answers.lake)}  # the folder of the data",
        _line("prices", answers.prices, "prices.csv", "what a GPU-hour costs you; without it examples count"),
        "",
        f"[clusters.{_key(answers.cluster)}]",
        f"time_zone = {_text(answers.zone)}  # whose midnight ends a day",
        '# time_basis = "real"  # real, offset or shifted: what a time stamp means',
        '# pools = "gpu_model"  # or "all": one pool, where jobs do not name their machine',
        "",
        "# What `gpulake collect slurm` is asked with.",
        *_table(
            "slurm",
            answers,
            [_line("via", answers.via, "ssh login1", "where Slurm's commands are elsewhere")],
            is_there=answers.has_slurm,
        ),
        "",
        "# What `gpulake collect prometheus` is asked with. A token is read from GPULAKE_PROMETHEUS_TOKEN, never from here.",
        *_table(
            "prometheus",
            answers,
            [
                _line("url", answers.prometheus_url, "http://prometheus:9090", "the server"),
                '# step = "30s"  # how often exporters are scraped',
            ],
            is_there=answers.prometheus_url is not None,
        ),
        "",
        "# Whom rules tell: docs/how-to/get-alerts.md.",
        "# [channels.oncall]",
        '# url = "${SLACK_WEBHOOK}"',
        "# [audiences.operators]",
        '# channels = ["oncall"]',
    ]
    return "\n".join(lines) + "\n"


def _table(name: str, answers: Answers, lines: list[str], *, is_there: bool) -> list[str]:
    table = [f"[collect.{name}]", f"cluster = {_text(answers.cluster)}", *lines]
    return table if is_there else [f"# {line.removeprefix('# ')}" for line in table]


def _line(key: str, value: str | None, example: str, word: str) -> str:
    return f"{'' if value is not None else '# '}{key} = {_text(value or example)}  # {word}"


def _next(answers: Answers) -> list[str]:
    steps = ["gpulake doctor"]
    if answers.has_slurm:
        steps.append("gpulake collect slurm --since 30d")
    if answers.prometheus_url:
        steps.append("gpulake collect prometheus --since 30d --refresh")
    if len(steps) == 1:
        steps += ["gpulake template --out plain", f"gpulake refresh --data plain/example --cluster {answers.cluster}"]
    elif not answers.prometheus_url:
        steps[-1] += " --refresh"
    return steps


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    """As TOML writes a text: JSON's way but for characters that only TOML refuses."""
    if "\x7f" in value:
        raise UsageError("a setting holds a control character.", where=repr(value), do="leave it out")
    return json.dumps(value, ensure_ascii=False)


def _write_new(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"there is a {file.name} already, and it is left as it is.",
            where=str(file),
            do="edit it, or begin in another folder; gpulake doctor says what is wrong with it",
        ) from error
    except (OSError, UnicodeEncodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{file.name} cannot be written: {why}.", where=str(file), do="choose another folder"
        ) from error
