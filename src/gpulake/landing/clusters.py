"""What is noted of each cluster: the zone of its day, what its stamps mean, how its capacity is told apart."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gpulake import meta
from gpulake.config import Config
from gpulake.contract import Source
from gpulake.lake import Writer
from gpulake.tables import CLUSTERS


def settle_clusters(writer: Writer, sources: Iterable[Source], *, config: Config, now: datetime) -> None:
    """Bring what is noted of each cluster into line with the settings of this call."""
    by_name = {source.name: source for source in sources}
    for cluster_id, (name, noted) in meta.clusters(writer).items():
        if noted != cluster_settings(cluster_id, by_name[name], config):
            with writer.transaction("note cluster", cluster_id=cluster_id):
                note_cluster(writer, cluster_id, by_name[name], config, now)


def cluster_settings(cluster_id: str, source: Source, config: Config) -> tuple[str, str, str]:
    """The reporting zone, time basis and pools of a cluster: as written in gpulake.toml, else the source's own."""
    written = config.cluster(cluster_id)
    return (
        written.time_zone or source.time_zone,
        written.time_basis or source.time_basis,
        written.pools or source.pools,
    )


def note_cluster(writer: Writer, cluster_id: str, source: Source, config: Config, now: datetime) -> None:
    """Note a cluster, or what changed of it, in the current transaction."""
    settled = cluster_settings(cluster_id, source, config)
    _, noted = meta.clusters(writer).get(cluster_id, ("", None))
    if noted != settled:
        writer.delete(CLUSTERS, "cluster_id = ?", [cluster_id])
        writer.insert(CLUSTERS, [(cluster_id, source.name, *settled, now)])
