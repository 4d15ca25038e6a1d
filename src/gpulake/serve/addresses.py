"""Which page an address means, and which thing it names."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.routing import compile_path

from gpulake.errors import UsageError
from gpulake.serve.page import Page, all_pages


class _AnyName(PathConvertor):
    """What `{name:path}` stands for: the name of a thing may hold a line break too."""

    regex = "(?s:.*)"


def register() -> None:
    """Let addresses name things by any name; before the first page gets an address."""
    register_url_convertor("path", _AnyName())


def page_at(path: str) -> tuple[Page, Mapping[str, str]]:
    """The page of a path (names in it quoted) and the names in it. Raises UsageError where there is none."""
    register()
    plain = unquote(path)
    for page in all_pages():
        found = compile_path(page.path)[0].match(plain)
        if found:
            return page, found.groupdict()
    raise UsageError("there is no such page.", where=path[:200], do="start at /")


def parted(address: str) -> tuple[str, dict[str, str], str]:
    """An address as its path, what it asks, and the place in the page."""
    split = urlsplit(address)
    return split.path, dict(parse_qsl(split.query)), split.fragment
