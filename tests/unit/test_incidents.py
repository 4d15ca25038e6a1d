"""Incidents in a lake: facts and notices in one commit, each told once, whatever is cut off; and what people ask."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gpulake import config as configs
from gpulake import incidents, meta
from gpulake.alert import Kind, Request, replay
from gpulake.errors import LakeError, UsageError
from gpulake.findings import Finding, Severity, State
from gpulake.incidents import inbox, records
from gpulake.incidents.outbox import Journal
from gpulake.lake import writing
from gpulake.notify import Receipt
from gpulake.tables import CLUSTERS, JUDGINGS

sys.path.insert(0, str(Path(__file__).parent))
from receivers import Receiver  # beside this file

H = timedelta(hours=1)
T0 = datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None)


def found(state="firing", *, at=T0, machine="m1", rule="hot", severity=Severity.PAGE, **more):
    return Finding(
        rule, (("cluster_id", "c"), ("machine_id", machine)), State(state), at, at if state == "firing" else None, severity, title=f"{machine} is hot",
        message=f"{machine}: 83 C, expected 71 C for 2 h.", machines=(machine,), value=83.0, expected=71.0, unit="C",
        gpu_h=12.5, **more,
    )  # fmt: skip


class Lake:
    """A lake with a judged cluster of real time, and settings that send to a service on loopback."""

    def __init__(self, folder):
        self.folder = folder
        self.more = ""
        self.channels = {}
        self.writing = writing(folder / "lake", purpose="test")
        self.writer = self.writing.__enter__()

    @property
    def config(self):
        text = "".join(f'[channels.{name}]\nurl = "{url}"\n' for name, url in self.channels.items())
        text += f"[audiences.operators]\nchannels = {json.dumps(list(self.channels))}\n{self.more}"
        (self.folder / "gpulake.toml").write_text(text)
        return configs.load({}, lake=self.folder / "lake", folder=self.folder)

    def tell(self, *findings, now=None, send=True):
        now = now or max(finding.at for finding in findings)
        return incidents.tell(self.writer, findings, config=self.config, now=now, send=send, sleep=lambda _: None)

    def ask(self, kind, name, *, at, until=None):
        inbox.ask(self.folder / "lake", Request(inbox.new_id(at), kind, name, "ann", at, until))

    def sql(self, query):
        return self.writer.sql(query).to_pylist()

    def listed(self, **more):
        return incidents.listed(self.writer, config=self.config, **more)

    def close(self):
        self.writing.__exit__(None, None, None)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The folder of a lake whose one cluster was judged once: to copy it is quicker than to make it."""
    folder = tmp_path_factory.mktemp("judged")
    with writing(folder / "lake", purpose="test") as writer:
        writer.insert(CLUSTERS, [("c", "pai2020", "UTC", "real", "gpu_model", T0)])
    made = Lake(folder)
    made.tell(found("clear", at=T0 - 9 * H), now=T0 - 9 * H)
    made.close()
    return folder


@pytest.fixture
def lake(judged, tmp_path):
    shutil.copytree(judged, tmp_path, dirs_exist_ok=True)
    made = Lake(tmp_path)
    yield made
    made.close()


@pytest.fixture
def service():
    with Receiver() as receiver:
        yield receiver


def test_one_page_acknowledged_and_resolved(lake, service):
    """The whole life of a trouble, from the first finding to the word that it is over, in the service and in the lake."""
    lake.channels = {"duty": f"pagerduty://KEY@127.0.0.1:{service.port}/v2/enqueue"}
    told = lake.tell(found())
    assert (1, 1, 0, 1) == (told.opened, told.sent, told.queued, told.open_now)
    assert 0 == lake.tell(found()).sent

    (entry,) = lake.listed().entries
    name = entry.incident.incident_id
    lake.ask(Kind.ACKNOWLEDGE, name, at=T0 + H)
    assert "acknowledge" == lake.listed().as_json()["incidents"][0]["queued"][0]["kind"]
    told = lake.tell(found(at=T0 + H))
    assert (1, 1) == (told.requests, told.sent)
    assert "acknowledged" == lake.listed().as_json()["incidents"][0]["state"]
    told = lake.tell(found("clear", at=T0 + 7 * H))
    assert (1, 1, 0) == (told.resolved, told.sent, told.open_now)

    assert ["trigger", "acknowledge", "resolve"] == [body["event_action"] for body in service.bodies]
    assert {name} == {body["dedup_key"] for body in service.bodies}
    text = service.bodies[0]["payload"]["custom_details"]["text"]
    for words in (
        "m1: 83 C, expected 71 C for 2 h.",
        "seen      83 C",
        "expected  71 C",
        "machine m1; 12.5 GPU-h",
        name,
    ):
        assert words in text
    shown = incidents.shown(lake.writer, name[:5], config=lake.config)
    assert ["open", "acknowledge", "update", "resolve"] == [str(event.kind) for event in shown.events]
    assert ["sent"] * 3 == [notice["state"] for notice in shown.notices]


