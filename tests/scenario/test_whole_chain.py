"""From a fault to the word that it is over: a simulated fleet is delivered in parts, and its messages arrive at servers on loopback."""

from __future__ import annotations

import json
import os
import sys
from email import message_from_string, policy
from pathlib import Path

import polars as pl
import pytest

from gpulake.simulate import pai2020

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from receivers import Receiver, smtp  # beside the unit tests

DAY_S, START_S = 86_400, 5 * 86_400 - 8 * 3_600

# Which columns of each table say when a row was written: what has ended is shipped at its end, what has not at its begin.
TIMES = {
    "pai_job_table": (5, 4),
    "pai_task_table": (5, 4),
    "pai_instance_table": (7, 6),
    "pai_machine_metric": (3, 2),
}
FOLLOWS = {"pai_sensor_table": ("pai_instance_table", 2, 3), "pai_group_tag_table": ("pai_job_table", 0, 1)}


def deliver(trace: Path, into: Path, cuts: tuple[int, ...]) -> None:
    """Cut a trace as it would have been shipped: a folder of the same tables up to each moment, without what came before."""
    tables = {file.stem: pl.read_csv(file, has_header=False, infer_schema=False) for file in trace.glob("*.csv")}

    def part(table: str) -> pl.Series:
        if table in FOLLOWS:
            other, own, its = FOLLOWS[table]
            parts = pl.DataFrame({"key": tables[other].to_series(its), "part": part(other)}).unique("key")
            keys = pl.DataFrame({"key": tables[table].to_series(own)})
            return keys.join(parts, on="key", how="left", maintain_order="left")["part"].fill_null(len(cuts))
        if table not in TIMES:
            return pl.Series([0] * tables[table].height)
        end, begin = (tables[table].to_series(at).cast(pl.Float64) for at in TIMES[table])
        at = pl.select(pl.coalesce(end, begin)).to_series()
        return pl.Series(pl.Series(cuts).cast(pl.Float64).search_sorted(at.fill_null(1e18), side="left"))

    for name, table in tables.items():
        parts = part(name)
        for number in range(len(cuts)):
            folder = into / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            rows = table.filter(parts == number)
            if rows.height:
                rows.write_csv(folder / f"{name}.csv", include_header=False, quote_style="never", null_value="")


def text_of(letter: str) -> str:
    """What a person reads of a mail."""
    return message_from_string(letter, policy=policy.default).get_body(("plain",)).get_content()


@pytest.mark.slow
def test_a_day_of_little_use_is_told_once_and_called_over(cli, tmp_path):
    """A page, a mail, an acknowledgement, the all-clear; and silence whenever the same is delivered again."""
    pai2020.simulate(tmp_path / "trace", scale=0.02, days=28, seed=5, faults=True)
    faults = pl.read_parquet(tmp_path / "trace" / "truth" / "faults.parquet")
    low_s = faults.filter(pl.col("kind") == "fleet_low_use")["start_s"].min()
    day = (low_s - START_S) // DAY_S
    assert day >= 14  # enough past to know what is usual
    deliver(tmp_path / "trace", tmp_path / "parts", (low_s, low_s + DAY_S, low_s + 3 * DAY_S))

    with Receiver() as service, smtp() as box:
        (tmp_path / "gpulake.toml").write_text(
            f'[channels.duty]\nurl = "pagerduty://${{KEY}}@127.0.0.1:{service.port}/v2/enqueue"\n'
            f'[channels.mail]\nurl = "mailto://127.0.0.1:{box.port}?from=a@example.org&to=b@example.org&mode=insecure"\n'
            '[audiences.operators]\nchannels = ["duty", "mail"]\n'
        )
        environ = {**os.environ, "KEY": "S3cr3tKey"}

        def run(*args):
            done = cli(*args, "--lake", tmp_path / "lake", cwd=tmp_path, env=environ)
            assert 0 == done.returncode, done.stderr
            assert "S3cr3tKey" not in done.stdout + done.stderr
            return done.stdout

        def deliver_part(number):
            return json.loads(run("refresh", "--data", tmp_path / "parts" / str(number), "--json"))

        def told():
            about = [body for body in service.bodies if "is low" in json.dumps(body)]
            return [body["event_action"] for body in service.bodies], [body["event_action"] for body in about]

        # What the first build finds is history.
        deliver_part(0)
        assert ([], 0) == (told()[0], len(box.letters))

        deliver_part(1)
        everything, about = told()
        print("told of the fault:", [(b["event_action"], b.get("payload", {}).get("summary")) for b in service.bodies])
        assert ["trigger"] == about == everything
        (body,) = service.bodies
        (letter,) = box.letters
        words = text_of(letter[2])
        print(words)
        # What, where, since when, seen and expected, what to do.
        for said in (
            "where     pai2020",
            f"since     day {day + 5}, ",
            "seen ",
            "expected ",
            "% of the GPU time",
            "gpulake explain",
        ):
            assert said in words
        assert f"pai2020: GPU use of day {day + 5} is low" in letter[2].replace("\r\n ", " ")
        assert body["payload"]["summary"].startswith("pai2020: GPU use of day")

        # The same again: nothing to build, nothing to say.
        deliver_part(1)
        assert (everything, 1) == (told()[0], len(box.letters))

        (incident,) = [
            each for each in json.loads(run("alerts", "list", "--json"))["incidents"] if each["rule"] == "anomaly_day"
        ]
        assert "queued" in run("alerts", "ack", incident["incident_id"], "--by", "ann", "--note", "a holiday")
        run("alerts", "send")
        assert ["trigger", "acknowledge"] == told()[0]
        assert 1 == len(box.letters)

        deliver_part(2)
        everything, _ = told()
        print("told at last:", [(b["event_action"], b.get("payload", {}).get("summary")) for b in service.bodies])
        assert ["trigger", "acknowledge", "resolve"] == everything
        assert 1 == len({body["dedup_key"] for body in service.bodies})
        _, last = box.letters
        assert "over" in text_of(last[2]).lower()
        shown = run("alerts", "show", incident["incident_id"])
        for life in ("open", "acknowledge by ann", "resolve"):
            assert life in shown

        deliver_part(2)
        assert (everything, 2) == (told()[0], len(box.letters))
