"""What Slurm writes, taken apart: every oddity of its texts, and every capture that is here."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake.errors import SourceError
from gpulake.landing import recognition, rows
from gpulake.landing.recognition import Recognised
from gpulake.sources.parsing import slurm_jobs, slurm_nodes, slurm_words
from gpulake.sources.slurm import EVENT, JOB, NODE, PLACEMENT, SOURCE

FIXTURES = Path(__file__).parents[2] / "fixtures" / "slurm"
SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "slurm-samples"
FORMS = [form for table in SOURCE.tables for form in (table.format, *table.also)]


def landed(file: Path, folder: Path, *, time_zone: str = "UTC") -> tuple[str, pl.DataFrame, list[dict[str, object]]]:
    """The table that a file is, its rows as they land, and what was refused."""
    found = recognition.recognise(file, SOURCE.tables)
    assert isinstance(found, Recognised), found
    converted = rows.convert(found, landing_id="0" * 64, folder=folder, time_zone=time_zone)
    frames = [pl.read_parquet(part) for part in converted.files]
    kept = pl.concat(frames) if frames else pl.DataFrame()
    return found.table.name, kept, converted.refused.to_pylist()


def joined(frames) -> pl.DataFrame:
    """Frames as one, times as their texts: a parser gives either."""
    return pl.concat([frame.with_columns(pl.col(pl.Datetime).dt.strftime("%FT%T")) for frame in frames])


def sacct(text: str) -> pl.DataFrame:
    return joined(slurm_jobs.sacct_rows([text.encode()], "sacct.txt"))


# ---------------------------------------------------------------------- resources: by hand, from Slurm's documentation

TRES = [
    # text, cores, GiB, nodes, GPUs, model
    ("cpu=2,gres/gpu=1,node=1", 2, None, 1, 1, None),
    ("billing=1,cpu=1,gres/gpu:h100=1,gres/gpu=1,node=1", 1, None, 1, 1, "h100"),
    ("cpu=1,gres/gpu=1,gres/gpu:h100=1", 1, None, None, 1, "h100"),
    ("gres/gpu:a100=2,gres/gpu=2", None, None, None, 2, "a100"),
    ("gres/gpu:a100=2", None, None, None, 2, "a100"),
    ("gres/gpu:a100=2,gres/gpu:h100=1,gres/gpu=3", None, None, None, 3, None),
    ("gres/gpu:a100=2,gres/gpu:h100=1", None, None, None, 3, None),
    ("gres/gpu=4,gres/gpu:a100=2", None, None, None, 4, None),
    ("gres/gpu=1,gres/gpu:a100=2", None, None, None, 2, "a100"),
    ("cpu=320,gres/gpu=32,mem=1600G,node=4,billing=2064", 320, 1600, 4, 32, None),
    ("billing=8,cpu=8,gres/gpu:h100=4,gres/gpu=4,node=1", 8, None, 1, 4, "h100"),
    ("cpu=20480,gres/gpu=2048,mem=0,node=256", 20480, None, 256, 2048, None),
    ("cpu=1,mem=200M,node=1", 1, 200 / 1024, 1, None, None),
    ("cpu=1,mem=2048", 1, 2, None, None, None),
    ("cpu=12288,gres/gpu=1024,mem=60T,node=128", 12288, 60 * 1024, 128, 1024, None),
    ("mem=1.50T", None, 1536, None, None, None),
    ("mem=77460K", None, 77460 / 1024**2, None, None, None),
    ("cpu=4,node=1", 4, None, 1, None, None),
    ("gres/gpu=0,cpu=4", 4, None, None, None, None),
    ("gres/gpu:1g.10gb=7,gres/gpu=7", None, None, None, 1, None),
    ("gres/gpu:a100_3g.20gb=2", None, None, None, 6 / 7, "a100"),
    ("gres/gpu:nvidia_a100-sxm4-40gb_1g.5gb=1,gres/gpu=1", None, None, None, 1 / 7, "nvidia_a100-sxm4-40gb"),
    ("gres/gpu:7g.80gb=1", None, None, None, 1, None),
    ("gres/gpu:a30_2g.12gb=2", None, None, None, 1, "a30"),
    ("gres/gpu:a100=1,gres/gpu:a100_1g.5gb=7,gres/gpu=8", None, None, None, 2, "a100"),
    ("gres/gpu:NVIDIA_H100_80GB_HBM3=8,gres/gpu=8", None, None, None, 8, "nvidia_h100_80gb_hbm3"),
    ("gres/mps=50,cpu=1", 1, None, None, 0.5, None),
    ("gres/gpumem=17G,gres/gpuutil=75,cpu=1", 1, None, None, None, None),
    ("gres/tmpfs:ssd=1,gres/gpu=2,license/matlab=3", None, None, None, 2, None),
    ("billing=1,cpu=1,energy=0,fs/disk=0,vmem=0,pages=0", 1, None, None, None, None),
    ("", None, None, None, None, None),
    ("cpu=,mem=many,node=one,gres/gpu=two", None, None, None, None, None),
    (",,cpu = 3,=,gres/gpu", 3, None, None, None, None),
]


@pytest.mark.parametrize(("text", "cpus", "gib", "nodes", "gpus", "model"), TRES)
def test_resources_are_read_in_every_spelling(text, cpus, gib, nodes, gpus, model):
    """A GPU that counts twice, or not at all, is a wrong bill."""
    frame = slurm_words.with_amounts(pl.DataFrame({"tres": [text]}), "tres", prefix="")
    (found,) = frame.rows(named=True)

    assert (cpus, nodes, model) == (found["cpus"], found["nodes"], found["gpu_model"])
    assert gpus == (None if found["gpus"] is None else pytest.approx(found["gpus"]))
    assert gib == (None if found["memory_bytes"] is None else pytest.approx(found["memory_bytes"] / 2**30))


@pytest.mark.parametrize(
    ("text", "gpus", "model"),
    [
        ("gpu:h100:4", 4, "h100"),
        ("gpu:gen:8(S:0-1)", 8, "gen"),
        ("gpu:8", 8, None),
        ("gpu", 1, None),
        ("gpu:tesla", 1, "tesla"),
        ("PER_NODE:gpu:8", 8, None),
        ("gres/gpu:2", 2, None),
        ("gpu:a100:4(S:0),gpu:a100_1g.5gb:14(S:1)", 6, "a100"),
        ("gpu:ampere:0(IDX:N/A)", 0, None),
        ("shard:8,gpu:t4:2", 2, "t4"),
        ("gpu:a100:4,gpu:v100:4", 8, None),
        ("(null)", None, None),
        ("craynetwork:4", None, None),
    ],
)
def test_generic_resources_of_a_node_are_its_gpus(text, gpus, model):
    """Capacity is counted from them."""
    found = slurm_words.gres(text)

    assert (gpus, model) == (None if found[0] is None else pytest.approx(found[0]), found[1])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node1", "node1"),
        ("node[01-03,7]", "node01 node02 node03 node7"),
        ("node[1-2],gpu9,rack[3]", "node1 node2 gpu9 rack3"),
        ("r[1-2]n[08-10]", "r1n08 r1n09 r1n10 r2n08 r2n09 r2n10"),
        ("n[1-2]-ib", "n1-ib n2-ib"),
        ("a.b.c", "a.b.c"),
        ("n[1-", ""),
        ("n[3-1]", ""),
        ("n[a-b]", ""),
        ("n[0-999999999]", ""),
        ("n[0-9999]m[0-9999]", ""),
        ("", ""),
    ],
)
def test_lists_of_nodes_are_told_one_by_one(text, names):
    """A list of a billion nodes must not fill the memory."""
    assert tuple(names.split()) == slurm_words.hosts(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu:h100:2(IDX:0-1)", (0, 1)),
        ("gpu:a100:3(IDX:0,2-3)", (0, 2, 3)),
        ("gpu:a100:0(IDX:N/A)", ()),
        ("gpu:2", ()),
        ("gpu:a:1(IDX:4),gpu:b:1(IDX:7)", (4, 7)),
        ("gpu:1(IDX:0-999999999)", ()),
    ],
)
def test_indices_of_devices(text, expected):
    """Samples meet jobs by device: one too many is another job's."""
    assert expected == slurm_words.indices(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("00:01:39", 99), ("1-01:50:50", 93_050), ("00:00.169", 0.169), ("3-00:00:07", 259_207), ("INVALID", None)],
)
def test_lengths_of_time(text, expected):
    """Days stand before a dash."""
    assert expected == slurm_words.seconds(text)


