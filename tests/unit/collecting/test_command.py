"""`gpulake collect`: what is printed where, and with which exit code it ends."""

from __future__ import annotations

import json

import pytest

from gpulake.cli import main


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Runs the command on a lake of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPULAKE_PROMETHEUS_TOKEN", "s3cr3t")
    return lambda *words: main(["collect", "prometheus", "--lake", "lake", *words])


def test_a_server_that_is_not_there_ends_with_10_and_one_json_object(asked, capsys, monkeypatch):
    """A script reads one object whatever happened, and nobody reads a secret."""
    from gpulake.collecting import prometheus
    from gpulake.collecting.server import Patience

    monkeypatch.setattr(prometheus, "Patience", lambda: Patience(attempts=1))
    code = asked("--url", "http://127.0.0.1:9", "--since", "1h", "--json")
    out, err = capsys.readouterr()
    told = json.loads(out)

    assert (10, 10) == (code, told["error"]["exit_code"])
    assert (0, 0, "prometheus") == (told["rows"], told["deliveries"], told["cluster_id"])
    assert "the server gives no answer: nobody listens there" in told["error"]["what"]
    assert "s3cr3t" not in out + err


def test_a_dry_run_says_what_would_be_asked(asked, capsys, tmp_path):
    """Before the first run people look at what it will do."""
    code = asked("--url", "http://127.0.0.1:9", "--since", "2026-01-01", "--until", "2026-01-02T00:00Z", "--dry-run")

    assert 0 == code
    sentence = capsys.readouterr().out
    assert "from 2026-01-01 00:00:00 to 2026-01-02 00:00:00 UTC, every 30 s" in sentence
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "--url is missing"),
        (["--url", "http://h:1", "--since", "soon"], "'soon' is no time"),
        (["--url", "http://h:1", "--step", "often"], "'often' is no LENGTH"),
        (["--url", "http://h:1"], "not known from when on"),
        (["--url", "http://ada:secret@h:1", "--since", "1h"], "holds a name or a password"),
        (["--url", "http://h:1", "--since", "1h", "--cluster", "../x"], "is no name for a cluster"),
    ],
)
def test_a_slip_in_the_call_ends_with_2(asked, capsys, words, what):
    """It must be told before anything is asked or written."""
    code = asked(*words, "--json")
    told = json.loads(capsys.readouterr().out)

    assert 2 == code
    assert what in told["error"]["what"]
    assert "secret" not in json.dumps(told)


def test_what_the_settings_say_is_asked_where_the_call_says_nothing(asked, capsys, tmp_path):
    """A crontab's line names no address twice; what is typed stands before what is written."""
    settings = tmp_path / "gpulake.toml"
    settings.write_text('[collect.prometheus]\ncluster = "berlin"\nurl = "http://settings:1"\nstep = "1m"\n')
    assert 0 == asked("--since", "2026-01-01", "--until", "2026-01-02", "--dry-run", "--json")
    told = json.loads(capsys.readouterr().out)
    assert "berlin" == told["cluster_id"]
    assert "http://settings:1" in told["plan"][0]
    assert told["plan"][0].endswith("every 60 s")

    words = ("--since", "1d", "--dry-run", "--json", "--url", "http://call:2", "--cluster", "paris")
    assert 0 == asked(*words)
    told = json.loads(capsys.readouterr().out)
    assert ("paris", True) == (told["cluster_id"], "http://call:2" in told["plan"][0])

    for text, what in (
        ("[collect.slrum]\n", "there is no collector 'slrum'"),
        ('[collect.prometheus]\nurk = "x"\n', "urk is no setting of this collector"),
        ('[collect.prometheus]\nurl = "http://h:1"\nstep = "often"\n', "'often' is no LENGTH"),
    ):
        settings.write_text(text)
        assert 2 == asked("--since", "1d", "--dry-run")
        assert what in capsys.readouterr().err


def test_every_collector_is_a_command(capsys):
    """The folder is the list."""
    from gpulake.collecting import all_collectors

    main(["collect", "--help"])
    listed = capsys.readouterr().out

    assert [] == [each.name for each in all_collectors() if each.name not in listed]
