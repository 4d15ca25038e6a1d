"""Days, hours, jobs and other series: each detector beside chance, the mission's forest and simple rivals, and its bar.

Files are scored as `gpulake detect --input` scores them; labels are read here only, after that. AUC is average precision,
VUS as in `measures`; of several series both are means over those that have a label.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.detection.made_up_clusters import FAULTS, NO_FAULTS, fleet_weeks, made_up
from bench.detection.measures import average_precision, labelled, vus_pr
from gpulake.detecting.files import score_file
from gpulake.detectors import Block, Detector, Level, all_detectors

DATA = Path(__file__).resolve().parents[2] / "../shared/data/anomaly"
CLUSTERS, CLEAN_CLUSTERS = 80, 160
DAYS_A_YEAR = 365
FIRST_JUDGED_DAY = 21

Score = NDArray[np.float64]


@dataclass(frozen=True)
class Bar:
    """What must be reached: at least, or at most."""

    least: float | None = None
    most: float | None = None

    def beside(self, value: float) -> str:
        """The value's bar, and whether it is met."""
        bound, sign = (self.least, "≥") if self.least is not None else (self.most, "≤")
        is_met = value >= bound if self.least is not None else value <= bound
        return f"{sign} {bound:g} {'met' if is_met else 'MISSED'}"


def tell() -> None:
    """Print every table."""
    if not DATA.is_dir():
        print(f"no labelled series at {DATA}: nothing is measured")
        return
    for part in (cluster_days, cluster_hours, jobs, several_metrics, one_metric):
        started = time.monotonic()
        part()
        print(f"  {time.monotonic() - started:.1f} s in all\n")


def main() -> None:
    """For python -m bench."""
    tell()


# --- cluster-day and cluster-hour ------------------------------------------------------------------------------------


def cluster_days() -> None:
    """Recall by kind of day, false days a year on clean clusters, and AUC over all."""
    print(f"cluster-day: {CLUSTERS} made-up clusters with faults, {CLEAN_CLUSTERS} clean ones")
    weeks = fleet_weeks(DATA / "fleet_machine_hour.parquet")
    faulty = [made_up(weeks, seed=seed, has_faults=True) for seed in range(CLUSTERS)]
    clean = [made_up(weeks, seed=1000 + seed, has_faults=False) for seed in range(CLEAN_CLUSTERS)]
    kinds = np.concatenate([one.kind[FIRST_JUDGED_DAY:] for one in faulty])
    print(f"  {'':<26}{''.join(f'{kind:>15}' for kind in (*FAULTS, *NO_FAULTS))}  false a year   AUC   s")
    bad_days = {}
    for name, judge in {**dict(_day_rivals()), "cluster_day": _of(Level.CLUSTER_DAY)}.items():
        started = time.monotonic()
        verdicts = [judge(one.days) for one in faulty]
        quiet = [judge(one.days) for one in clean]
        score = np.concatenate([score[FIRST_JUDGED_DAY:] for score, _ in verdicts])
        flag = np.concatenate([flag[FIRST_JUDGED_DAY:] for _, flag in verdicts])
        judged = np.concatenate([~np.isnan(score[FIRST_JUDGED_DAY:]) for score, _ in quiet])
        false = np.concatenate([flag[FIRST_JUDGED_DAY:] for _, flag in quiet])
        a_year = DAYS_A_YEAR * false.sum() / judged.sum()
        auc = average_precision(np.isin(kinds, FAULTS), score)
        recall = [flag[kinds == kind].mean() for kind in (*FAULTS, *NO_FAULTS)]
        bad_days[name] = (auc, a_year, sum(recall[-len(NO_FAULTS) :]))
        seconds = time.monotonic() - started
        print(f"  {name:<26}{''.join(f'{each:>15.2f}' for each in recall)}{a_year:>14.1f}{auc:>6.2f}{seconds:>5.1f}")
    auc, a_year, badly_observed = bad_days["cluster_day"]
    print(
        f"  AUC {auc:.2f} ({Bar(least=0.85).beside(auc)}), false days a year {a_year:.1f} ({Bar(most=4).beside(a_year)})"
    )
    print(f"  missing and thin days flagged {badly_observed:.2f} ({Bar(most=0).beside(badly_observed)})")