# ---------------------------------------------------------------------- sacct

HEADER = "JobID|User|State|Submit|Start|End|JobName|Comment"
ROW = "7|ada|COMPLETED|2026-03-01T10:00:00|2026-03-01T10:05:00|2026-03-01T11:05:00|train|"


def test_every_oddity_of_a_record_is_put_together_again():
    """A line break in a comment must not cost a job, nor give it another one's times."""
    frame = sacct((FIXTURES / "odd_sacct.txt").read_text())
    good = frame.filter(pl.col("reason").is_null())

    assert ["100", "101", "102", "103", "104", "106"] == good["jobid"].to_list()
    assert [3, 4, 6, 7, 8, 10] == good["source_row"].to_list()
    assert ["plain", "two\nlines", "pending", "cancelled", "last"] == good.filter(pl.col("jobid") != "102")[
        "jobname"
    ].to_list()
    assert ["ml"] == good["account"].unique().to_list()
    assert ["2026-03-01T10:00:00"] == good["submit"].unique().to_list()
    assert [None, None] == good.filter(pl.col("jobid").is_in(["103", "104"]))["start"].to_list()
    assert [1.0, None, None, None, None, 6.0] == good["alloc_gpus"].to_list()
    assert [1.0, None, None, 4.0, 4.0, 6.0] == good["req_gpus"].to_list()
    assert "n1,n2,n4" == good.filter(pl.col("jobid") == "106")["nodes"].item()
    (torn,) = frame.filter(pl.col("reason").is_not_null()).select("source_row", "reason", "raw_text").rows()
    assert (9, "5 fields where 15 are expected", "105|bob|torn|ml|gpu") == torn


