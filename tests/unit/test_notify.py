"""Delivery over real sockets: what services get, what their answers mean, and that no secret gets out."""

from __future__ import annotations

import email
import json
import logging
import socket
import sys
from email import policy
from pathlib import Path

import pytest

from gpulake.alert_settings import Channel
from gpulake.errors import DeliveryError, UsageError
from gpulake.notifiers import Message, Reply, all_notifiers, notifier_for
from gpulake.notify import address_of, send

sys.path.insert(0, str(Path(__file__).parent))
from receivers import Receiver, smtp  # beside this file

SECRET = "S3cr3tT0kenXYZ"


def message(**more):
    known = {
        "notice_id": "n0123456789abcde", "dedup_key": "a1b2c3d4e5f6", "told": "opened", "severity": "page",
        "subject": "pai2020: m1 <is> hot", "text": "It is hot & loud.\nwhere  m1", "html": "<p>It is hot.</p>",
        "link": "https://lake.example/m1", "cluster_id": "pai2020", "rule": "hot", "at": "2026-03-02T00:00:00",
        "facts": (("where", "pai2020, machine m1"), ("do", "look at the fan")),
    }  # fmt: skip
    return Message(**{**known, **more})


def address(url, *, kind=None, **secrets):
    return address_of(Channel("ops", url, kind=kind), secrets=secrets)


class Slept(list):
    def __call__(self, seconds):
        self.append(seconds)


# --- what services get -----------------------------------------------------------------------------------------------


def test_pagerduty_gets_one_incident_under_one_key():
    """Trigger, acknowledge and resolve must meet in one incident there."""
    with Receiver() as service:
        to = address(f"pagerduty://{SECRET}@127.0.0.1:{service.port}/v2/enqueue")
        for told in ("opened", "reminded", "acknowledged", "resolved"):
            assert "sent" == send(message(told=told), to).state

    assert {"/v2/enqueue"} == {path for path, _, _ in service.got}
    assert ["trigger", "trigger", "acknowledge", "resolve"] == [body["event_action"] for body in service.bodies]
    assert {("a1b2c3d4e5f6", SECRET)} == {(body["dedup_key"], body["routing_key"]) for body in service.bodies}
    payload = service.bodies[0]["payload"]
    assert ("pai2020: m1 <is> hot", "pai2020", "critical") == (
        payload["summary"],
        payload["source"],
        payload["severity"],
    )
    assert "look at the fan" == payload["custom_details"]["do"]
    assert [{"href": "https://lake.example/m1", "text": "Open"}] == service.bodies[0]["links"]
    assert "payload" not in service.bodies[3]


def test_pagerduty_goes_to_its_own_endpoint_by_default():
    """The key alone is a whole address."""
    to = address("pagerduty://${KEY}", KEY=SECRET)

    request = to.notifier.render(message(), to.url)
    assert "https://events.pagerduty.com/v2/enqueue" == request.url
    elsewhere = to.notifier.render(message(), f"pagerduty://{SECRET}@events.eu.pagerduty.com/v2/enqueue")
    assert "https://events.eu.pagerduty.com/v2/enqueue" == elsewhere.url
    assert SECRET not in repr(to) + to.shown


def test_slack_gets_blocks_that_nobody_can_forge():
    """A job called <!channel> must not call the channel."""
    with Receiver((200, {}, "ok")) as service:
        to = address(f"http://127.0.0.1:{service.port}/services/{SECRET}", kind="slack")
        sent = send(message(text="<!channel> is a job"), to)

    assert ("sent", 1, 200) == (sent.state, sent.attempts, sent.code)
    body = service.bodies[0]
    assert "pai2020: m1 <is> hot" == body["text"]
    assert "&lt;!channel&gt; is a job" == body["blocks"][1]["text"]["text"]
    assert "https://lake.example/m1" == body["blocks"][2]["elements"][0]["url"]
    assert "n0123456789abcde" in json.dumps(body)


def test_a_webhook_gets_all_that_is_known():
    """Whoever builds on it needs the keys by name, and a key to know a repetition by."""
    with Receiver() as service:
        send(message(), address(f"http://127.0.0.1:{service.port}/in"))

    assert "look at the fan" == service.bodies[0]["facts"]["do"]
    assert "n0123456789abcde" == service.got[0][1]["Idempotency-Key"]


