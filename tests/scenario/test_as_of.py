"""As-of: what a kept publication showed can be read again, whatever landed, was merged, forgotten and deleted since."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gpulake import clock, pipeline, upkeep
from gpulake.config import Config
from gpulake.errors import UsageError
from gpulake.lake import open_publication, writing


def deliver(folder, pai, days, *, gpu):
    windows, jobs = [], []
    for day in days:
        for n in range(6):
            start = day * 86_400 + n * 14_000
            number = day * 100 + n + int(gpu)
            windows.append(pai.metric(number, machine=1 + n % 2, start=start, end=start + 9_000, gpu=f"{gpu + n}"))
            jobs.append(pai.job(number, start=f"{start}.0", end=f"{start + 9_000}.0"))
    pai.write(folder / "pai_machine_metric.csv", windows)
    pai.write(folder / "pai_job_table.csv", jobs)
    return folder


@pytest.mark.slow
def test_gold_reads_as_it_was_published_after_backfill_compaction_and_expiry(
    tmp_path, pai, monkeypatch, published_rows
):
    """The figure in last week's slides must be found again by its build id, to the last digit."""
    config = Config(lake=tmp_path / "lake")
    real_now = clock.now().replace(hour=12)  # else "2.1 days ago" may be another day
    first = deliver(tmp_path / "first", pai, range(10, 20), gpu=20.0)
    pai.write(first / "pai_machine_spec.csv", [pai.spec(1), pai.spec(2, gpus="8.0")])
    late = deliver(tmp_path / "late", pai, range(12, 15), gpu=60.0)
    later = deliver(tmp_path / "later", pai, range(18, 24), gpu=40.0)

    def shown(lake, *, build_id=None):
        with open_publication(lake, build_id=build_id) as reader:
            scores = {"meta.scores": sorted(map(repr, reader.sql("FROM lake.meta.scores").to_pylist()))}
            return scores | published_rows(lambda query: reader.sql(query).to_pylist())

    def refresh(data, *, days_ago):
        monkeypatch.setattr(clock, "now", lambda: real_now - timedelta(days=days_ago))
        result = pipeline.refresh(config, data=data)
        assert result.published
        return result.build_id, shown(config.lake)

    published = [refresh(first, days_ago=3), refresh(late, days_ago=2.1), refresh(later, days_ago=2)]
    (a, of_a), (b, _), (c, of_c) = published
    assert 3 == len({tuple(of["gold_cluster_util_daily"]) for _, of in published}), "each changes what is shown"
    files = set((config.lake / "data").rglob("*.parquet"))

    # Two days on, so that the files that nothing needs are deleted and not only forgotten.
    with writing(config.lake, purpose="compact") as writer:
        compacted = upkeep.compact(writer, now=real_now + timedelta(days=2))
    assert (a, c) == compacted.kept_builds, "the last of each day"
    assert any(not path.exists() for path in files), "something was deleted"

    assert of_a == shown(config.lake, build_id=a)
    assert of_c == shown(config.lake, build_id=c) == shown(config.lake)
    assert () == upkeep.verify(config.lake, now=real_now + timedelta(days=2)).faults
    with pytest.raises(UsageError, match="has been forgotten"):
        shown(config.lake, build_id=b)