@pytest.mark.parametrize("delimiter", ["|", "^", "|#", "\t", ";", "~~", "\x1f"])
@pytest.mark.parametrize("ends", [False, True])
def test_any_delimiter_will_do(delimiter, ends):
    """--delimiter and --parsable are how people escape a comment with a bar in it."""
    text = "\n".join(line.replace("|", delimiter) + delimiter * ends for line in (HEADER, ROW, ROW.replace("7|", "8|")))
    frame = sacct(text + "\n")

    assert slurm_jobs.is_sacct(text.encode())
    assert ["7", "8"] == frame["jobid"].to_list()
    assert [None, None] == frame["reason"].to_list()


def test_the_order_of_fields_and_further_ones_are_irrelevant():
    """Every site has its own --format."""
    other = "End|Start|WorkDir|Submit|State|TRESUsageInTot|User|JobID\n"
    row = "2026-03-01T11:05:00|2026-03-01T10:05:00|/home|2026-03-01T10:00:00|COMPLETED||ada|7\n"
    names = ["jobid", "user", "state", "submit", "start", "end"]

    assert sacct(f"{HEADER}\n{ROW}\n").select(names).rows() == sacct(other + row).select(names).rows()


def test_times_may_be_seconds_since_1970(tmp_path):
    """SLURM_TIME_FORMAT=%s says which of two instants it was when clocks go back."""
    file = tmp_path / "sacct.txt"
    file.write_text("JobID|User|State|Submit|Start|End\n1|ada|RUNNING|1793062800|1793064600|Unknown\n")
    _, kept, refused = landed(file, tmp_path / "out", time_zone="Europe/Berlin")

    assert [] == refused
    assert ["2026-10-27T01:00:00", "2026-10-27T01:30:00"] == [
        kept[name].dt.strftime("%FT%T").item() for name in ("submit", "start")
    ]
    assert [None] == kept["end"].to_list()


