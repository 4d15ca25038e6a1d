"""node_exporter's counters by files and by a stream: what a machine's processors and cards have grown by knows no border of a delivery."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from tiny_lake import TinyLake

from gpulake.dbt.warehouse import Warehouse

MONDAY = datetime(2026, 3, 2)  # noqa: DTZ001  # the lake's times are UTC, without a zone
STEP_S = 1_800
STEPS = 7 * 86_400 // STEP_S


def week(dice: random.Random) -> list[list[dict[str, object]]]:
    """Every half hour what each of two machines tells at that moment: they restart, fall silent for hours and for more than a day."""
    moments = []
    for machine in ("n1", "n2"):
        silent = {*range(40, 47), *range(150, 150 + 86_400 // STEP_S + 2)} if machine == "n1" else set()
        counters = {"idle": 1e6 * dice.random(), "user": 1e6 * dice.random(), "eth0": 4e12, "eth1": 10.0}
        for step in range(1, STEPS):
            for name, most in {"idle": STEP_S, "user": STEP_S, "eth0": 1e10, "eth1": 1e9}.items():
                counters[name] = 0.0 if dice.random() < 0.01 else counters[name] + round(most * dice.random(), 2)
            if step in silent:
                continue
            at = MONDAY + timedelta(seconds=step * STEP_S + 17)
            moments.append([
                {"metric": metric, "labels": f'{{"{label}":"{name}","node":"{machine}"}}', "sampled_at": at,
                 "value": counters[name], "interval_s": float(STEP_S)}
                for metric, label, name in (
                    ("node_cpu_seconds_total", "mode", "idle"), ("node_cpu_seconds_total", "mode", "user"),
                    ("node_network_receive_bytes_total", "device", "eth0"), ("node_network_receive_bytes_total", "device", "eth1"),
                    ("node_network_transmit_bytes_total", "device", "eth0"),
                )
            ])  # fmt: skip
    return moments


def land(lake: TinyLake, moments) -> None:
    lake.add_rows("site", "prometheus_sample", [row for moment in moments for row in moment])


def in_spans(moments, dice):
    """Six spans of time, shuffled, as files that are fetched backwards or late are."""
    moments = sorted(moments, key=lambda moment: moment[0]["sampled_at"])
    cuts = sorted(dice.sample(range(1, len(moments)), 5))
    return dice.sample([moments[start:end] for start, end in zip([0, *cuts], [*cuts, len(moments)], strict=True)], 6)


def in_crumbs(moments, dice):
    """Twenty moments at a time, disordered, late and now and then repeated, within a landing too, as a stream may be."""
    moments = dice.sample(moments, len(moments))
    return [
        [*moments[start : start + 20], *dice.sample(moments[: start + 20], 3)] for start in range(0, len(moments), 20)
    ]


@pytest.mark.parametrize("parted", [in_crumbs, pytest.param(in_spans, marks=pytest.mark.slow)])
def test_a_week_in_shuffled_pieces_is_the_week_in_one(tmp_path, published_rows, parted):
    """Row for row, in silver and gold: the first sample of a delivery grows from the last one of another, whichever came first."""
    seed = random.SystemRandom().randrange(2**31)
    print(f"seed {seed}")
    dice = random.Random(seed)
    moments = week(dice)
    whole, pieces = TinyLake(tmp_path / "whole"), TinyLake(tmp_path / "pieces")
    land(whole, moments)
    parts = parted(moments, dice)
    with Warehouse(pieces.folder) as dbt:
        for number, part in enumerate(parts, start=1):
            land(pieces, part)
            if number in {len(parts) // 2, len(parts) - 1, len(parts)}:
                pieces.build_with(dbt, full=number == len(parts) // 2)
    whole.build(full=True)

    assert published_rows(whole.rows) == published_rows(pieces.rows)
    (known,) = whole.rows(
        "SELECT count(*) FILTER (cpu_covered_s > 0) AS cpu, count(*) FILTER (net_covered_s > 0) AS rx, "
        "count(*) FILTER (sent_covered_s > 0) AS tx FROM lake.main.silver_machine_hours"
    )
    assert min(known.values()) > 250, known
    whole.close()
    pieces.close()