def test_a_mail_is_read_in_text_and_html_and_has_one_name():
    """A second delivery has the same Message-ID, and the notices of one trouble are one thread."""
    with smtp() as box:
        to = address(
            f"mailto://127.0.0.1:{box.port}?from=lake@example.org&to=ops@example.org&cc=boss@example.org&mode=insecure"
        )
        assert ["sent", "sent"] == [send(message(), to).state for _ in range(2)]

    (sender, receivers, text), again = box.letters
    letter = email.message_from_string(text, policy=policy.default)
    assert ("lake@example.org", ["ops@example.org", "boss@example.org"]) == (sender, receivers)
    assert "pai2020: m1 <is> hot" == letter["Subject"]
    assert "<n0123456789abcde@gpulake>" == letter["Message-ID"]
    assert 1 == len(letter.get_all("Message-ID"))
    assert "<a1b2c3d4e5f6@gpulake>" == letter["References"]
    assert "It is hot & loud." in letter.get_body(["plain"]).get_content()
    assert "<p>It is hot.</p>" in letter.get_body(["html"]).get_content()
    assert letter["Message-ID"] in again[2]


def test_apprise_carries_to_every_other_service():
    """A service that we do not know is an address away."""
    with Receiver((200, {}, "ok"), 403, 500) as service:
        to = address(f"json://127.0.0.1:{service.port}/hook")
        found = [send(message(), to, waits_s=()) for _ in range(3)]

    assert ["sent", "failed", "retry"] == [receipt.state for receipt in found]
    assert [200, 403, 500] == [receipt.code for receipt in found]
    assert "pai2020: m1 <is> hot" == service.bodies[0]["title"]


# --- what answers mean -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_what_may_pass_is_tried_again(status):
    """One try and two more, with longer waits."""
    slept = Slept()
    with Receiver(status, status, 202) as service:
        sent = send(message(), address(f"http://127.0.0.1:{service.port}/"), sleep=slept)

    assert ("sent", 3) == (sent.state, sent.attempts)
    assert [1.0, 4.0] == slept
    assert 1 == len({body["notice_id"] for body in service.bodies})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 302])
def test_a_refusal_for_good_is_not_tried_again(status):
    """A bad secret does not become a good one; a moved address is not followed with the secret in hand."""
    with Receiver((status, {"Location": "http://127.0.0.1:9/"}, "no_team")) as service:
        sent = send(message(), address(f"http://127.0.0.1:{service.port}/{SECRET}"), sleep=pytest.fail)

    assert ("failed", 1, status, "no_team") == (sent.state, sent.attempts, sent.code, sent.words)
    assert 1 == len(service.got)


def test_a_service_that_asks_to_wait_is_waited_for():
    """Up to half a minute; then the next run tries."""
    slept = Slept()
    with Receiver((429, {"Retry-After": "7"}, ""), (429, {"Retry-After": "600"}, "")) as service:
        sent = send(message(), address(f"http://127.0.0.1:{service.port}/"), sleep=slept)

    assert ("retry", 2) == (sent.state, sent.attempts)
    assert [7.0] == slept


def test_a_service_that_hangs_costs_seconds():
    """A page must not wait for ever behind a dead webhook."""
    with Receiver("hang") as service:
        sent = send(message(), address(f"http://127.0.0.1:{service.port}/"), timeout_s=0.2, waits_s=())

    assert ("retry", None, "no answer in time") == (sent.state, sent.code, sent.words)


