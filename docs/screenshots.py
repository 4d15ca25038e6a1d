"""Draws every page of a lake, light and dark, at a desk's and a phone's width, as a browser shows it.

python docs/screenshots.py --lake lake --out out/screenshots [--only fleet,job] [--address URL]
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.walker import WIDTHS_PX, addresses, browsing, serving, settled  # noqa: E402


def main() -> None:
    """Write `<page>-<width>-<light or dark>.png` for each of them, and print where they are."""
    from gpulake.lake import open_publication

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lake", type=Path, default=ROOT / "lake")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "screenshots")
    parser.add_argument("--only", default="", help="names of pages, with commas")
    parser.add_argument("--address", help="of a server that runs already")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    only = set(filter(None, asked.only.split(",")))
    with open_publication(asked.lake) as reader:
        pages = addresses(lambda query, *params: reader.sql(query, params).to_pylist())
    drawn = 0
    with nullcontext(asked.address) if asked.address else serving(asked.lake) as address, browsing() as browser:
        for width, height in WIDTHS_PX.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                page = context.new_page()
                for name, path in pages.items():
                    if only and name not in only:
                        continue
                    page.goto(address + path)
                    settled(page)
                    page.screenshot(path=asked.out / f"{name}-{width}-{scheme}.png", full_page=True)
                    drawn += 1
                context.close()
    print(f"{drawn} pictures of {len(pages)} pages: {asked.out}")


if __name__ == "__main__":
    main()
