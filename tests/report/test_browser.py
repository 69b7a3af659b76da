"""Both pages in a real browser: nothing overflows, nothing is fetched, text stands out, keys reach everything, print works.

Needs chromium and chromedriver on the path, and selenium; skipped where they are not. Nothing here goes online: the driver
is named, and the browser is told not to.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenscore.report import BalanceReport, QualityReport, balance_page, quality_page

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None,
    reason="no chromium and chromedriver on the path: the pages are not seen in a browser",
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = (390, 1280)
OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true; });"
CONTRAST = """
const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const light = c => { const s = c.slice(0, 3).map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return .2126 * s[0] + .7152 * s[1] + .0722 * s[2]; };
const over = (top, under) => under.map((v, i) => i == 3 ? 1 : top[3] * top[i] + (1 - top[3]) * v);
const ground = node => { const layers = [];
  for (let e = node; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]); };
const found = [];
for (const e of document.body.querySelectorAll('*')) {
  const own = [...e.childNodes].filter(n => n.nodeType == 3 && n.textContent.trim()).map(n => n.textContent.trim()).join(' ');
  if (!own || e.tagName == 'title' || !e.checkVisibility() || e.classList.contains('skip')) continue;
  const style = getComputedStyle(e), ink = parse(e.closest('svg') ? style.fill : style.color), under = ground(e);
  const [a, b] = [light(over(ink, under)), light(under)].sort((x, y) => y - x);
  found.push([(a + .05) / (b + .05), e.tagName, own.slice(0, 40)]);
}
return found;
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser without a window, its profile in a fresh folder."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = selenium.Chrome(options=options, service=service.Service(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture(params=["balance", "quality", "one"])
def page(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    report: BalanceReport,
    make_quality: Callable[..., QualityReport],
) -> Path:
    """The balance page; ten classes by three methods with pictures; one method without."""
    names = [f"class {k}" for k in range(9)] + ["a-name-without-any-space-" * 3]
    make = {
        "balance": lambda: balance_page(report),
        "quality": lambda: quality_page(make_quality(names, pictures=16)),
        "one": lambda: quality_page(make_quality(names, ["run"], pictures=0)),
    }
    path = tmp_path / f"{request.param}.html"
    path.write_text(make[request.param](), encoding="utf-8")
    return path


def show(driver: Any, page: Path, width: int = 1280, scheme: str = "light", media: str = "") -> None:
    """Open a page as a device of this width shows it."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    driver.get(page.as_uri())


def picture(driver: Any) -> bytes:
    return base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_and_nothing_is_fetched(driver: Any, page: Path, width: int) -> None:
    driver.get_log("browser")
    show(driver, page, width)
    for opened in (False, True):
        if opened:
            driver.execute_script(OPEN_ALL)
        wide, inner = driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= inner == width
    assert driver.execute_script("return performance.getEntriesByType('resource').map(each => each.name)") == []
    assert driver.get_log("browser") == []
    policy = driver.execute_script("return document.querySelector('meta[http-equiv]').content")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    sizes = driver.execute_script("return [...document.images].map(each => [each.alt, each.naturalWidth, each.width])")
    assert [size for size in sizes if not all(size)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(driver: Any, page: Path, scheme: str) -> None:
    show(driver, page, scheme=scheme)
    driver.execute_script(OPEN_ALL)
    found = driver.execute_script(CONTRAST)
    assert len(found) > 60
    assert [each for each in found if each[0] < 4.5] == []
    dark = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", dark))) < 64) is (scheme == "dark")


def test_the_measure_of_contrast_itself(driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "grey.html"
    path.write_text("<body style='background:#fff'><p style='color:#777'>a</p><p style='color:rgba(0,0,0,.5)'>b</p>")
    show(driver, path)
    assert [each[0] for each in driver.execute_script(CONTRAST)] == pytest.approx([4.478, 3.95], abs=0.03)


def test_the_page_is_the_same_without_scripts(driver: Any, page: Path) -> None:
    show(driver, page)
    before = picture(driver)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(driver, page)
        after = picture(driver)
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert after == before
    from io import BytesIO

    from PIL import Image

    shown = np.asarray(Image.open(BytesIO(after)).convert("L"))
    assert (shown != shown[0, 0]).mean() > 0.02


def test_keys_reach_every_box_that_scrolls_and_open_what_is_closed(driver: Any, page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(driver, page, 390)
    boxes = driver.execute_script(
        "return [...document.querySelectorAll('.scroll')].filter(e => e.checkVisibility()).length"
    )
    reached, first = 0, ""
    for _ in range(60):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        kind, outline, words = driver.execute_script(
            "const e = document.activeElement; return [e.className, getComputedStyle(e).outlineStyle, e.textContent]"
        )
        first = first or words
        if "scroll" in kind.split():
            assert outline == "solid"
            reached += 1
        if reached == boxes:
            break
    assert first == "Skip to the content"
    assert reached == boxes > 0
    if driver.execute_script("return document.querySelector('details.measure')") is None:
        assert page.stem == "balance"
        return
    driver.execute_script("document.querySelector('details.measure > summary').focus()")
    ActionChains(driver).send_keys(Keys.ENTER).perform()
    assert driver.execute_script(
        "const e = document.querySelector('details.measure'); return e.open && e.checkVisibility()"
    )


def test_print_shows_everything_on_its_pages(driver: Any, page: Path) -> None:
    show(driver, page, 760, media="print")
    hidden = driver.execute_script(
        "return [...document.querySelectorAll('main svg[role=img], main table, main img')].filter(e => !e.checkVisibility())"
    )
    assert hidden == []
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 760
    content = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", content)) > 1


def test_names_of_charts_and_tables_are_told(driver: Any, page: Path) -> None:
    show(driver, page)
    unnamed = driver.execute_script(
        """return [...document.querySelectorAll('svg[role=img], [role=region], nav, table')].filter(e =>
        !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && !e.querySelector('caption')).length"""
    )
    assert unnamed == 0
    levels = driver.execute_script(
        "return [...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
