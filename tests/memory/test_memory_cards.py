"""GPUs by name: sizes, aliases, nearest names, the cards of this machine."""

import os
import stat

import pytest

from workbench.errors import RecipeError
from workbench.memory.cards import CARDS, MIB, card_named, card_of_size
from workbench.memory.figures import GIB
from workbench.memory.local_cards import freest_local_card, local_cards, read_line

ALIASES = {
    "4090": "RTX 4090",
    "rtx4090": "RTX 4090",
    "NVIDIA GeForce RTX 4090": "RTX 4090",
    "a100": "A100 80GB",
    "a100-80": "A100 80GB",
    "A100 40GB": "A100 40GB",
    "NVIDIA A100-SXM4-80GB": "A100 80GB",
    "h100": "H100 80GB",
    "NVIDIA H100 80GB HBM3": "H100 80GB",
    "Tesla T4": "T4",
    "t4": "T4",
    "L4": "L4",
    "l40s": "L40S",
    "A10G": "A10G",
    "V100": "V100 16GB",
    "H200": "H200",
    "B200": "B200",
    "MI300X": "MI300X",
    "3060 12GB": "RTX 3060",
    "3090": "RTX 3090",
    "5090": "RTX 5090",
    "6000 Ada": "RTX 6000 Ada",
    "NVIDIA RTX 6000 Ada Generation": "RTX 6000 Ada",
}


@pytest.mark.parametrize(("given", "name"), ALIASES.items())
def test_cards_answer_to_the_names_people_type(given, name):
    assert card_named(given).name == name


def test_every_name_of_the_table_is_found_and_means_one_card():
    assert {name: card_named(name).name for name in CARDS} == {name: name for name in CARDS}


def test_torch_sees_less_than_the_driver_reports_and_that_less_than_the_box_says():
    for card in CARDS.values():
        nominal = float(card.nominal.split()[0]) * 1e9
        assert 0.2 * GIB < card.driver_bytes - card.bytes < 0.9 * GIB, card
        # boxes say GB and mostly mean GiB
        assert 0.95 < card.driver_bytes / nominal < 1.08, card
        assert card.source and card.free == card.bytes


@pytest.mark.parametrize(("text", "size"), [("24GB", 24), ("24 GiB", 24), ("80g", 80), ("24", 24), ("16384MiB", 16)])
def test_a_size_is_a_card(text, size):
    assert card_named(text).bytes == size * GIB


@pytest.mark.parametrize("text", ["0", "0GB", "-3GB", "1e30GB", "+0.0 gib"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(RecipeError, match="WB806"):
        card_named(text)


@pytest.mark.parametrize("size", [float("nan"), float("inf"), 0.0, -1.0])
def test_numbers_that_are_no_size_are_refused(size):
    with pytest.raises(RecipeError, match="WB806"):
        card_of_size(size)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(RecipeError, match=r"'rtx 4900'.*RTX 4090.*WB816"):
        card_named("rtx 4900")
    with pytest.raises(RecipeError, match=r"Known: .*H200.*WB816"):
        card_named("???")


def test_a_line_of_the_driver_is_a_card_with_what_others_hold():
    card = read_line("1, NVIDIA GeForce RTX 4090, 24564, 1024")
    assert card.bytes == CARDS["RTX 4090"].bytes
    assert (card.driver_bytes, card.taken) == (24564 * MIB, 1024 * MIB)
    assert card.free == card.bytes - 1024 * MIB
    assert "GPU 1 here" in card.name
    for broken in ("0, NVIDIA A100, [N/A], [N/A]", "", "no devices were found", "0, x, 12, 3", "a, b, c, d, e"):
        assert read_line(broken) is None


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for the driver's program is a shell script")
def test_local_cards_are_asked_of_the_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert local_cards() == ()
    with pytest.raises(RecipeError, match="WB816"):
        freest_local_card()
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "0, NVIDIA L4, 23034, 20000"\necho "1, NVIDIA L4, 23034, 5"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert [card.taken for card in local_cards()] == [20000 * MIB, 5 * MIB]
    assert freest_local_card().taken == 5 * MIB
    program.write_text("#!/bin/sh\nexit 9\n")
    assert local_cards() == ()


def test_a_mistyped_model_number_is_no_size():
    with pytest.raises(RecipeError, match=r"4091.*Nearest: .*4090"):
        card_named("4091")
    assert card_named("24").bytes == 24 * GIB
