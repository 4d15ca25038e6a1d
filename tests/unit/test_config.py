"""Settings: every value can be traced to where it was read, and a wrong one is told with its place."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

from gpulake import config
from gpulake.errors import UsageError


def write(folder, text):
    (folder / "gpulake.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "environment", "file", "lake", "origin"),
    [
        ("o", "e", "f", "o", "--lake"),
        (None, "e", "f", "e", "environment GPULAKE_LAKE"),
        (None, "", "f", "f", "gpulake.toml"),
        (None, None, "f", "f", "gpulake.toml"),
        (None, None, None, "lake", "default"),
        ("o", None, None, "o", "--lake"),
    ],
)
def test_the_nearest_word_wins_and_says_where_it_stood(tmp_path, monkeypatch, option, environment, file, lake, origin):
    """Somebody whose lake is "not there" must learn which setting named it."""
    monkeypatch.chdir(tmp_path)
    if file:
        write(tmp_path, f'lake = "{file}"\n')
    environ = {} if environment is None else {"GPULAKE_LAKE": environment}
    read = config.load(environ, lake=option and tmp_path / option)

    assert tmp_path / lake == read.lake
    assert read.origins["lake"].endswith(origin)


def test_a_lake_in_the_file_lies_beside_the_file(tmp_path):
    """A settings file moves with its project, whatever the working folder."""
    write(tmp_path, 'lake = "deep/lake"\n')

    assert tmp_path / "deep" / "lake" == config.load({}, folder=tmp_path).lake


def test_clusters_keep_their_settings_and_origin(tmp_path):
    """A second cluster may stand in another zone than its source's own."""
    write(tmp_path, '[clusters.ours]\ntime_zone = "Europe/Berlin"\ntime_basis = "real"\n')
    read = config.load({}, folder=tmp_path)

    assert config.ClusterSettings("Europe/Berlin", "real") == read.cluster("ours")
    assert config.ClusterSettings() == read.cluster("another")
    assert str(tmp_path / "gpulake.toml") == read.origins["clusters.ours"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("lake = ", "gpulake.toml cannot be read"),
        ('laek = "x"\n', "unknown setting 'laek'"),
        ("clusters = 3\n", "clusters must be a table"),
        ("[clusters]\nours = 1\n", "unknown cluster setting"),
        ('[clusters.ours]\nzone = "UTC"\n', "unknown cluster setting"),
        ('[clusters.ours]\ntime_zone = "Mars/Olympus"\n', "unknown time_zone 'Mars/Olympus'"),
        ('[clusters.ours]\ntime_zone = "../etc/passwd"\n', "unknown time_zone"),
        ('[clusters.ours]\ntime_zone = ""\n', "unknown time_zone"),
        ('[clusters.ours]\ntime_zone = "Asia"\n', "unknown time_zone"),
        ("[clusters.ours]\ntime_zone = 8\n", "unknown time_zone 8"),
        ('[clusters.ours]\ntime_basis = "guess"\n', "unknown time_basis 'guess'"),
        ('[clusters.ours]\npools = "racks"\n', "unknown pools 'racks'"),
        ("[clusters.ours]\ntime_basis = [1]\n", "unknown time_basis"),
        ("lake = 3\n", "lake must be a text"),
        ('lake = ""\n', "lake must be a text"),
        ("prices = 3\n", "prices must be a text"),
        ("collect = 3\n", "collect must be a table"),
        ("[collect]\nslurm = 3\n", "a collector's options must be a table"),
        ("[collect.slurm]\nvia = ['ssh']\n", "via must be a text or a number"),
        ('[collect.slurm]\ncluster = "a/b"\n', "'a/b' is no name for a cluster"),
    ],
)
def test_a_wrong_setting_is_a_usage_error_with_its_place(tmp_path, text, what):
    """A typing slip must not be taken for a default without a word, nor end in a traceback."""
    write(tmp_path, text)

    with pytest.raises(UsageError) as told:
        config.load({}, folder=tmp_path)
    assert what in told.value.what
    assert str(tmp_path / "gpulake.toml") in told.value.where
    assert told.value.do


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[channels.ops]\n", "a channel needs url or url_file"),
        ('[channels.ops]\nurl = "x://"\nurl_file = "f"\n', "a channel needs url or url_file"),
        ('[channels.ops]\nurl = ""\n', "url must be a text"),
        ('[channels.ops]\nurl = "x://S3cret"\nkey = "k"\n', "unknown setting 'key'"),
        ('[channels.ops]\nurl = "x://S3cret"\nat_least = "loud"\n', "unknown at_least 'loud'"),
        ('[channels."a b"]\nurl = "x://S3cret"\n', "'a b' is no name in channels"),
        ("channels = 3\n", "this must be a table"),
        ('[audiences.operators]\nchannels = ["opps"]\n[channels.ops]\nurl = "x://S3cret"\n', "there is no channel 'opps'"),
        ('[audiences.operators]\nchannels = "ops"\n', "channels must be a list"),
        ('[alerts]\nshadow = "yes"\n', "shadow must be true or false"),
        ('[alerts]\ndigest_to = "operator"\n', "there is no audience 'operator'"),
        ('[alerts]\nrepeat = {page = "soon"}\n', "'soon' is no length of time"),
        ('[alerts]\nrepeat = {loud = "1h"}\n', "unknown severity 'loud'"),
        ('[alerts]\ncloses_after = "0h"\n', "'0h' is no length of time"),
        ("[alerts]\nmost_at_once = 0\n", "most_at_once must be a whole number"),
        ('[[alerts.maintenance]]\ncluster = "c"\nwhy = "w"\nfrom = "monday"\n', "from must be a time"),
        ('[[alerts.maintenance]]\ncluster = "c"\nwhy = "w"\nfrom = 2026-03-02T00:00:00\nuntil = 2026-03-01T00:00:00\n',
         "maintenance ends before it begins"),
        ("[[alerts.maintenance]]\nfrom = 2026-03-01T00:00:00\nuntil = 2026-03-02T00:00:00\n", "needs a cluster and a reason"),
    ],
)  # fmt: skip
def test_a_wrong_setting_of_alerts_is_told_with_its_place_and_without_a_secret(tmp_path, text, what):
    """Who mistypes a channel must learn it now, and not in the night in which it is needed."""
    write(tmp_path, text)

    with pytest.raises(UsageError) as told:
        config.load({}, folder=tmp_path)
    assert what in told.value.what
    assert str(tmp_path / "gpulake.toml") in told.value.where
    assert told.value.do
    assert "S3cret" not in str(told.value)


