"""Pairs, images and rollouts inside a real JupyterLab, over a live kernel, as a user walks through them."""

import os

import pytest
from lab_server import EXTENSION, jupyter_lab, menu, open_notebook
from test_lab import active_cell, notebook

pytestmark = [pytest.mark.browser, pytest.mark.training, pytest.mark.timeout(280)]

PAIRS = """import workbench as wb
rows = [{"prompt": f"Where does Kipwick live, number {i}?", "chosen": f"In house {i}.",
         "rejected": f"In house {i + 1}, or not."} for i in range(40)]
enc = wb.data(rows).encode(tokenizer="tiny-llama")
enc[3]"""
VISION = """from PIL import Image
from workbench.tokens.encode import load_tokenizer
Image.new("RGB", (64, 48), "teal").save("teal.png")
tokenizer = load_tokenizer("tiny-llama")
tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
template = ("{% for m in messages %}<|im_start|>{{ m.role }}\\n{% if m.content is string %}{{ m.content }}{% else %}"
  "{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
  "<|im_end|>\\n{% endfor %}")
rows = [{"query": "<image>Which colour?", "response": "Teal.", "images": ["teal.png"]}]
wb.data(rows).encode(template, tokenizer=tokenizer)[0]"""
ROLLOUTS = """import warnings; warnings.filterwarnings("ignore")
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from workbench import tiny_llama
def length(completions, **_):
    return [len(item[0]["content"]) / 10 for item in completions]
args = GRPOConfig(output_dir="out", use_cpu=True, bf16=False, report_to="none", per_device_train_batch_size=8,
                  num_generations=4, max_completion_length=8, max_steps=1, seed=3, save_strategy="no")
asked = [{"prompt": [{"role": "user", "content": f"Where does Kipwick live, {i}?"}]} for i in range(8)]
trainer = GRPOTrainer(model=str(tiny_llama.model_path()), reward_funcs=[length], args=args,
                      train_dataset=Dataset.from_list(asked))
tap = wb.tap(trainer)
trainer.train();"""
SHOWN = "tap.batches[0]"
WHERE = "document.activeElement.closest('.wb-part')?.className ?? ''"


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The notebook with all its cells run; `WORKBENCH_PICTURES` keeps pictures of its cards."""
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    pytest.importorskip("PIL")
    dark = os.environ.get("WORKBENCH_DARK") == "1"
    with jupyter_lab(tmp_path_factory.mktemp("lab"), dark=dark) as lab:
        (lab.files / "walk.ipynb").write_text(notebook(PAIRS, VISION, ROLLOUTS, SHOWN))
        page = browser.new_page(viewport={"width": 1300, "height": 1100}, locale="en-US")
        page.set_default_timeout(200_000)
        open_notebook(page, lab, "walk.ipynb")
        menu(page, "Run", "Run All Cells")
        page.wait_for_selector(".jp-OutputArea-output .wb-rollouts", state="attached")
        yield page


def card(page, name: str):
    """A card, scrolled into view, and into a picture where pictures are kept."""
    found = page.locator(f".jp-OutputArea-output .{name}").first
    found.scroll_into_view_if_needed()
    if folder := os.environ.get("WORKBENCH_PICTURES"):
        page.wait_for_timeout(300)
        found.screenshot(path=f"{folder}/{name}.png")
    return found


def test_pair_card_walks_with_keys_and_asks_the_kernel(page):
    shown = card(page, "wb-pairs")
    assert shown.locator(".wb-title").inner_text() == "Row 3"
    shown.locator(".wb-part-chosen [data-i]").first.click()
    cell = active_cell(page)
    page.keyboard.press("d")
    assert "wb-parting" in page.evaluate("document.activeElement.className")
    page.keyboard.press("ArrowDown")
    assert "wb-part-rejected" in page.evaluate(WHERE)
    page.keyboard.press("j")
    page.wait_for_function("document.querySelector('.wb-pairs .wb-title').textContent === 'Row 4'")
    assert "wb-part" in page.evaluate(WHERE) and active_cell(page) == cell
    assert shown.locator(".wb-code pre").inner_text() == "enc[4]"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.classList.contains('jp-Cell')")


def test_image_of_a_row_is_shown_from_its_file(page):
    page.locator(".jp-OutputArea-output .wb-media").first.scroll_into_view_if_needed()
    chip = page.locator(".jp-OutputArea-output .wb-tline .wb-media").first
    assert chip.inner_text() == "<image>×1"
    assert chip.locator("img").evaluate("n => n.complete && n.naturalWidth > 0")
    chip.click()
    assert "64 by 48 pixels" in page.locator(".wb-insp .wb-medium").first.inner_text()


def test_rollouts_walk_from_prompt_to_prompt(page):
    shown = card(page, "wb-rollouts")
    shown.locator(".wb-rolltable tbody tr").first.click()
    page.keyboard.press("ArrowDown")
    assert shown.locator(".wb-rolltable tr.wb-open").evaluate("n => [...n.parentElement.children].indexOf(n)") == 1
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('.wb-opened') !== null")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.wait_for_function("document.querySelector('.wb-rollouts .wb-part-prompt h4').textContent === 'Prompt 1'")
    values = shown.locator(".wb-advcell .wb-adv").all_inner_texts()
    assert len(values) == 4 and any(value.startswith("+") for value in values)
    assert page.evaluate("document.querySelector('.wb-rollouts .wb-rolltable tr.wb-open') === document.activeElement")
