"""One frozen Config that knows where each of its values came from.

Order of precedence: the command line, then the environment, then `gpulake.toml` in the working folder, then the default.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gpulake import alert_settings
from gpulake.alert_settings import DEFAULT_AUDIENCES, VARIABLE, AlertSettings
from gpulake.errors import UsageError

TIME_BASES = ("real", "offset", "shifted")
POOLS = ("gpu_model", "all")
_CLUSTER_NAME = re.compile(r"[^\W_][\w.-]{0,59}")
_TABLES = ("lake", "clusters", "collect", "prices", "detectors", "rules", "channels", "audiences", "alerts")
_CLUSTER_KEYS = ("time_zone", "time_basis", "pools")
LEVELS = ("cluster_day", "cluster_hour", "machine_hour", "job")
"""What detectors judge in a lake."""


@dataclass(frozen=True)
class ClusterSettings:
    """What a cluster's deliveries do not say themselves; None = the source's own default."""

    time_zone: str | None = None
    time_basis: str | None = None
    pools: str | None = None


@dataclass(frozen=True)
class Config:
    """Settings of one call. `origins` maps each setting to the place it was read from.

    `secrets` are the variables of the environment that the channels name, where they are set.
    """

    lake: Path
    clusters: Mapping[str, ClusterSettings] = field(default_factory=dict)
    detectors: Mapping[str, str] = field(default_factory=dict)
    """By level, the detector whose verdicts reports, pages and rules read; else the first one that sees only the past."""
    audiences: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(DEFAULT_AUDIENCES, ()))
    """Whom rules may tell, each with the names of its channels; `operators`, `managers` and `owners` always are."""
    rules: Path | None = None
    """A folder of rules beside the shipped ones; of two with one name, this folder's counts."""
    prices: Path | None = None
    """A file of one's own that says what GPU-hours cost (`price_list`). None: the shipped examples."""
    collect: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By collector, its options, as they would be typed, and `cluster`."""
    origins: Mapping[str, str] = field(default_factory=dict)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def cluster(self, cluster_id: str) -> ClusterSettings:
        """The settings of one cluster, empty where none are written down."""
        return self.clusters.get(cluster_id, ClusterSettings())


def load(environ: Mapping[str, str], *, lake: Path | None = None, folder: Path | None = None) -> Config:
    """Read the settings once. Raises UsageError for a bad file, an unknown key, zone or time basis."""
    file = (folder or Path.cwd()) / "gpulake.toml"
    written = _read(file)
    origins: dict[str, str] = {}
    if lake is not None:
        chosen, origins["lake"] = lake, "--lake"
    elif environ.get("GPULAKE_LAKE"):
        chosen, origins["lake"] = Path(environ["GPULAKE_LAKE"]), "environment GPULAKE_LAKE"
    elif "lake" in written:
        chosen, origins["lake"] = file.parent / str(written["lake"]), str(file)
    else:
        chosen, origins["lake"] = Path("lake"), "default"
    try:
        str(chosen).encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            "the path of the lake is not valid UTF-8.", where=origins["lake"], do="choose another folder"
        ) from error
    clusters = _clusters(written, file)
    origins.update({f"clusters.{name}": str(file) for name in clusters})
    detectors = _detectors(written, file)
    origins.update({f"detectors.{level}": str(file) for level in detectors})
    alerts = alert_settings.read(written, file)
    origins.update({table: str(file) for table in ("channels", "audiences", "alerts") if table in written})
    named = {name for channel in alerts.channels.values() for name in VARIABLE.findall(channel.url)}
    rules = _path(written, "rules", file, of="FOLDER")
    if rules is not None:
        origins["rules"] = str(file)
    prices = _path(written, "prices", file, of="FILE.csv")
    if prices is not None:
        origins["prices"] = str(file)
    collect = _collect(written, file)
    origins.update({f"collect.{name}": str(file) for name in collect})
    return Config(
        lake=chosen.absolute(),
        clusters=clusters,
        detectors=detectors,
        audiences=alerts.audiences,
        rules=rules,
        prices=prices,
        collect=collect,
        origins=origins,
        alerts=alerts,
        secrets={name: environ[name] for name in sorted(named) if environ.get(name)},
    )


def shipped_rules() -> Path:
    """Where the shipped rules lie: in the wheel, or beside `src` in a checkout."""
    package = Path(__file__).parent
    inside = package / "_rules"
    return inside if inside.is_dir() else package.parents[1] / "rules"


def check_cluster_name(name: str, *, where: str) -> None:
    """Refuse what cannot stand in a path, a table and a sentence. Raises UsageError."""
    if not _CLUSTER_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a cluster.",
            where=where,
            do="use up to 60 letters, digits, '-', '_' and '.', the first of them a letter or digit",
        )


def _read(file: Path) -> dict[str, object]:
    if not file.is_file():
        return {}
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"gpulake.toml cannot be read: {error}.", where=str(file), do="mend the file") from error
    unknown = sorted(set(written) - set(_TABLES))
    if unknown:
        raise UsageError(
            f"unknown setting {unknown[0]!r}.",
            where=str(file),
            do=f"use: {', '.join(_TABLES)}",
        )
    lake = written.get("lake", "lake")
    if not (isinstance(lake, str) and lake):
        raise UsageError("lake must be a text that is not empty.", where=str(file), do='write lake = "FOLDER"')
    return written


def _clusters(written: Mapping[str, object], file: Path) -> dict[str, ClusterSettings]:
    tables = written.get("clusters", {})
    if not isinstance(tables, dict):
        raise UsageError("clusters must be a table.", where=str(file), do="write [clusters.<name>]")
    clusters = {}
    for name, settings in tables.items():
        where = f"{file} [clusters.{name}]"
        check_cluster_name(name, where=where)
        if not isinstance(settings, dict) or set(settings) - set(_CLUSTER_KEYS):
            raise UsageError("unknown cluster setting.", where=where, do=f"use: {', '.join(_CLUSTER_KEYS)}")
        cluster = ClusterSettings(**settings)
        check_zone(cluster.time_zone, where)
        if cluster.time_basis not in (None, *TIME_BASES):
            raise UsageError(f"unknown time_basis {cluster.time_basis!r}.", where=where, do=f"use: {TIME_BASES}")
        if cluster.pools not in (None, *POOLS):
            raise UsageError(f"unknown pools {cluster.pools!r}.", where=where, do=f"use: {POOLS}")
        clusters[name] = cluster
    return clusters


def _detectors(written: Mapping[str, object], file: Path) -> dict[str, str]:
    chosen = written.get("detectors", {})
    where = f"{file} [detectors]"
    if not isinstance(chosen, dict) or set(chosen) - set(LEVELS):
        raise UsageError("unknown level of detectors.", where=where, do=f"use: {', '.join(LEVELS)}")
    if not all(isinstance(name, str) for name in chosen.values()):
        raise UsageError("a detector must be named by a text.", where=where, do='write cluster_day = "NAME"')
    return dict(chosen)


def _collect(written: Mapping[str, object], file: Path) -> dict[str, dict[str, str]]:
    """Which options there are is the collectors' to know: here they are texts and numbers."""
    tables = written.get("collect", {})
    if not isinstance(tables, dict):
        raise UsageError("collect must be a table.", where=str(file), do="write [collect.<collector>]")
    collect = {}
    for name, options in tables.items():
        where = f"{file} [collect.{name}]"
        if not isinstance(options, dict):
            raise UsageError("a collector's options must be a table.", where=where, do=f"write [collect.{name}]")
        for key, value in options.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise UsageError(
                    f"{key} must be a text or a number.", where=where, do=f'write {key} = "...", as for --{key}'
                )
        collect[name] = {key: str(value) for key, value in options.items()}
        if "cluster" in options:
            check_cluster_name(collect[name]["cluster"], where=where)
    return collect


def _path(written: Mapping[str, object], name: str, file: Path, *, of: str) -> Path | None:
    """A path that lies beside the settings."""
    path = written.get(name)
    if path is None:
        return None
    if not (isinstance(path, str) and path):
        raise UsageError(f"{name} must be a text that is not empty.", where=str(file), do=f'write {name} = "{of}"')
    return (file.parent / path).absolute()


def check_zone(zone: str | None, where: str) -> None:
    """Refuse what is no zone of the IANA. Raises UsageError."""
    if zone is None:
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:  # "Asia" alone is a folder
        raise UsageError(
            f"unknown time_zone {zone!r}.", where=where, do="use an IANA name, as Asia/Shanghai"
        ) from error