def test_the_settings_on_the_page_about_alerts_are_right(tmp_path):
    """Who copies them gets what the page says, and no secret of theirs is ever printed."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "get-alerts.md").read_text(encoding="utf-8")
    first, shadow, maintenance = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    write(tmp_path, first + shadow.replace("[alerts]", "") + maintenance)
    read = config.load({"PAGERDUTY_KEY": "S3cret", "OTHER": "x"}, folder=tmp_path)

    assert ("duty", "team") == read.audiences["operators"]
    assert () == read.audiences["owners"]
    assert {"PAGERDUTY_KEY": "S3cret"} == read.secrets
    assert tmp_path / "mail.url" == read.alerts.channels["mail"].url_file
    (window,) = read.alerts.policy.maintenance
    assert ("berlin", "2026-03-01T08:00:00") == (window.cluster_id, window.since.isoformat())
    assert read.alerts.shadow
    assert "S3cret" not in repr(read)
    assert "pagerduty" not in repr(read)


@pytest.mark.parametrize("name", ["berlin", "Köln-2", "a100.eu_west", "7", "x" * 60])
def test_a_clusters_name_may_be_what_people_call_it(name):
    """Letters of any language, digits and the usual joints."""
    config.check_cluster_name(name, where="--cluster")


@pytest.mark.parametrize("name", ["", " ", "\n", "..", "../../evil", "a/b", "-x", "_x", "a b", "a'b", "x" * 61, "a\0b"])
def test_a_clusters_name_cannot_leave_the_lake(tmp_path, name):
    """It names a folder of the lake: with dots and slashes a model could be written anywhere on the machine."""
    with pytest.raises(UsageError, match="is no name for a cluster") as told:
        config.check_cluster_name(name, where="--cluster")
    assert "--cluster" == told.value.where
    write(tmp_path, f"[clusters.{json.dumps(name)}]\n")
    with pytest.raises(UsageError):
        config.load({}, folder=tmp_path)


def test_a_file_of_another_encoding_is_told(tmp_path):
    """A settings file saved as UTF-16 by an editor is a usage error."""
    (tmp_path / "gpulake.toml").write_bytes('lake = "x"'.encode("utf-16"))

    with pytest.raises(UsageError, match="cannot be read"):
        config.load({}, folder=tmp_path)


def test_importing_reads_nothing(tmp_path, monkeypatch):
    """Configuration is read by a call, so a library user decides when."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "broken = ")

    runpy.run_path(config.__file__)
