"""The fit bar as a user meets it: figures, sliders, remedies, keys, what a reader of screens is told."""

import re

import pytest
from component_page import nodes_in, open_component
from fit_payloads import fit_payload, measured, with_cards

pytestmark = pytest.mark.browser

SPOKEN = ".wb-fit > .wb-vh[role=status]"


@pytest.fixture
def show_fit(page, widgets):
    """Show a fit payload."""

    def show(payload=None, **how):
        open_component(page, widgets, "fit", {"payload": payload or fit_payload(**how)})
        return page

    return show


def figure(page, index: int) -> float:
    return float(page.locator(".wb-fig b").nth(index).inner_text().split("\n")[0].replace("GiB", ""))


def move(page, label: str, to: str) -> None:
    """One key on a slider: a move, and the rest after it."""
    page.get_by_label(label, exact=True).press(to)
    page.wait_for_timeout(60)


def test_figures_and_the_verdict_are_those_of_python(show_fit):
    payload = fit_payload(gradient_checkpointing=True)
    page, made = show_fit(payload), payload["made"]
    gib = 2**30
    assert figure(page, 0) == pytest.approx(made["live"] / gib, abs=0.051)
    assert figure(page, 1) == pytest.approx(sum(made["reserved"]) / 2 / gib, abs=0.051)
    assert figure(page, 3) == pytest.approx(23.6 - figure(page, 2), abs=0.11)
    assert page.inner_text(".wb-verdict") == "Fits"
    low, high = made["reserved"]
    assert f"({low / gib:.1f}–{high / gib:.1f})" in page.inner_text(".wb-fig >> nth=1")


def test_the_bar_is_to_scale_and_what_is_over_the_card_is_hatched(show_fit):
    page = show_fit(per_device_train_batch_size=4)
    assert page.inner_text(".wb-verdict") == "Out of memory"
    shares = page.evaluate(
        "[...document.querySelectorAll('.wb-s')].map(n => [n.dataset.k, n.hidden ? 0 : parseFloat(n.style.width)])"
    )
    share = dict(shares)
    keys = {
        key.get_attribute("data-k"): float(key.locator("b").inner_text())
        for key in page.locator(".wb-key:visible").all()
    }
    assert share["activations"] / share["weights"] == pytest.approx(keys["activations"] / keys["weights"], rel=0.01)
    limit = page.evaluate("parseFloat(document.querySelector('.wb-limit').style.left)")
    over = page.evaluate("parseFloat(document.querySelector('.wb-overlay').style.width)")
    assert limit + over == pytest.approx(sum(share.values()), abs=0.01) and over > 0
    assert limit / sum(share.values()) == pytest.approx(23.6 / figure(page, 2), rel=0.01)


def test_a_moved_slider_changes_bar_code_and_verdict_without_a_kernel(show_fit):
    page = show_fit(per_device_train_batch_size=4)
    before = figure(page, 0)
    assert page.inner_text(".wb-code pre") == "recipe.estimate(gpu='23.6 GiB')"
    move(page, "Batch size", "Home")
    assert figure(page, 0) < before
    code = page.inner_text(".wb-code pre")
    assert code == "recipe = recipe.with_(per_device_train_batch_size=1)\nrecipe.estimate(gpu='23.6 GiB')"
    page.get_by_role("switch", name="Gradient checkpointing").click()
    assert page.inner_text(".wb-verdict") == "Fits"
    assert "gradient_checkpointing=True" in page.inner_text(".wb-code pre")
    assert "gradient_checkpointing" in page.locator(".wb-code .wb-changed").all_inner_texts()
    assert page.evaluate("window.sent") == []


def test_what_is_moved_back_is_what_python_said(show_fit):
    page = show_fit()
    before = page.inner_text(".wb-figs"), page.inner_text(".wb-keys")
    move(page, "LoRA rank", "ArrowRight")
    assert "r=32" in page.inner_text(".wb-code pre")
    move(page, "LoRA rank", "ArrowLeft")
    assert (page.inner_text(".wb-figs"), page.inner_text(".wb-keys")) == before
    assert page.inner_text(".wb-code pre") == "recipe.estimate(gpu='23.6 GiB')"