def _day_rivals() -> Iterator[tuple[str, Callable[[dict[str, Any]], tuple[Score, NDArray[np.bool_]]]]]:
    def by_chance(days: dict[str, Any]) -> tuple[Score, NDArray[np.bool_]]:
        score = np.random.default_rng(len(days["day"])).random(len(days["day"]))
        return score, score > 1 - 4 / DAYS_A_YEAR

    def forest(days: dict[str, Any]) -> tuple[Score, NDArray[np.bool_]]:
        features = np.column_stack([days[name] for name in ("avg_gpu_util", "p95_gpu_util", "avg_cpu_util")])
        known = ~np.isnan(features).any(axis=1)
        score = np.full(len(known), np.nan)
        score[known] = _mission(features[known])
        return score, np.nan_to_num(score, nan=-1.0) > 0

    def weekday_median(days: dict[str, Any]) -> tuple[Score, NDArray[np.bool_]]:
        util, score = days["avg_gpu_util"], np.full(len(days["day"]), np.nan)
        for day in range(14, len(util)):
            past = util[max(0, day - 42) : day]
            same = past[days["weekday"][max(0, day - 42) : day] == days["weekday"][day]]
            scale = 1.4826 * np.nanmedian(np.abs(past - np.nanmedian(past)))
            score[day] = abs(util[day] - np.nanmedian(same)) / max(scale, 0.5)
        return score, np.nan_to_num(score) > 3.5

    return iter({"by chance": by_chance, "mission's forest": forest, "weekday median + MAD": weekday_median}.items())


def cluster_hours() -> None:
    """Whether each outage and dip of the fleet is found within its hours and three more, and what else is flagged."""
    print("cluster-hour: outages and dips of the labelled fleet, days 21 to the end")
    hours = _fleet_hours()
    started = time.monotonic()
    score, flag = _of(Level.CLUSTER_HOUR)(hours)
    seconds = time.monotonic() - started
    hour, found, near = hours["hour_idx"], 0, np.zeros(len(score), np.bool_)
    events = [row for row in _rows(DATA / "fleet_events.csv") if row["grain"] == "cluster"]
    for event in events:
        inside = (hour >= int(event["start"])) & (hour < int(event["end"]))
        near |= (hour >= int(event["start"])) & (hour < int(event["end"]) + 4)
        found += bool(flag[inside].any())
        print(
            f"  {event['kind']:<8} hours {event['start']}–{event['end']}: largest score {np.nanmax(score[inside]):.1f}"
        )
    outside = (hour >= FIRST_JUDGED_DAY * 24) & ~near
    false = int(flag[outside].sum())
    print(
        f"  found {found} of {len(events)} ({Bar(least=len(events)).beside(found)}), false {false} ({Bar(most=1).beside(false)})"
    )
    print(f"  highest normal hour {np.nanmax(score[outside]):.1f}; judged in {seconds:.2f} s")


def _fleet_hours() -> dict[str, Any]:
    table = pq.read_table(DATA / "fleet_machine_hour.parquet", columns=["hour_idx", "machine", "gpu_util", "alloc"])
    hour, machine = table["hour_idx"].to_numpy(), table["machine"].to_numpy()
    util, alloc = table["gpu_util"].to_numpy().astype(np.float64), table["alloc"].to_numpy().astype(np.float64)
    active, held = (np.bincount(hour, part) for part in (8 * util * (alloc > 0), alloc))
    there = np.bincount(hour)
    at = np.flatnonzero(there)
    return {
        "hour_idx": at,
        "hour_of_day": at % 24,
        "alloc_gpu_util": np.divide(active, held, out=np.full(len(held), np.nan), where=held > 0)[at],
        "coverage_ratio": there[at] / len(np.unique(machine)),
    }


# --- files -----------------------------------------------------------------------------------------------------------


def jobs() -> None:
    """Jobs that start after three weeks, learned from those before."""
    print("jobs: labelled fleet, starts after hour 504")
    file = DATA / "fleet_jobs.parquet"
    table = pq.read_table(file)
    late = table["start"].to_numpy() >= 504
    label = table["label"].to_numpy()
    metrics = [table[name].to_numpy() for name in ("gpu_util", "cpu_per_gpu", "net_per_gpu", "mem_gb", "dur")]
    raw = np.column_stack(metrics)
    logs = np.log(np.maximum(raw, 1e-3))
    middle = np.median(logs[~late], axis=0)
    spread = 1.4826 * np.median(np.abs(logs[~late] - middle), axis=0)
    found, seconds = _scored(file, "fleet_jobs")
    score, flag = found["score"].to_numpy(), found["flag"].to_numpy() > 0
    for name, values in {
        "by chance": _chance(late.sum()),
        "mission's forest": _mission(raw[late]),
        "max |z| of all jobs": np.abs((logs - middle) / spread).max(axis=1)[late],
    }.items():
        print(f"  {name:<26}AUC {average_precision(label[late], values):.2f}")
    auc = average_precision(label[late], score[late])
    precision, recall = label[flag].mean(), flag[late & (label > 0)].mean()
    print(f"  {'job_template':<26}AUC {auc:.2f} ({Bar(least=0.58).beside(auc)}), {seconds:.1f} s")
    false = 1000 * (flag & (label == 0))[late].sum() / (late & (label == 0)).sum()
    print(f"  flags: precision {precision:.2f}, recall {recall:.2f}, {false:.2f} false of 1,000 jobs (declared 1)")