def test_a_header_that_comes_again_is_no_row():
    """Nightly exports are put together with cat."""
    assert ["7", "7"] == sacct(f"{HEADER}\n{ROW}\n{HEADER}\n{ROW}\n")["jobid"].to_list()


def test_a_delimiter_too_many_makes_up_for_none_too_few():
    """Fields that have moved by one would be kept as a job's: a state that is an exit code, a start that is an end."""
    good, short = ROW, ROW.replace("|COMPLETED", "COMPLETED")
    frame = sacct("\n".join([HEADER, good, short, good, f"{good}a|b"]) + "\n")

    assert [2, 3, 4, 5] == frame["source_row"].to_list()
    assert [3] == frame.filter(pl.col("reason").is_not_null())["source_row"].to_list()


def test_a_record_that_is_cut_off_takes_no_later_one_with_it():
    """Lines of a name that breaks are put together: not with what another record left off, whole ones between them."""
    times = "COMPLETED|2026-03-01T10:00:00|2026-03-01T10:05:00|2026-03-01T11:05:00"
    whole = [f"{number}|ada|{times}|1|train" for number in (6, 7, 9)]
    odd = [f"8|ada|{times}|2K|first", "second"]
    lines = ["JobID|User|State|Submit|Start|End|NNodes|JobName", "5|ada", *whole[:2], *odd, whole[2]]
    frame = sacct("\n".join(lines) + "\n")

    assert [(2, None), (3, "6"), (4, "7"), (5, "8"), (7, "9")] == frame.select("source_row", "jobid").rows()
    assert [2] == frame.filter(pl.col("reason").is_not_null())["source_row"].to_list()
    assert "first\nsecond" == frame["jobname"][3]


def test_a_line_break_in_a_name_is_no_new_record_where_the_number_stands_late():
    """Whatever the order of fields: here the rest of a name stands where a user would."""
    text = (
        "User^State^JobID^Submit^Start^End^JobName^Comment^SubmitLine\n"
        "ada^COMPLETED^7^2026-03-01T10:00:00^2026-03-01T10:05:00^2026-03-01T11:05:00^two\nlines | of it^^sbatch --comment a\nb\n"
        "ada^FAILED^8^2026-03-01T10:00:00^2026-03-01T10:05:00^2026-03-01T11:05:00^plain^^sbatch\n"
    )
    frame = sacct(text)

    assert [("7", "two\nlines | of it", None), ("8", "plain", None)] == frame.select(
        "jobid", "jobname", "reason"
    ).rows()


def test_where_blocks_end_is_irrelevant():
    """A large file is read in blocks, and a record may lie across two."""
    lines = (FIXTURES / "odd_sacct.txt").read_bytes().splitlines(keepends=True)
    whole = joined(slurm_jobs.sacct_rows([b"".join(lines)], "f"))
    for size in (1, 2, 3, 5):
        blocks = [b"".join(lines[at : at + size]) for at in range(0, len(lines), size)]

        assert whole.equals(joined(slurm_jobs.sacct_rows(blocks, "f")))


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u3000"])
def test_blanks_beside_a_delimiter_are_no_part_of_a_field(blank):
    """Whether any are there is seen in the bytes, where the fields are read at once."""
    padded = ROW.replace("|", f"|{blank}", 1) + blank
    frame = sacct(f"{HEADER}\n{ROW}\n{padded}\n{ROW}\n")

    assert frame.drop("source_row").row(0) == frame.drop("source_row").row(1)
    assert [2, 3, 4] == frame["source_row"].to_list()


def test_the_last_record_is_no_frame_of_its_own():
    """It waits for what may follow; a file of a few thousand rows would land as two files, one of a single row."""
    frames = list(slurm_jobs.sacct_rows([f"{HEADER}\n{ROW}\n{ROW}\n{ROW}\n".encode()], "sacct.txt"))

    assert [3] == [frame.height for frame in frames]


