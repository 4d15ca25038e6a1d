"""Any service that takes JSON by HTTP: all that is known of the message, by name."""

from __future__ import annotations

from gpulake.notifiers import Message, Notifier, Post, is_refusal, scheme


def _render(message: Message, url: str) -> Post:
    body: dict[str, object] = {
        "notice_id": message.notice_id,
        "dedup_key": message.dedup_key,
        "told": message.told,
        "severity": message.severity,
        "subject": message.subject,
        "text": message.text,
        "link": message.link,
        "cluster_id": message.cluster_id,
        "rule": message.rule,
        "at": message.at,
        "facts": dict(message.facts),
    }
    return Post(url, body, {"Idempotency-Key": message.notice_id})


NOTIFIER = Notifier(
    name="webhook",
    claims=lambda url: scheme(url) in {"http", "https"},
    render=_render,
    is_permanent=is_refusal,
    acknowledges=True,
)
