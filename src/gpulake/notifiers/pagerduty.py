"""PagerDuty, Events API v2: pagerduty://ROUTING_KEY. One trouble has one dedup_key, so a second delivery joins the first.

Another endpoint, as that of the EU, is written behind the key: pagerduty://ROUTING_KEY@events.eu.pagerduty.com/v2/enqueue.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from gpulake.notifiers import Message, Notifier, Post, is_refusal, scheme

_ENDPOINT = "https://events.pagerduty.com/v2/enqueue"
_ACTIONS = {"acknowledged": "acknowledge", "resolved": "resolve"}
_SEVERITIES = {"page": "critical", "ticket": "warning", "info": "info"}
_LONGEST_SUMMARY, _LONGEST_KEY = 1024, 255


def _render(message: Message, url: str) -> Post:
    key, endpoint = _parts(url)
    action = _ACTIONS.get(message.told, "trigger")
    body: dict[str, object] = {
        "routing_key": key,
        "event_action": action,
        "dedup_key": message.dedup_key[:_LONGEST_KEY],
    }
    if action == "trigger":
        body["client"] = "gpulake"
        body["payload"] = {
            "summary": message.subject[:_LONGEST_SUMMARY],
            "source": message.cluster_id or "gpulake",
            "severity": _SEVERITIES.get(message.severity, "warning"),
            "component": message.rule,
            "class": message.rule,
            "custom_details": {**dict(message.facts), "text": message.text[:20_000], "notice_id": message.notice_id},
        }
        if message.link.startswith(("http://", "https://")):
            body["links"] = [{"href": message.link, "text": "Open"}]
    return Post(endpoint, body)


def _parts(url: str) -> tuple[str, str]:
    """The routing key and the endpoint. Plain HTTP goes to this machine only, for tests and relays."""
    rest = url.partition("://")[2]
    key, at, place = rest.partition("@")
    if not at:
        return rest.strip("/"), _ENDPOINT
    own = urlsplit(f"//{place}").hostname in {"localhost", "127.0.0.1", "::1"}
    return key, f"{'http' if own else 'https'}://{place}"


NOTIFIER = Notifier(
    name="pagerduty",
    claims=lambda url: scheme(url) == "pagerduty",
    render=_render,
    is_permanent=is_refusal,
    joins=True,
    acknowledges=True,
    reads_digests=False,
)