def test_a_length_is_told_by_its_text_where_its_seconds_are_not():
    """Only those texts are read."""
    frame = sacct(
        "JobID|User|State|Submit|Start|End|Elapsed|ElapsedRaw\n"
        "1|ada|COMPLETED|2026-03-01T00:00:00|2026-03-01T00:00:00|2026-03-01T01:00:00|01:00:00|3600\n"
        "2|ada|COMPLETED|2026-03-01T00:00:00|2026-03-01T00:00:00|2026-03-02T01:00:00|1-01:00:00|\n"
    )

    assert [3600, 90000] == frame["elapsedraw"].to_list()


def test_a_name_that_is_no_utf8_costs_no_job():
    """A job's GPU-hours do not depend on how its user's editor was set."""
    frame = joined(
        slurm_jobs.sacct_rows([f"{HEADER}\n".encode() + ROW.replace("train", "caf\xe9").encode("latin1")], "f")
    )

    assert [("7", "caf\ufffd", None)] == frame.select("jobid", "jobname", "reason").rows()


def test_a_file_without_what_tells_jobs_apart_says_so():
    """Jobs named by their number alone would be mixed up when numbers are used again."""
    (row,) = sacct("JobID|State|Start|End\n7|COMPLETED|2026-03-01T10:05:00|2026-03-01T11:05:00\n").rows(named=True)

    assert row["reason"].startswith("the file lacks user, submit")


@pytest.mark.parametrize(
    "text",
    [
        "JobID,JobName,Partition\n1,a,b\n",
        "a|b|c\n1|2|3\n",
        "JobID           JobName  Partition\n------------ ---------- ----------\n",
        "",
    ],
)
def test_other_texts_are_not_sacct(text):
    """A table for people has no delimiters, and its names are cut."""
    assert not slurm_jobs.is_sacct(text.encode())


def test_real_records_of_a_scheduler(tmp_path):
    """Requeues, arrays, whole nodes: as a scheduler of today wrote them."""
    table, kept, refused = landed(FIXTURES / "sacct.txt", tmp_path)
    jobs = kept.filter(~pl.col("jobid").str.contains(".", literal=True))

    assert (JOB.name, []) == (table, refused)
    assert 39 == kept.height
    assert {"5": 2, "12": 3} == {key: jobs.filter(pl.col("jobid") == key).height for key in ("5", "12")}
    assert "gpu1,gpu2" == jobs.filter(pl.col("jobid") == "3")["nodes"].item()
    (exclusive,) = jobs.filter(pl.col("jobid") == "11").select("req_gpus", "alloc_gpus", "alloc_gpu_model").rows()
    assert (1.0, 4.0, "h100") == exclusive
    (waiting,) = jobs.filter(pl.col("jobid") == "13_[0-3%1]").select("start", "end", "nodes", "state").rows()
    assert (None, None, None, "PENDING") == waiting


def test_local_times_are_of_the_clusters_zone_and_what_is_ambiguous_is_counted(tmp_path):
    """02:30 of the night when clocks go back is one of two instants: elapsed time tells which, in the staging models."""
    file = tmp_path / "sacct.txt"
    file.write_text(
        "JobID|User|State|Submit|Start|End|ElapsedRaw\n"
        "1|ada|COMPLETED|2026-10-25T01:00:00|2026-10-25T02:30:00|2026-10-25T04:00:00|9000\n"
    )
    _, kept, _ = landed(file, tmp_path / "out", time_zone="Europe/Berlin")

    assert [(datetime(2026, 10, 24, 23), None, datetime(2026, 10, 25, 3), 9000.0)] == kept.select(  # noqa: DTZ001
        "submit", "start", "end", "elapsedraw"
    ).rows()


# ---------------------------------------------------------------------- JSON


