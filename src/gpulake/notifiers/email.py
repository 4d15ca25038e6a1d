"""Mail: mailto:// and mailtos://, as the Apprise library writes addresses. A second delivery has the same Message-ID."""

from __future__ import annotations

from gpulake.notifiers import Mail, Message, Notifier, Reply, scheme

_REFUSED = frozenset({500, 501, 502, 503, 504, 521, 530, 534, 535, 538, 550, 551, 553, 554, 555, 556})
"""SMTP: no login, no such mailbox, not allowed. (552, a full mailbox, may pass.)"""


def _render(message: Message, _url: str) -> Mail:
    return Mail(
        subject=message.subject,
        text=message.text,
        html=message.html,
        message_id=f"<{message.notice_id}@gpulake>",
        thread_id=f"<{message.dedup_key}@gpulake>",
    )


def _is_permanent(reply: Reply) -> bool:
    return reply.status in _REFUSED


NOTIFIER = Notifier(
    name="email",
    claims=lambda url: scheme(url) in {"mailto", "mailtos"},
    render=_render,
    is_permanent=_is_permanent,
)