def test_shards_are_a_slider_and_their_communication_is_in_the_bar(show_fit):
    page = show_fit(adapter="none")
    before = figure(page, 0)
    assert page.locator('.wb-key[data-k="communication"]:visible').count() == 0
    move(page, "GPUs", "End")
    assert figure(page, 0) < before / 2
    assert page.locator('.wb-key[data-k="communication"]:visible').count() == 1
    assert "world=64, sharding='fsdp'" in page.inner_text(".wb-code pre")
    page.get_by_label("Sharing", exact=True).select_option("ZeRO 2")
    assert "world=64, sharding='zero2'" in page.inner_text(".wb-code pre")
    move(page, "GPUs", "Home")
    assert figure(page, 0) == before


LORA = {"peft_type": "LORA", "r": 32, "target_modules": ["q_proj", "v_proj"], "bias": "none"}
BITS, LORA_SWITCH = "4-bit weights (NF4)", "LoRA (off: all weights train)"


def first_line(page):
    return page.inner_text(".wb-code pre").splitlines()[0]


def pressed(page, name):
    return page.get_by_role("switch", name=name).get_attribute("aria-checked") == "true"


def test_controls_begin_at_the_recipes_adapter_and_code_changes_it(show_fit):
    page = show_fit(adapter="qlora", gradient_checkpointing=True)
    before = figure(page, 0)
    assert "QLoRA r16 on all linear layers" in page.inner_text(".wb-fitsub")
    assert pressed(page, BITS) and pressed(page, LORA_SWITCH)
    page.get_by_role("switch", name=BITS).click()
    assert figure(page, 0) > before
    assert first_line(page) == "recipe = recipe.with_(adapter='lora')"
    page.get_by_role("switch", name=LORA_SWITCH).click()
    assert first_line(page) == "recipe = recipe.with_(adapter='none')"
    assert page.get_by_role("switch", name=BITS).is_disabled()
    page.get_by_role("switch", name=LORA_SWITCH).click()
    page.get_by_role("switch", name=BITS).click()
    assert figure(page, 0) == before and first_line(page) == "recipe.estimate(gpu='23.6 GiB')"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"adapter": "lora"}, "adapter='qlora'"),
        ({"adapter": "dora"}, "quantisation='nf4'"),
        ({"adapter": LORA}, "quantisation='nf4'"),
    ],
)
def test_four_bits_are_said_as_the_adapter_says_them(fields, line, show_fit):
    page = show_fit(**fields)
    page.get_by_role("switch", name=BITS).click()
    assert first_line(page) == f"recipe = recipe.with_({line})"


def test_the_rank_of_a_mapping_is_changed_in_the_mapping(show_fit):
    page = show_fit(adapter=LORA)
    move(page, "LoRA rank", "ArrowRight")
    assert eval(first_line(page).removeprefix("recipe = recipe.with_(adapter=").removesuffix(")")) == {**LORA, "r": 64}


def test_what_cannot_be_tried_is_said_with_its_reason(show_fit):
    payload = {**fit_payload(), "tried": None, "untried": "The formula does not know adapter IA3."}
    page = show_fit(payload)
    assert page.inner_text(".wb-fitnote").endswith("The formula does not know adapter IA3.")
    assert page.locator(".wb-sl").count() == 0 and page.locator(".wb-code pre").count() == 1


def test_remedies_are_sorted_by_saving_and_applied_by_one_press(show_fit):
    page = show_fit(per_device_train_batch_size=1)
    lines = page.locator(".wb-fix:visible")
    savings = [float(re.search(r"−([\d.]+) GiB", text)[1]) for text in lines.all_inner_texts()]
    assert len(savings) >= 3 and savings == sorted(savings, reverse=True)
    first = lines.first
    code, result = first.locator("code").inner_text(), first.locator(".wb-to").inner_text()
    before = figure(page, 2)
    first.get_by_role("button").press("Enter")
    assert figure(page, 2) == pytest.approx(before - savings[0], abs=0.11)
    assert f"{figure(page, 2):.1f}" in result and code in page.inner_text(".wb-code pre")
    assert page.get_by_role("switch", name="Gradient checkpointing").get_attribute("aria-checked") == "true"
    assert page.inner_text(SPOKEN).startswith("Fits.")