def several_metrics() -> None:
    """The asd and smd servers: learned on train, scored on test."""
    for name, bar in (("asd", Bar(least=0.40)), ("smd", Bar(least=0.68))):
        file = DATA / f"{name}.parquet"
        table = pq.read_table(file)
        entity, split = (np.array(table[key].to_pylist()) for key in ("entity", "split"))
        values = np.column_stack([table[key].to_numpy() for key in table.column_names if key[1:].isdigit()])
        label, step = table["label"].to_numpy(), table["step"].to_numpy()
        is_test = split == "test"
        found, seconds = _scored(file, "series")
        score, flag = found["score"].to_numpy(), found["flag"].to_numpy() > 0
        parts = [np.flatnonzero((entity == each) & is_test) for each in np.unique(entity)]
        learned = [values[(entity == each) & ~is_test] for each in np.unique(entity)]
        print(f"{name}: {len(parts)} servers")
        for rival, scores in {
            "by chance": [_chance(len(part)) for part in parts],
            "mission's forest": [_mission(values[part]) for part in parts],
            "max |z| of train": [_largest_z(values[part], train) for part, train in zip(parts, learned, strict=True)],
            "PCA residual": [_pca(values[part], train) for part, train in zip(parts, learned, strict=True)],
        }.items():
            auc, vus = _means([label[part] for part in parts], scores, [step[part] for part in parts])
            print(f"  {rival:<26}AUC {auc:.2f}  VUS {vus:.2f}")
        auc, vus = _means(
            [label[part] for part in parts], [score[part] for part in parts], [step[part] for part in parts]
        )
        print(f"  {'series_multi':<26}AUC {auc:.2f} ({bar.beside(auc)})  VUS {vus:.2f}, {seconds:.1f} s")
        quiet = flag & is_test & (label == 0)
        print(
            f"  flags outside labels: {1000 * quiet.sum() / (is_test & (label == 0)).sum():.1f} of 1,000 rows (declared 1)"
        )
        print(f"  the metric named is one of the event's: {_named(name, entity, is_test, step, values.shape[1])}")


def one_metric() -> None:
    """The hourly ms_cloud series and nab: every row judged by its past."""
    for name, bar, vus_bar in (("ms_cloud", Bar(least=0.55), Bar(least=0.64)), ("nab", Bar(least=0.24), None)):
        file = DATA / f"{name}.parquet"
        table = pq.read_table(file)
        series, label = np.array(table["series"].to_pylist()), table["label"].to_numpy()
        hours = table["ts"].to_numpy().astype("datetime64[us]").astype(np.int64) / 3.6e9
        value = table["value"].to_numpy()
        found, seconds = _scored(file, "series")
        score, flag = found["score"].to_numpy(), found["flag"].to_numpy() > 0
        parts = [np.flatnonzero(series == each) for each in np.unique(series)]
        parts = [
            part for part in parts if label[part].any() and (name == "nab" or np.median(np.diff(hours[part])) == 1)
        ]
        print(f"{name}{' hourly' if name == 'ms_cloud' else ''}: {len(parts)} series with labels")
        for rival, scores in {
            "by chance": [_chance(len(part)) for part in parts],
            "mission's forest (sees all)": [_mission(value[part][:, np.newaxis]) for part in parts],
            "hour-of-day median + MAD": [_hour_of_day(value[part], hours[part]) for part in parts],
        }.items():
            auc, vus = _means([label[part] for part in parts], scores)
            print(f"  {rival:<28}AUC {auc:.2f}  VUS {vus:.2f}")
        auc, vus = _means([label[part] for part in parts], [score[part] for part in parts])
        beside = f" ({vus_bar.beside(vus)})" if vus_bar else ""
        print(f"  {'series_single':<28}AUC {auc:.2f} ({bar.beside(auc)})  VUS {vus:.2f}{beside}, {seconds:.1f} s")
        rows = np.concatenate(parts)
        quiet = rows[label[rows] == 0]
        print(f"  flags outside labels: {1000 * flag[quiet].mean():.1f} of 1,000 rows (declared 3)")