def test_what_is_read_back_is_what_was_recorded(lake):
    """The facts are all there is: nothing of an incident may be lost between two runs."""
    lake.tell(found(do="look", link="https://x", jobs=("j1", "j2")), found(machine="m2", severity=Severity.INFO))
    rows = lake.sql("FROM lake.meta.alert_events")
    events = [records.event_of(row) for row in rows]

    assert [records.event_row(event) for event in events] == rows
    assert replay(events) == records.incidents(lake.writer)


def test_the_first_judgement_of_a_cluster_is_history(lake, service):
    """A lake that is filled with a year of data must not send a year of pages."""
    lake.writer.delete(JUDGINGS, "cluster_id = ?", ["c"])
    lake.channels = {"duty": f"http://127.0.0.1:{service.port}/"}
    told = lake.tell(found())

    assert (1, 0, 1) == (told.opened, told.sent, told.open_now)
    assert 0 == lake.tell(found(at=T0 + 9 * H), now=T0 + 9 * H).sent
    assert 0 == lake.tell(found(machine="m2"), now=T0 + 49 * H).sent
    assert 1 == lake.tell(found(at=T0 + 49 * H, machine="m3"), now=T0 + 49 * H).sent
    history = {each["key"]["machine_id"]: each["history"] for each in lake.listed().as_json()["incidents"]}
    assert {"m1": "first", "m2": "old", "m3": None} == history


def test_shadow_mode_records_and_sends_nothing(lake, service):
    """A new pack of rules is watched for a week before anybody is woken by it."""
    lake.channels = {"duty": f"http://127.0.0.1:{service.port}/"}
    lake.more = "[alerts]\nshadow = true\n"
    told = lake.tell(found())

    assert (1, 0, 1) == (told.opened, told.sent, told.shadowed)
    lake.more = ""
    assert 0 == lake.tell(found(at=T0 + H)).sent
    assert [] == service.got
    assert ["shadow"] == [row["state"] for row in lake.sql("FROM lake.meta.notices")]


def test_what_could_not_be_sent_is_sent_by_the_next_run(lake, service):
    """A service that is down for an hour costs an hour, no page, and no second one."""
    lake.channels = {"duty": f"http://127.0.0.1:{service.port}/"}
    service.answers = [500, 500, 500]
    told = lake.tell(found(), found(machine="m2", severity=Severity.TICKET))
    assert (0, 2, 3) == (told.sent, told.queued, len(service.got))
    assert 2 == lake.tell(now=T0 + H).sent
    assert 0 == lake.tell(now=T0 + 2 * H).sent

    assert {"opened"} == {body["told"] for body in service.bodies}
    assert 2 == len({body["notice_id"] for body in service.bodies})
    tries = lake.sql("SELECT state, attempts FROM lake.meta.notices WHERE state <> 'queued' ORDER BY attempts, seq")
    assert [("sent", 1), ("retry", 3), ("sent", 4)] == [(row["state"], row["attempts"]) for row in tries]


def test_a_channel_that_refuses_is_disabled_and_told_by_the_others(lake, service):
    """A revoked key must be known before the night in which it is needed."""
    with Receiver(403) as revoked:
        lake.channels = {
            "duty": f"http://127.0.0.1:{revoked.port}/S3cr3tKey",
            "team": f"http://127.0.0.1:{service.port}/",
        }
        told = lake.tell(found())
        assert (("duty",), 1, 2) == (told.channels_failed, told.failed, told.sent)
        assert ["m1 is hot", "Channel duty does not work"] == [
            body["subject"].removeprefix("c: ") for body in service.bodies
        ]
        told = lake.tell(found(machine="m2", at=T0 + H))
        assert 1 == len(revoked.got)
        assert 2 == told.queued

        lake.channels["duty"] = f"http://127.0.0.1:{revoked.port}/other"
        told = lake.tell(now=T0 + 2 * H)
        assert 1 == told.resolved
        assert 4 == len(revoked.got)  # the first, the two that had waited, and that it works again
    assert not any("S3cr3tKey" in json.dumps(row, default=str) for row in lake.sql("FROM lake.meta.notices"))
    assert not any("S3cr3tKey" in json.dumps(row, default=str) for row in lake.sql("FROM lake.meta.alert_events"))


def test_a_missing_secret_is_an_incident_and_not_an_end(lake):
    """The refresh goes on; who looks sees which variable is missing."""
    lake.channels = {"duty": "https://hooks.slack.com/services/${SLACK_TOKEN}"}
    told = lake.tell(found())

    assert (("duty",), 2) == (told.channels_failed, told.open_now)
    messages = [entry.incident.finding.message for entry in lake.listed().entries]
    assert any("SLACK_TOKEN" in message for message in messages)