def test_the_card_is_chosen_in_the_page_and_named_in_the_code(show_fit):
    page = show_fit(with_cards(fit_payload(per_device_train_batch_size=2)))
    assert page.inner_text(".wb-verdict") == "Out of memory"
    page.get_by_label("Card", exact=True).select_option("H100 80GB, 79.2 GiB")
    assert page.inner_text(".wb-verdict") == "Fits"
    assert page.inner_text(".wb-code pre") == "recipe.estimate(gpu='H100 80GB')"
    page.get_by_label("Card", exact=True).select_option("no card")
    assert page.inner_text(".wb-verdict") == "no card chosen"
    assert not page.is_visible(".wb-limit") and page.locator(".wb-fig:visible").count() == 3


def test_a_kind_that_is_pointed_at_or_focused_shows_its_formula(show_fit):
    page = show_fit()
    page.hover(".wb-key[data-k=weights]")
    said = page.inner_text(".wb-formula")
    assert said.startswith("Weights: parameters × bytes") and "8,030,261,248" in said
    page.focus(".wb-key[data-k=optimizer]")
    assert page.inner_text(".wb-formula").startswith("Optimizer: ")
    page.hover(".wb-s[data-k=activations]")
    assert page.inner_text(".wb-formula").startswith("Activations: ")


def test_a_reader_of_screens_is_told_when_a_slider_rests_and_not_before(show_fit):
    page = show_fit(per_device_train_batch_size=4)
    page.evaluate(
        """() => {
          const slider = document.querySelector('.wb-range');
          for (const value of [0, 1, 2, 0]) {
            slider.value = value;
            slider.dispatchEvent(new Event('input', { bubbles: true }));
          }
        }"""
    )
    page.wait_for_timeout(60)
    assert page.inner_text(SPOKEN) == ""
    page.evaluate("document.querySelector('.wb-range').dispatchEvent(new Event('change', { bubbles: true }))")
    assert "nvidia-smi will show" in page.inner_text(SPOKEN)
    assert page.get_attribute(".wb-range >> nth=1", "aria-valuetext") == "2,048"


def test_the_keyboard_walks_key_sliders_switches_remedies_and_code(show_fit):
    page = show_fit(with_cards(fit_payload(per_device_train_batch_size=4)))
    page.focus("#before")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "after":
            break
        seen.append(page.evaluate("document.activeElement.className"))
    kinds = ["wb-fitcard", "wb-key", "wb-range", "wb-switch", "wb-btn", "wb-link"]
    assert [kind for kind in kinds if not any(kind in name for name in seen)] == []
    first = [next(i for i, name in enumerate(seen) if kind in name) for kind in kinds]
    assert first == sorted(first)


def test_the_step_has_phases_a_peak_with_its_owner_and_a_table(show_fit):
    payload = fit_payload(per_device_train_batch_size=4)
    page = show_fit(payload)
    drawn = page.text_content(".wb-step")
    assert all(word in drawn for word in ("forward", "loss", "backward", "optimizer", "free on this card: 23.6"))
    assert "most of it activations" in drawn and "Highest at" in page.get_attribute(".wb-step", "aria-label")
    page.get_by_role("button", name="Table").click()
    rows = page.locator(".wb-area .wb-dt tr").all_inner_texts()
    assert len(rows) == 1 + len(payload["made"]["peaks"])
    alive = [float(row.split("\t")[-1]) for row in rows[1:]]
    assert max(alive) == pytest.approx(figure(page, 0), abs=0.06)