def test_nobody_there_is_no_refusal():
    """A service that is restarted is told later."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        sent = send(message(), address(f"http://127.0.0.1:{port}/{SECRET}"), waits_s=())

    assert ("retry", "nobody listens there") == (sent.state, sent.words)


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [("451 later", "retry", 451), ("554 no", "failed", 554), ("552 full", "retry", 552)],
)
def test_what_an_smtp_server_says_is_heard(answer, state, code):
    """A greylisting server means later, a spam filter means no."""
    with smtp(answer) as box:
        to = address(f"mailto://127.0.0.1:{box.port}?from=lake@example.org&to=ops@example.org&mode=insecure")
        sent = send(message(), to, waits_s=())

    assert (state, code) == (sent.state, sent.code)


def test_a_wrong_smtp_password_is_for_good():
    """It is told, and the password is not."""
    from aiosmtpd.smtp import AuthResult

    with smtp(authenticator=lambda *_: AuthResult(success=False, handled=False), auth_require_tls=False) as box:
        to = address(f"mailto://u:{SECRET}@127.0.0.1:{box.port}?from=a@example.org&to=b@example.org&mode=insecure")
        sent = send(message(), to, waits_s=())

    assert ("failed", 535) == (sent.state, sent.code)
    assert SECRET not in repr(sent)


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/services/" + SECRET,
        "pagerduty://" + SECRET + "@127.0.0.1:{port}/v2/enqueue",
        "json://user:" + SECRET + "@127.0.0.1:{port}/" + SECRET,
        "mailto://u:" + SECRET + "@127.0.0.1:{port}?from=a@example.org&to=b@example.org&mode=insecure",
        "no-such-service://" + SECRET,
    ],
)
@pytest.mark.parametrize("answer", [(403, {}, f"token {SECRET} is bad"), 500, "gone"])
def test_a_secret_is_never_shown(url, answer, capfd, caplog):
    """Neither in a receipt, nor in a log, nor on a terminal, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    with Receiver(answer) as service:
        port = service.port
        if answer == "gone":
            service.server.server_close()
        to = address(url.format(port=port).replace(SECRET, "${TOKEN}"), TOKEN=SECRET)
        sent = send(message(), to, waits_s=(), timeout_s=0.5)

    assert "sent" != sent.state
    seen = "".join([repr(sent), repr(to), to.shown, to.mark, caplog.text, *capfd.readouterr()])
    assert SECRET not in seen


def test_an_address_comes_from_the_environment_or_a_file(tmp_path):
    """What is missing is named; what is there is not shown."""
    with pytest.raises(DeliveryError, match="the environment has no TOKEN") as told:
        address("https://hooks.slack.com/services/${TOKEN}")
    assert 14 == told.value.exit_code

    file = tmp_path / "url"
    with pytest.raises(DeliveryError, match="cannot be read"):
        address_of(Channel("ops", url_file=file), secrets={})
    file.write_text(f"https://hooks.slack.com/services/{SECRET}\n")
    to = address_of(Channel("ops", url_file=file), secrets={})
    assert ("slack", "https://hooks.slack.com/…") == (to.notifier.name, to.shown)
    assert to.mark != address("https://hooks.slack.com/services/other").mark


@pytest.mark.parametrize("url", ["hooks.slack.com/x", "https://a b/", "https://a\n/"])
def test_what_is_no_address_is_told_without_it(url):
    """A slip of the pen is mended where it stands."""
    with pytest.raises(DeliveryError, match="its address is none"):
        address(url)


# --- every notifier --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("notifier", all_notifiers(), ids=lambda notifier: notifier.name)
def test_a_notifier_is_pure_and_keeps_one_name(notifier):
    """The same message is the same request; rate limits and faults of the server may pass."""
    url = "pagerduty://key@localhost/x"

    assert notifier.render(message(), url) == notifier.render(message(), url)
    assert not any(notifier.is_permanent(Reply(status)) for status in (None, 200, 421, 429, 451))
    assert notifier.is_permanent(Reply(535 if notifier.name == "email" else 403))
    assert notifier is notifier_for("whatever://x", kind=notifier.name)


def test_each_address_has_one_notifier():
    """By its scheme, or by the host that it names."""
    named = {
        "https://hooks.slack.com/services/x": "slack", "https://example.org/x": "webhook", "pagerduty://k": "pagerduty",
        "mailtos://a:b@example.org": "email", "slack://a/b/c": "apprise", "discord://a/b": "apprise",
    }  # fmt: skip
    assert named == {url: notifier_for(url).name for url in named}
    with pytest.raises(UsageError, match="unknown kind"):
        notifier_for("https://x", kind="pigeon")
