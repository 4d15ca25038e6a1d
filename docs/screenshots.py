"""Draws every page of a lake, light and dark, at a desk's and a phone's width, as a browser shows it.

python docs/screenshots.py --lake lake --out out/screenshots [--only fleet,job] [--address URL] [--readme]

`--readme` cuts those that the README shows from them, into docs/images.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.walker import WIDTHS_PX, addresses, browsing, serving, settled  # noqa: E402

MOST_BYTES = 150_000
README = {
    "pages-fleet.webp": (("fleet", 1280, "light", 0, 1180),),
    "pages-anomalies.webp": (("anomalies", 1280, "dark", 0, 1180),),
    "pages-phone.webp": (
        ("fleet", 390, "light", 0, 1100),
        ("job", 390, "light", 0, 1100),
        ("queue", 390, "dark", 0, 1100),
    ),
}
"""By file: parts of pictures that stand side by side, each a page, its width and light, and where it is cut."""


def readme(pictures: Path) -> None:
    """Cut and shrink what the README shows, until each file is small enough."""
    from PIL import Image

    for name, parts in README.items():
        cut = []
        for page, width, scheme, top, bottom in parts:
            whole = Image.open(pictures / f"{page}-{width}-{scheme}.png").convert("RGB")
            cut.append(whole.crop((0, top, whole.width, min(bottom, whole.height))))
        gap = 20 * (len(cut) > 1)
        size = (sum(each.width + gap for each in cut) - gap, max(each.height for each in cut))
        sheet = Image.new("RGB", size, "#d5dbe1")
        left = 0
        for each in cut:
            sheet.paste(each, (left, 0))
            left += each.width + gap
        file = ROOT / "docs" / "images" / name
        for quality in range(90, 20, -10):
            sheet.save(file, quality=quality, method=6)
            if file.stat().st_size <= MOST_BYTES:
                break
        print(f"{file}: {file.stat().st_size:,} bytes")


def main() -> None:
    """Write `<page>-<width>-<light or dark>.png` for each of them, and print where they are."""
    from gpulake.lake import open_publication

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lake", type=Path, default=ROOT / "lake")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "screenshots")
    parser.add_argument("--only", default="", help="names of pages, with commas")
    parser.add_argument("--address", help="of a server that runs already")
    parser.add_argument("--readme", action="store_true", help="make those of the README again")
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
    if asked.readme:
        readme(asked.out)


if __name__ == "__main__":
    main()
