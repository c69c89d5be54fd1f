"""Full-page screenshots of built pages, for people who review them.

    python tests/browser/screenshots.py book/intro chapters/00_text --out DIR

gives one PNG a page for light and dark, 1280 and 390 pixels wide. With no
page named, every chapter and every page of the front and back matter.
"""

import argparse
from pathlib import Path

from pages import HTML, browser, built_pages, serve, settled


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--html", type=Path, default=HTML)
    parser.add_argument("--open", action="store_true", help="unfold all boxes")
    parser.add_argument("--widths", type=int, nargs="+", default=[1280, 390])
    options = parser.parse_args()
    pages = [page.removesuffix(".html") for page in options.pages] or [
        page.removesuffix(".html")
        for page in built_pages(options.html)
        if not page.startswith("_modules")
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    with serve(options.html) as address, browser() as chromium:
        for mode in ("light", "dark"):
            for width in options.widths:
                context = chromium.new_context(
                    viewport={"width": width, "height": 900},
                    color_scheme=mode,
                )
                tab = context.new_page()
                for page in pages:
                    tab.goto(f"{address}/{page}.html")
                    settled(tab)
                    if options.open:
                        tab.evaluate(
                            "document.querySelectorAll('article details')"
                            ".forEach(box => box.open = true)"
                        )
                    name = f"{page.replace('/', '_')}-{mode}-{width}.png"
                    tab.screenshot(path=options.out / name, full_page=True)
                    print(options.out / name)
                context.close()


if __name__ == "__main__":
    main()