def test_predicted_stands_beside_measured_on_one_scale(show_fit):
    page = show_fit(measured(fit_payload(gradient_checkpointing=True), 0.01))
    assert "Predicted within 1.0 %" in page.inner_text(".wb-head")
    bars = page.locator(".wb-pm .wb-stack")
    widths = [bars.nth(i).locator("[data-k=weights]").bounding_box()["width"] for i in range(2)]
    assert widths[1] / widths[0] == pytest.approx(1.01, abs=0.004)
    cells = [row.split("\t") for row in page.locator(".wb-dt tr").all_inner_texts()]
    assert [row[0] for row in cells] == ["GiB", "Predicted", "Measured", "Difference"]
    for column in range(1, len(cells[0])):
        predicted, found, gap = (float(cells[row][column].replace("−", "-")) for row in (1, 2, 3))
        assert gap == pytest.approx(predicted - found, abs=0.011)
    assert page.locator(".wb-range").count() == 0


def test_a_measurement_of_totals_alone_is_one_piece(show_fit):
    page = show_fit(measured(fit_payload(), -0.02, kinds=False))
    assert "Predicted within 2.1 %" in page.inner_text(".wb-head")
    assert page.locator(".wb-pm .wb-stack").nth(1).locator(".wb-s:not([hidden])").count() == 3
    assert "Weights" not in page.inner_text(".wb-dt")


def test_host_memory_has_one_figure_and_nothing_of_a_gpu(show_fit):
    page = show_fit(card_gib=None, model="tiny-llama", device="cpu", longest=300)
    assert page.inner_text(".wb-title") == "Host memory" and page.locator(".wb-fig:visible").count() == 1
    assert "MiB" in page.inner_text(".wb-figs") and "GPU" not in page.inner_text(".wb-fit")
    assert page.locator(".wb-switch:visible").count() == 2


def test_a_model_that_cannot_be_computed_here_is_shown_without_sliders(show_fit):
    payload = fit_payload()
    for tried in (None, {**payload["tried"], "shapes": {}}):
        page = show_fit({**payload, "tried": tried})
        assert page.locator(".wb-stack").count() == 1 and page.locator(".wb-range").count() == 0
        assert page.inner_text(".wb-code pre") == payload["code"]


def test_narrow_nothing_is_cut_off_and_the_card_keeps_to_few_nodes(show_fit):
    page = show_fit(with_cards(fit_payload(per_device_train_batch_size=4)))
    assert nodes_in(page, ".wb-fit") <= 1000
    page.set_viewport_size({"width": 560, "height": 1000})
    page.wait_for_timeout(100)
    wide = page.evaluate(
        """() => [...document.querySelectorAll('.wb-fit *')].filter(n => {
          const box = n.getBoundingClientRect(), card = document.querySelector('.wb-fit').getBoundingClientRect();
          return box.width > 1 && box.right > card.right + 1 && !n.closest('.wb-tsc, .wb-step');
        }).map(n => n.className)"""
    )
    assert wide == []
    page.get_by_role("button", name="Table").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_colours_forced_by_the_system_leave_patterns_and_words(show_fit):
    page = show_fit(per_device_train_batch_size=4)
    page.emulate_media(forced_colors="active")
    backgrounds = page.evaluate(
        """[...document.querySelectorAll('.wb-key:not([hidden]) i')].map(n => {
          const style = getComputedStyle(n);
          return style.backgroundImage + style.backgroundColor;
        })"""
    )
    assert len(set(backgrounds)) == len(backgrounds) >= 6


MOVES = """async count => {
  const frame = window.requestAnimationFrame.bind(window);
  const times = [];
  window.requestAnimationFrame = draw => frame(time => {
    const begin = performance.now();
    draw(time);
    void document.querySelector('.wb-fit').offsetHeight;
    times.push(performance.now() - begin);
  });
  const slider = document.querySelector('.wb-range');
  for (let i = 0; i < count; i += 1) {
    slider.value = String((7 * i) % (Number(slider.max) + 1));
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(done => frame(() => frame(done)));
  }
  return times.sort((a, b) => a - b);
}"""


@pytest.mark.bench
def test_bench_a_move_of_a_slider_with_its_layout(show_fit):
    page = show_fit(with_cards(fit_payload(per_device_train_batch_size=4)))
    times = page.evaluate(MOVES, 200)
    median, late = times[len(times) // 2], times[int(len(times) * 0.99)]
    print(f"\nfit bar: one move {median:.2f} ms in the median, {late:.2f} ms at the 99th percentile of {len(times)}")
    assert len(times) >= 200
