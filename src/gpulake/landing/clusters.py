"""What is noted of each cluster: the zone of its day, what its stamps mean, how its capacity is told apart."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gpulake.config import Config
from gpulake.contract import Source
from gpulake.lake import Writer
from gpulake.tables import CLUSTERS


def settle_clusters(writer: Writer, sources: Iterable[Source], *, config: Config, now: datetime) -> None:
    """Bring what is noted of each cluster into line with the settings of this call."""
    by_name = {source.name: source for source in sources}
    for row in writer.sql(f"SELECT cluster_id, source FROM {CLUSTERS.qualified}").to_pylist():
        cluster_id, source = row["cluster_id"], by_name[row["source"]]
        if not _is_noted(writer, cluster_id, source, config):
            with writer.transaction("note cluster", cluster_id=cluster_id):
                note_cluster(writer, cluster_id, source, config, now)


def cluster_settings(cluster_id: str, source: Source, config: Config) -> tuple[str, str, str]:
    """The reporting zone, time basis and pools of a cluster: as written in gpulake.toml, else the source's own."""
    written = config.cluster(cluster_id)
    return (
        written.time_zone or source.time_zone,
        written.time_basis or source.time_basis,
        written.pools or source.pools,
    )


def _is_noted(writer: Writer, cluster_id: str, source: Source, config: Config) -> bool:
    noted = writer.sql(
        f"SELECT time_zone, time_basis, pools FROM {CLUSTERS.qualified} WHERE cluster_id = ?", [cluster_id]
    ).to_pylist()
    return [tuple(row.values()) for row in noted] == [cluster_settings(cluster_id, source, config)]


def note_cluster(writer: Writer, cluster_id: str, source: Source, config: Config, now: datetime) -> None:
    """Note a cluster, or what changed of it, in the current transaction."""
    if not _is_noted(writer, cluster_id, source, config):
        settled = cluster_settings(cluster_id, source, config)
        writer.delete(CLUSTERS, "cluster_id = ?", [cluster_id])
        writer.insert(CLUSTERS, [(cluster_id, source.name, *settled, now)])