def test_the_json_says_what_the_text_says(tmp_path):
    """One job, told twice, must be one job."""
    table, kept, refused = landed(FIXTURES / "sacct.json", tmp_path / "json")
    _, text, _ = landed(FIXTURES / "sacct.txt", tmp_path / "text")
    names = ["jobid", "user", "account", "partition", "qos", "state", "submit", "start", "end", "elapsedraw", "nodes"]
    names += ["req_gpus", "alloc_gpus", "alloc_gpu_model", "alloc_cpus", "timelimitraw"]
    told = kept.select(names).filter(pl.col("jobid") != "15").sort("jobid", "submit").rows()

    assert (JOB.name, []) == (table, refused)
    assert {"3", "5", "4_0", "11", "15"} == set(kept["jobid"])
    for row in told:
        same = text.select(names).filter((pl.col("jobid") == row[0]) & (pl.col("submit") == row[6])).rows()
        assert same == [row]


def test_numbers_of_later_versions_are_objects():
    """{set, infinite, number}, lists of states: from Slurm 23 on."""
    document = """sacct: a warning
    {"jobs": [{"job_id": 9, "association": {"user": "ada"}, "user": "ada", "name": "a",
      "array": {"job_id": 4, "task_id": {"set": true, "infinite": false, "number": 2}, "task": ""},
      "state": {"current": ["COMPLETED"], "reason": "None"}, "nodes": "n1",
      "time": {"submission": 1772359200, "start": {"set": true, "number": 1772359210}, "end": 1772359220, "elapsed": 10,
               "limit": {"set": false, "infinite": true, "number": 0}},
      "exit_code": {"return_code": {"set": true, "number": 7}, "signal": {"id": {"set": false, "number": 0}}},
      "tres": {"allocated": [{"type": "gres", "name": "gpu", "id": 1, "count": 2}, {"type": "mem", "name": "", "count": 1024}]}}],
     "meta": {}}"""
    assert slurm_jobs.is_json(document.encode())
    (row,) = pl.concat(slurm_jobs.json_rows([document.encode()], "f")).rows(named=True)

    assert ("4_2", "COMPLETED", "7:0", 2.0, 2.0**30, None) == tuple(
        row[name] for name in ("jobid", "state", "exitcode", "alloc_gpus", "alloc_memory_bytes", "timelimitraw")
    )
    assert datetime(2026, 3, 1, 10, tzinfo=UTC) == row["submit"]


