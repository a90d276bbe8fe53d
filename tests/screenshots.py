"""Pictures of pages at three widths, dark and light, to be looked at: python -m tests.screenshots PAGE.html[#state] ... --out DIR"""

from __future__ import annotations

import argparse
import base64
import tempfile
import time
from pathlib import Path

from tests.browser import opened, started

WIDTHS = (1440, 820, 390)
TALLEST = 4000  # pixels


def main() -> None:
    """One PNG for each page, width and theme."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="+", help="a file, with #state behind it if wanted")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        for browser in started(Path(profile)):
            for number, address in enumerate(options.page):
                path, _, state = address.partition("#")
                for width in WIDTHS:
                    for dark in (False, True):
                        opened(browser, Path(path).resolve().as_uri() + (f"#{state}" if state else ""), width, dark, height=900)
                        time.sleep(2)  # sounds are decoded and drawn
                        size = browser.execute_script("return document.documentElement.scrollHeight")
                        clip = {"x": 0, "y": 0, "width": width, "height": min(size, TALLEST), "scale": 1}
                        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
                        name = f"{number}-{Path(path).stem}-{width}-{'dark' if dark else 'light'}.png"
                        (options.out / name).write_bytes(base64.b64decode(shot["data"]))
                        print(options.out / name)


if __name__ == "__main__":
    main()