def test_receipts_that_did_not_land_are_found_again(lake, service):
    """Killed after the service had said yes: the page is not sent a second time."""
    lake.channels = {"duty": f"http://127.0.0.1:{service.port}/"}
    assert 1 == lake.tell(found(), send=False).queued
    (row,) = lake.sql("FROM lake.meta.notices")
    with Journal(lake.folder / "lake") as journal:
        journal.begin(row["notice_id"])
        journal.end(row["notice_id"], Receipt("sent", 1, 202, ""))

    assert (0, 0) == ((told := lake.tell(now=T0 + H)).sent, told.queued)
    assert [] == service.got


def test_what_was_cut_off_while_it_was_sent_is_sent_again_and_says_so(lake, service):
    """Nobody knows whether it arrived: rather twice than never, under the same name."""
    lake.channels = {"duty": f"http://127.0.0.1:{service.port}/"}
    lake.tell(found(), send=False)
    (row,) = lake.sql("FROM lake.meta.notices")
    with Journal(lake.folder / "lake") as journal:
        journal.begin(row["notice_id"])
    with (lake.folder / "lake" / "outbox.jsonl").open("a") as half:
        half.write('{"notice_id": "x", "st')

    assert 1 == lake.tell(now=T0 + H).sent
    assert row["notice_id"] == service.bodies[0]["notice_id"]
    assert "second time" in service.bodies[0]["text"]
    assert not (lake.folder / "lake" / "outbox.jsonl").exists()


def test_what_is_older_than_two_days_is_given_up(lake):
    """A page of last week, delivered today, sends people after a trouble that is over."""
    lake.channels = {"duty": "http://127.0.0.1:9/"}
    lake.tell(found(), send=False)

    told = lake.tell(now=T0 + 49 * H)
    assert (1, 0) == (told.failed, told.queued)


def test_requests_are_done_once_and_bad_ones_set_aside(lake):
    """Killed between the commit and the removal of the file, a request is not done again."""
    lake.tell(found())
    name = lake.listed().entries[0].incident.incident_id
    lake.ask(Kind.SILENCE, name, at=T0, until=T0 + 24 * H)
    (file,) = (lake.folder / "lake" / "inbox").glob("*.json")
    text = file.read_text()
    (file.parent / "bad.json").write_text('{"kind": "open"}')
    lake.tell(now=T0)
    file.write_text(text)
    assert 1 == lake.tell(now=T0).requests

    assert ["bad.refused"] == [file.name for file in file.parent.iterdir()]
    assert 1 == len(lake.sql("FROM lake.meta.alert_events WHERE kind = 'silence'"))


def test_one_digest_a_day(lake, service):
    """Read in the morning, once; what is open comes first."""
    lake.channels = {"team": f"http://127.0.0.1:{service.port}/", "duty": "pagerduty://KEY@127.0.0.1:9/nobody"}
    lake.more = '[alerts]\ndigest_to = "operators"\n'
    for hours in (0, 3, 23, 25):
        lake.tell(found(at=T0 + hours * H, severity=Severity.INFO))

    digests = [body for body in service.bodies if body["told"] == "digest"]
    assert 2 == len(digests)
    assert "1 thing open" in digests[0]["subject"]
    assert "m1 is hot, new" in digests[0]["text"]
    assert ", new" not in digests[1]["text"]


def test_an_offset_cluster_goes_by_its_own_time(lake, service):
    """A trace of 1970 is not fifty years old: its now is its last judged day."""
    lake.writer.insert(CLUSTERS, [("c", "pai2020", "UTC", "offset", "gpu_model", T0 + H)])
    lake.channels = {"team": f"http://127.0.0.1:{service.port}/"}
    told = lake.tell(found(), now=T0 + 9999 * H)

    assert 1 == told.sent
    assert "1970" not in service.bodies[0]["text"]


def test_what_was_judged_ends_with_the_data_and_not_with_the_day_on_which_it_was_looked_at(lake):
    """Data that comes a day late has hours that nobody judged: the wall clock of the last look must not pass for them."""
    lake.tell(found("clear", at=T0), now=T0 + 30 * H)

    assert {"c": T0} == meta.judged_until(lake.writer)


def test_an_unknown_incident_is_a_usage_error(lake):
    """A slip of the pen gets an answer."""
    with pytest.raises(UsageError, match="there is no incident"):
        incidents.shown(lake.writer, "abc", config=lake.config)


def test_a_request_that_finds_the_disk_full_leaves_nothing_behind(tmp_path):
    """Nobody takes a half written file for a request, and who asked hears what to do."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(LakeError, match="cannot be written") as told:
            inbox.ask(tmp_path, Request(inbox.new_id(T0), Kind.ACKNOWLEDGE, "one", "ann", T0, None))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.value.do == "free some space, then ask again"
    assert list((tmp_path / "inbox").iterdir()) == []
