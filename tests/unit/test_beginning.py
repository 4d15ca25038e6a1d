"""`gpulake init`: what was answered is what is read again, and nothing that stands is overwritten."""

from __future__ import annotations

import io
import json
import sys

import pytest

from gpulake import beginning, config, price_list
from gpulake.beginning import Answers, begin
from gpulake.cli import main
from gpulake.errors import UsageError


@pytest.mark.parametrize(
    "answers",
    [
        Answers(),
        Answers(lake="deep/lake", cluster="köln.2", zone="Europe/Berlin", has_slurm=True, prices="our prices.csv"),
        Answers(
            cluster="a.b", has_slurm=True, via="ssh -i 'my key' login1", prometheus_url="https://p.example/prometheus"
        ),
        Answers(lake='la"ke\\ \t', prometheus_url="http://[::1]:9090"),
    ],
)
def test_what_was_answered_is_what_is_read(tmp_path, answers):
    """A file that gpulake wrote and then refuses would end the first ten minutes."""
    begin(tmp_path, answers)
    read = config.load({}, folder=tmp_path)

    assert tmp_path / answers.lake == read.lake
    assert answers.zone == read.cluster(answers.cluster).time_zone
    assert answers.has_slurm == ("slurm" in read.collect)
    assert answers.via == read.collect.get("slurm", {}).get("via")
    assert answers.prometheus_url == read.collect.get("prometheus", {}).get("url")
    assert {answers.cluster} >= {told["cluster"] for told in read.collect.values()}
    assert (tmp_path / answers.prices if answers.prices else None) == read.prices


def test_every_comment_is_a_setting_that_can_be_read(tmp_path):
    """Who takes a # away must not get an error for it."""
    text = beginning.settings_text(Answers())
    (tmp_path / "gpulake.toml").write_text(
        "\n".join(
            line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in text.splitlines()
        )
    )
    (tmp_path / "prices.csv").write_text(beginning.EXAMPLE_PRICES)
    read = config.load({}, folder=tmp_path)

    assert ("ssh login1", "30s") == (read.collect["slurm"]["via"], read.collect["prometheus"]["step"])
    assert ("oncall",) == read.audiences["operators"]
    assert {"NVIDIA H100-SXM5-80GB", "NVIDIA A100-SXM4-80GB", "NVIDIA L40S"} == {
        price.gpu_model for price in price_list.read(read.prices)
    }


def test_nothing_is_overwritten(tmp_path):
    """Somebody's settings, and somebody's prices."""
    (tmp_path / "prices.csv").write_text("gpu_model,usd_per_gpu_h\nours,1\n")
    assert begin(tmp_path, Answers(prices="prices.csv")).prices is None
    before = (tmp_path / "gpulake.toml").read_text()
    with pytest.raises(UsageError, match=r"there is a gpulake\.toml already"):
        begin(tmp_path, Answers(cluster="other", prices="new.csv"))

    assert before == (tmp_path / "gpulake.toml").read_text()
    assert "ours" in (tmp_path / "prices.csv").read_text()
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        (Answers(cluster="a/b"), "is no name for a cluster"),
        (Answers(zone="Berlin"), "unknown time_zone"),
        (Answers(prometheus_url="http://ada:secret@h:1"), "holds a name or a password"),
        (Answers(prometheus_url="h:9090"), "the address is none"),
        (Answers(has_slurm=True, via="ssh 'login"), "is no COMMAND"),
        (Answers(lake="a\x7f"), "control character"),
    ],
)
def test_an_answer_that_is_none_writes_nothing(tmp_path, answers, what):
    """A password in a file, or a file that cannot be read again."""
    with pytest.raises(UsageError, match=what):
        begin(tmp_path, answers)

    assert [] == list(tmp_path.iterdir())


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_it_asks_for_what_no_option_says(tmp_path, monkeypatch, capsys):
    """Somebody who has read nothing answers five questions; a slip is told at once, and asked again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Terminal("lab\nBerlin\nEurope/Berlin\ny\n\np:9090\nhttp://p:9090\n\n"))

    assert 0 == main(["init", "--lake", "deep"])
    read = config.load({})
    assert (tmp_path / "deep", "Europe/Berlin", None) == (read.lake, read.cluster("lab").time_zone, read.prices)
    assert {"slurm": {"cluster": "lab"}, "prometheus": {"cluster": "lab", "url": "http://p:9090"}} == read.collect
    out, err = capsys.readouterr()
    assert "gpulake collect slurm" in out
    assert "What is your cluster called" in err
    assert "unknown time_zone 'Berlin'" in err
    assert "write it as http://host:9090" in err


def test_a_script_is_asked_nothing(tmp_path, monkeypatch, capsys):
    """One JSON object, also where there is a file already."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Terminal(""))

    assert 0 == main(["init", "--cluster", "lab", "--via", "ssh login1", "--json"])
    assert "gpulake collect slurm --since 30d --refresh" == json.loads(capsys.readouterr().out)["next"][-1]
    assert 2 == main(["init"])
    assert "left as it is" in capsys.readouterr().err


def test_the_zone_of_this_machine(tmp_path):
    """Most sites are in the zone of the machine that asks."""
    link = tmp_path / "localtime"
    assert "UTC" == beginning.local_zone({}, link)
    link.symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    assert "Europe/Berlin" == beginning.local_zone({}, link)
    assert "Asia/Tokyo" == beginning.local_zone({"TZ": ":Asia/Tokyo"}, link)