def _scored(file: Path, schema: str) -> tuple[pa.Table, float]:
    """As the command scores it: the table that it writes, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "scores.parquet"
        started = time.monotonic()
        score_file(file, schema=schema, out=out)
        return pq.read_table(out), time.monotonic() - started


def _named(name: str, entity: NDArray[Any], is_test: NDArray[np.bool_], step: NDArray[Any], metrics: int) -> str:
    """How often the metric that the strangest row of an event names is one of the event's own, beside chance."""
    table = pq.read_table(DATA / f"{name}.parquet")
    columns = {key: _plain(table[key]) for key in table.column_names if key != "label"}
    verdicts = _detector(Level.SERIES, "entity").judge(columns, ())
    hits, chances = [], []
    for each in np.unique(entity):
        of_entity = (entity == each) & is_test
        for line in (DATA / "labels" / f"{each}.dims.txt").read_text().splitlines():
            span, _, dims = line.partition(":")
            start, end = (int(part) for part in span.split("-"))
            own = {int(dim) - 1 for dim in dims.split(",")}
            rows = np.flatnonzero(of_entity & (step >= start) & (step <= end))
            hits.append(int(verdicts.driver[rows[np.nanargmax(verdicts.score[rows])]]) in own)
            chances.append(len(own) / metrics)
    return f"{np.mean(hits):.2f} of {len(hits)} events (by chance {np.mean(chances):.2f})"


# --- rivals and helpers ----------------------------------------------------------------------------------------------


def _mission(values: Score) -> Score:
    """Raw metrics, 5 % contamination, fitted on the rows that it scores; above 0 it flags."""
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    z = StandardScaler().fit_transform(values)
    trees = IsolationForest(n_estimators=100, contamination=0.05, random_state=42)
    return np.asarray(-trees.fit(z).decision_function(z))


def _chance(rows: int) -> Score:
    return np.random.default_rng(int(rows)).random(int(rows))


def _largest_z(values: Score, train: Score) -> Score:
    return np.asarray(np.abs((values - train.mean(axis=0)) / np.maximum(train.std(axis=0), 0.02)).max(axis=1))


def _pca(values: Score, train: Score, *, kept: float = 0.9) -> Score:
    """What the main directions of train do not explain."""
    scale = np.maximum(train.std(axis=0), 0.02)
    own, others = (train - train.mean(axis=0)) / scale, (values - train.mean(axis=0)) / scale
    variance, directions = np.linalg.eigh(own.T @ own)
    share = np.cumsum(variance[::-1]) / variance.sum()
    main = directions[:, ::-1][:, : int(np.searchsorted(share, kept)) + 1]
    return np.asarray(np.linalg.norm(others - others @ main @ main.T, axis=1))


def _hour_of_day(value: Score, hours: Score) -> Score:
    """Distance to the median of the past at the same hour of the day, in units of the past's median distance."""
    score = np.full(len(value), np.nan)
    of_day = (hours % 24).astype(int)
    apart = np.full(len(value), np.nan)
    for hour in range(24):
        at = np.flatnonzero(of_day == hour)
        for place in range(2, len(at)):
            apart[at[place]] = abs(value[at[place]] - np.median(value[at[max(0, place - 200) : place]]))
    for row in range(48, len(value)):
        past = apart[max(0, row - 500) : row]
        score[row] = apart[row] / max(float(np.nanmedian(past)) if np.isfinite(past).any() else 1.0, 1e-9)
    return score


def _means(
    labels: Sequence[NDArray[Any]], scores: Sequence[Score], steps: Sequence[NDArray[Any]] | None = None
) -> tuple[float, float]:
    """AUC and VUS, the means over the series."""
    auc = [average_precision(label, score) for label, score in zip(labels, scores, strict=True)]
    places = steps or [np.arange(len(label)) for label in labels]
    vus = [vus_pr(labelled(label, step=step), score) for label, score, step in zip(labels, scores, places, strict=True)]
    return float(np.mean(auc)), float(np.mean(vus))


def _plain(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_large_string(column.type) or pa.types.is_string(column.type):
        return np.array(column.to_pylist())
    return np.asarray(column.to_numpy(), np.float64)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _detector(level: Level, needs: str = "") -> Detector:
    """The level's detector that walks forward."""
    return next(
        each
        for each in all_detectors()
        if each.level is level and not each.retrospective and (not needs or needs in each.needs)
    )


def _of(level: Level) -> Callable[[dict[str, Any]], tuple[Score, NDArray[np.bool_]]]:
    blocks: Sequence[Block] = ()

    def judge(columns: dict[str, Any]) -> tuple[Score, NDArray[np.bool_]]:
        verdicts = _detector(level).judge(columns, blocks)
        return verdicts.score, verdicts.flag

    return judge
