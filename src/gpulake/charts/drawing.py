"""Specifications drawn in process: the only owner of vl-convert, which carries Vega and a renderer and needs no browser."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

VEGA_LITE = "6.4"
"""The version that pages get too."""


def svg_of(spec: Mapping[str, Any]) -> str:
    """The picture as SVG. A specification that names an address is refused: nothing is fetched."""
    import vl_convert

    return vl_convert.vegalite_to_svg(dict(spec), vl_version=VEGA_LITE, allowed_base_urls=[])


def png_of(spec: Mapping[str, Any], *, scale: float) -> bytes:
    """The picture as PNG."""
    import vl_convert

    return _packed(vl_convert.vegalite_to_png(dict(spec), vl_version=VEGA_LITE, scale=scale, allowed_base_urls=[]))


@cache
def script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, of the installed library: what draws a page is what draws a file.

    It takes a second or two, once in a process.
    """
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)


def _packed(png: bytes) -> bytes:
    """The same picture in a ninth of the bytes: the renderer packs for speed only."""
    chunks = list(_chunks(png))
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    body = (b"IDAT", zlib.compress(pixels, 6))
    kept = [chunk for chunk in chunks if chunk[0] not in {b"IDAT", b"IEND"}]
    return png[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*kept, body, (b"IEND", b"")]
    )


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length
