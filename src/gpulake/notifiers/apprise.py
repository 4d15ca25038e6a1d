"""Every other service, by the address that the Apprise library gives it: slack://, discord://, msteams://, matrix://…"""

from __future__ import annotations

from gpulake.notifiers import Letter, Message, Notifier, is_refusal

_KINDS = {"page": "failure", "ticket": "warning", "info": "info"}


def _render(message: Message, _url: str) -> Letter:
    kind = "success" if message.is_over else _KINDS.get(message.severity, "info")
    return Letter(title=message.subject, text=f"{message.text}\n\n{message.notice_id}", kind=kind)


NOTIFIER = Notifier(
    name="apprise",
    claims=lambda _url: True,
    render=_render,
    is_permanent=is_refusal,
    is_last=True,
)
