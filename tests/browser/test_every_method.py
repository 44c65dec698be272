"""Every method by clicking: started from the form, seen to its end with its own pictures, compared and measured."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from sklearn.datasets import load_digits

from tests.browser.conftest import Product
from tests.browser.test_main_job import NAMES, SECOND, downloaded, look, sign_up

IMAGE_COUNT, SAMPLE = 500, 20
KEYS = "1234567890"
NEAREST = "The images nearest to each group's centre"

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Asked:
    """A method as a person starts it: what is changed in its form, and the headings of the pictures it leaves."""

    title: str
    changes: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()


ZERO_SHOT = Asked("Zero-shot")
OTHERS = {
    "must": Asked("MUST", {"setting-epochs": "1"}, ("Filling in what is hidden", "Where it looks")),
    "turtle": Asked("TURTLE", {"num_classes": "", "setting-classes_to": "14", "setting-steps": "100"},
                    (r"Why \d+ classes", "The surest images of each group")),
    "maect": Asked("MAE-CT", {"setting-pretraining_epochs": "0.3", "setting-preparing_epochs": "0.3",
                              "setting-epochs": "0.3", "setting-starts": "5"},
                   (NEAREST,)),
    "finetune": Asked("Unsupervised finetuning", {"setting-epochs": "0.3", "setting-starts": "5"}, (NEAREST,)),
    "semimae": Asked("Semi-MAE", {"setting-warming_epochs": "0.3", "setting-epochs": "0.3"},
                     ("Filling in what is hidden",)),
}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a window."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(120 * SECOND)
    expect.set_options(timeout=120 * SECOND)
    yield opened
    context.close()


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder of 500 real digits."""
    folder = tmp_path_factory.mktemp("chosen") / "digits"
    folder.mkdir()
    for number, one in enumerate(load_digits().images[:IMAGE_COUNT]):
        Image.fromarray((one * (255 / 16)).astype("uint8")).save(folder / f"{number:04d}.png")
    return folder


def bring(page: Page, folder: Path) -> str:
    """Upload the folder and give the names; return the collection's address."""
    page.locator("input[data-input=folder]").first.set_input_files(folder)
    page.wait_for_url("**/collections/*/images/**", timeout=120 * SECOND)
    expect(page.locator("#image-count")).to_have_text(str(IMAGE_COUNT), timeout=300 * SECOND)
    collection = page.url[: page.url.index("/images/")]
    page.goto(f"{collection}/question/")
    page.locator("input[name=kind][value=names]").check()
    page.locator("#id_names").fill(NAMES)
    page.get_by_role("switch", name="Mirror images mean the same").uncheck()
    page.get_by_role("button", name="Save the question").click()
    return collection


def start(page: Page, collection: str, method: str, asked: Asked) -> str:
    """Choose a method in the form, change what is to be changed, start it; return the run's address."""
    page.goto(f"{collection}/runs/new/")
    page.locator(f"#method-{method}").check()
    expect(page.locator("#settings-title")).to_have_text(asked.title)
    page.get_by_text("All settings").click()
    for name, value in asked.changes.items():
        control = page.locator(f"#id_{name}")
        if control.evaluate("one => one.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(value)
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/runs/*/")
    expect(page.get_by_role("heading", name=asked.title)).to_be_visible()
    return page.url


def see(page: Page, run: str, asked: Asked, name: str) -> None:
    """Watch a run to its end and look at what it drew."""
    page.goto(run)
    expect(page.get_by_role("heading", name="Take it away")).to_be_visible(timeout=900 * SECOND)
    for title in asked.pictures:
        section = page.locator("section", has=page.get_by_role("heading", name=re.compile(f"^{title}$")))
        picture = section.locator("figure.picture img")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("one => one.naturalWidth") > 100, f"{asked.title}: {title} does not load"
    assert page.locator("figure.picture").count() == len(asked.pictures)
    look(page, f"every-{name}")


def check(page: Page, run: str) -> None:
    """Name twenty random images truly, and make corrections of the answers."""
    digits = load_digits()
    truth = {(one * (255 / 16)).astype("uint8").tobytes(): int(label)
             for one, label in zip(digits.images[:IMAGE_COUNT], digits.target, strict=False)}
    page.goto(run)
    page.get_by_role("button", name="Start a spot check").click()
    page.locator(f"input[name=count][value='{SAMPLE}']").check()
    look(page, "every-spot-check-offer")
    page.get_by_role("button", name="Start", exact=True).click()
    for number in range(SAMPLE):
        expect(page.get_by_text(f"{number + 1} of {SAMPLE}", exact=True)).to_be_visible()
        address = str(page.locator(".asked img").get_attribute("src"))
        content = page.request.get(f"{page.url[: page.url.index('/runs/')]}{address}").body()
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
        page.keyboard.press(KEYS[truth[pixels.tobytes()]])
    expect(page.get_by_text("with 95 % confidence between")).to_be_visible()
    look(page, "every-spot-check")
    page.get_by_role("button", name="Use my answers as corrections").click()
    expect(page.get_by_text("Your answers are corrections now")).to_be_visible()


def test_every_method_by_clicking(product: Product, page: Page, digits_folder: Path) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    sign_up(page, product)
    collection = bring(page, digits_folder)
    first = start(page, collection, "zeroshot", ZERO_SHOT)
    see(page, first, ZERO_SHOT, "zeroshot")

    check(page, first)
    page.goto(first)
    package = downloaded(page, lambda: page.get_by_role("button", name="Model package").click())
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        card = archive.read("CARD.md").decode()
    assert re.search(rf"% right \(95 % interval \d+–\d+ %\), on a random sample of {SAMPLE} images", card), card

    runs = {method: start(page, collection, method, asked) for method, asked in OTHERS.items()}  # semimae learns now
    for method, run in runs.items():
        see(page, run, OTHERS[method], method)

    page.goto(f"{collection}/runs/")
    page.get_by_role("button", name="Compare").click()
    table = page.locator("section", has=page.get_by_role("heading", name="Runs side by side"))
    for asked in (ZERO_SHOT, *OTHERS.values()):
        expect(table.get_by_role("link", name=asked.title).first).to_be_visible()
    look(page, "every-compare")
    assert faults == []
