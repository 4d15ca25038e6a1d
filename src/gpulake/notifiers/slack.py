"""Slack, and what speaks as it does, by an incoming webhook: https://hooks.slack.com/services/…"""

from __future__ import annotations

from gpulake.notifiers import Message, Notifier, Post, host, is_refusal

_MARKS = {"page": ":red_circle:", "ticket": ":large_orange_circle:", "info": ":large_blue_circle:"}
_LONGEST_TEXT = 2900
"""Slack refuses a block of more than 3,000 characters."""


def _render(message: Message, url: str) -> Post:
    mark = ":white_check_mark:" if message.is_over else _MARKS.get(message.severity, "")
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.subject[:150], "emoji": True}},
        {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(message.text)[:_LONGEST_TEXT]}},
    ]
    if message.link.startswith(("http://", "https://")):
        open_it = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": message.link}
        blocks.append({"type": "actions", "elements": [open_it]})
    told = f"{mark} {message.told} · {message.notice_id}".strip()
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": told}]})
    return Post(url, {"text": message.subject, "blocks": blocks})


def _escaped(text: str) -> str:
    """Slack reads these three characters as markup: a job's name could call a whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


NOTIFIER = Notifier(
    name="slack",
    claims=lambda url: host(url) == "hooks.slack.com",
    render=_render,
    is_permanent=is_refusal,
)
