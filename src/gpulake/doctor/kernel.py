"""Whether this machine's kernel may be read."""

from __future__ import annotations

from collections.abc import Iterator

from gpulake.collecting import Asked
from gpulake.collecting.kernel import Host, this_host
from gpulake.doctor import Check, Found, ok
from gpulake.errors import SourceError


def look(asked: Asked, *, host: Host | None = None) -> Iterator[Found]:
    """Read the newest line. Raises SourceError where it may not be read, or there is nothing to read it with."""
    host = host or this_host()
    if asked.options.get("from_") != "dmesg":
        try:
            lines = list(
                host.lines(["journalctl", "_TRANSPORT=kernel", "-n", "1", "-o", "short-iso", "--no-pager", "-q"])
            )
        except FileNotFoundError:
            pass
        else:
            yield ok("the journal may be read" + ("" if lines else ", and holds nothing of the kernel"))
            return
    try:
        count = sum(1 for _ in host.lines(["dmesg"]))
    except FileNotFoundError as error:
        raise SourceError(
            "there is neither a journalctl nor a dmesg on this machine.",
            where=host.name,
            do="run it on the machine itself, not in a container",
        ) from error
    yield ok(f"dmesg may be read: {count:,} lines since {host.booted_at():%Y-%m-%d %H:%M} UTC")


CHECK = Check("kernel", look)