def test_a_cut_document_is_told_as_one():
    """Half a document must not be taken for a quiet day."""
    whole = (FIXTURES / "sacct.json").read_bytes()
    with pytest.raises(SourceError, match="damaged"):
        list(slurm_jobs.json_rows([whole[: len(whole) // 2]], "sacct.json"))


# ---------------------------------------------------------------------- nodes, events, placements


def test_nodes_as_scontrol_tells_them(tmp_path):
    """Capacity comes from here."""
    table, kept, refused = landed(FIXTURES / "scontrol_show_node.txt", tmp_path)

    assert (NODE.name, []) == (table, refused)
    assert [("gpu1", 8.0, 4000.0, 4.0, "h100"), ("gpu2", 8.0, 4000.0, 4.0, "h100")] == kept.select(
        "node", "cpus", "memory_mib", "gpus", "gpu_model"
    ).rows()


def test_nodes_as_json_tells_them(tmp_path):
    """Partitions are a list, or one name; a number in their place must not end the reading."""
    table, kept, refused = landed(FIXTURES / "scontrol_show_node.json", tmp_path)

    assert (NODE.name, []) == (table, refused)
    assert [
        ("n1", 64.0, 4.0, "h100", "IDLE+DRAIN", "gpu,debug"),
        ("n2", 32.0, 0.0, None, "DOWN+NOT_RESPONDING", "cpu"),
    ] == kept.select("node", "cpus", "gpus", "gpu_model", "state", "partitions").rows()
    odd = b'{"nodes": [{"name": "n3", "real_memory": 1, "slurmd_version": "", "partitions": 5}]}'
    assert ["n3"] == pl.concat(slurm_nodes.json_rows([odd], "f"))["node"].to_list()


@pytest.mark.parametrize("one_line", [False, True])
def test_a_reason_may_hold_anything(one_line):
    """Whoever drains a node writes why in words of his own."""
    lines = [
        "NodeName=n1 Arch=x86_64 CoresPerSocket=1 ",
        "   CPUAlloc=0 CPUTot=64 CPULoad=3.98",
        "   AvailableFeatures=a100,ib Gres=gpu:a100:8(S:0-1)",
        "   OS=Linux 6.1.0 #1 SMP x=y ",
        "   RealMemory=1024000 State=DOWN*+DRAIN ThreadsPerCore=1",
        "   Reason=ECC on GPU=3, State=bad | see ticket [root@2026-03-01T10:00:00]",
    ]
    text = (
        " ".join(line.strip() for line in lines) if one_line else "\n".join(lines)
    ) + "\n\nNodeName=n2 CPUTot=4 State=IDLE\n"
    first, second = pl.concat(slurm_nodes.scontrol_rows([text.encode()], "f")).rows(named=True)

    assert ("n1", "64", "1024000", 8.0, "a100", "DOWN*+DRAIN") == tuple(
        first[name] for name in ("node", "cpus", "memory_mib", "gpus", "gpu_model", "state")
    )
    assert ("ECC on GPU=3, State=bad | see ticket", "2026-03-01T10:00:00") == (
        first["state_reason"],
        first["reason_at"],
    )
    assert ("n2", "4", None, None) == tuple(second[name] for name in ("node", "cpus", "gpus", "state_reason"))


def test_nodes_as_sinfo_tells_them(tmp_path):
    """A line may tell of several nodes, and a node stands in every partition that has it."""
    table, kept, refused = landed(FIXTURES / "sinfo.txt", tmp_path)

    assert (NODE.name, []) == (table, refused)
    assert [
        ("gpu01", 8.0, "a100", 128.0, None, None),
        ("gpu02", 8.0, "a100", 128.0, None, None),
        ("gpu03", 6.0, "a100", 128.0, "fan | again", datetime(2026, 3, 1, 10)),  # noqa: DTZ001
        ("gpu03", 6.0, "a100", 128.0, "fan | again", datetime(2026, 3, 1, 10)),  # noqa: DTZ001
        ("cpu01", 0.0, None, 64.0, None, None),
    ] == kept.sort("source_row").select("node", "gpus", "gpu_model", "cpus", "state_reason", "reason_at").rows()
    assert 5 == kept["source_row"].n_unique()


def test_events_are_spans(tmp_path):
    """What was down stands in the accounting, from when to when."""
    table, kept, refused = landed(FIXTURES / "sacctmgr_show_event.txt", tmp_path)

    assert (EVENT.name, []) == (table, refused)
    assert [
        (None, None, "Cluster Registered TRES", None),
        ("gpu2", "DRAIN", "fan failed | really", datetime(2026, 11, 30, 19, 55, 1)),  # noqa: DTZ001
    ] == kept.select("node", "state", "state_reason", "to_at").rows()


def test_a_job_holds_devices_on_each_of_its_nodes(tmp_path):
    """Nodes that hold the same devices stand in one line."""
    table, kept, refused = landed(FIXTURES / "scontrol_show_job.txt", tmp_path)

    assert (PLACEMENT.name, []) == (table, refused)
    assert [
        ("13_[0-3%1]", None, None, None),
        ("16", "gpu1", 1.0, 0.0),
        ("16", "gpu1", 1.0, 1.0),
        ("16", "gpu2", 2.0, 0.0),
        ("16", "gpu2", 2.0, 1.0),
        ("17", "gpu1", 1.0, 2.0),
        ("18_7", "gpu1", 1.0, 3.0),
    ] == kept.sort("source_row").select("jobid", "node", "node_place", "gpu_index").rows()
    assert ["root"] == kept["user"].unique().to_list()
    assert [None] == kept["end"].unique().to_list()


# ---------------------------------------------------------------------- every capture that is here

CAPTURES = [
    # file, table, rows kept, rows refused
    ("meta-gcm/sample-sacct-one-multiline.txt", JOB, 4, 0),
    ("meta-gcm/sample-sacct-output-invalid-utf8.txt", JOB, 11, 0),
    ("meta-gcm/sample-sacct-output-midnight-edge-case.txt", JOB, 0, 1186),
    ("meta-gcm/sample-sacct-output-with-invalid-lines.txt", JOB, 0, 1),
    ("meta-gcm/sample-sacct-output.txt", JOB, 68, 0),
    ("meta-gcm/sample-sacct-running-output.txt", JOB, 10, 0),
    ("meta-gcm/sample-sinfo-output.txt", NODE, 4, 0),
    ("meta-gcm/sinfo-output-for-structured.txt", NODE, 10, 0),
    ("real-single-node/sacct_all.psv", JOB, 13, 0),
    ("rivos/sinfo_out.json", NODE, 4, 0),
    ("rivos/squeue_out.json", JOB, 2, 0),
    ("telegraf-slurmrestd/jobs.json", JOB, 3, 0),
    ("telegraf-slurmrestd/nodes.json", NODE, 3, 0),
]


@pytest.mark.parametrize(("name", "table", "kept", "refused"), CAPTURES, ids=[each[0] for each in CAPTURES])
def test_every_capture_is_read(tmp_path, name, table, kept, refused):
    """Counts by hand: records are told by their job numbers, nodes by their names."""
    if not (SAMPLES / name).is_file():
        pytest.skip(f"the captures of Slurm are not here: {SAMPLES}")
    found, frame, without = landed(SAMPLES / name, tmp_path)

    assert (table.name, kept, refused) == (found, frame.height, len(without))


# ---------------------------------------------------------------------- anything at all

WORDS = st.sampled_from(
    [
        "1|", "7.batch|", "\n", "|", "JobID|", "State|", "COMPLETED", "Unknown", "2026-03-01T10:00:00|", "NodeName=n1 ", "\x00",
        "Gres=gpu:a:4 ", "JobId=1 JobName=x UserId=a(1)\n", "   Nodes=n[1-2] CPU_IDs=0 Mem=0 GRES=gpu:a:2(IDX:0-1)\n", HEADER,
        ROW, '{"jobs": [{"job_id": 1, "tres": {}, "time": {}}]}', '{"nodes": [{"real_memory": 1, "slurmd_version": 1}]}', "[", "]",
        "cpu=1,gres/gpu=2|", "NODELIST|STATE\n", "Cluster|NodeName|TimeStart|TimeEnd|State|Reason|User\n", "é", "\r\n",
    ]
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.rows.__name__)
@settings(max_examples=30, deadline=None, database=None)
@given(text=st.lists(st.one_of(WORDS, st.text(string.printable, max_size=8))).map("".join), cut=st.integers(0, 9))
def test_nothing_breaks_a_parser(form, text, cut):
    """A parser that fails on a line loses the file; one that repeats a row number loses a row."""
    lines = text.encode().splitlines(keepends=True)
    form.is_it(text.encode())
    try:
        frames = list(form.rows([b"".join(lines[:cut]), b"".join(lines[cut:])], "f.txt"))
    except SourceError:
        return
    for frame in frames:
        assert set(frame.columns) >= {"source_row"}
        assert frame["source_row"].null_count() == 0
    if frames:
        numbers = pl.concat([frame["source_row"] for frame in frames])
        assert numbers.n_unique() == len(numbers)


@settings(max_examples=30, deadline=None, database=None)
@given(
    names=st.lists(
        st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=12),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_people_name_their_jobs_each_is_kept_or_refused(names):
    """Rows in are rows kept and refused: a name is data, whatever stands in it."""
    lines = [ROW.replace("7|", f"{at + 1}|").replace("train", name) for at, name in enumerate(names)]
    frame = sacct("\n".join([HEADER, *lines]) + "\n")
    good = frame.filter(pl.col("reason").is_null())

    assert set(good["submit"]) <= {"2026-03-01T10:00:00"}
    assert set(good["jobid"]) <= {str(at + 1) for at in range(len(names))}
    plain = [
        str(at + 1) for at, name in enumerate(names) if not set(name) & set("|\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
    ]
    assert set(plain) <= set(good["jobid"])
