"""Vision batches: the collator's image tokens as one image each, its picture, the error where they are trained."""

import base64
import io

import pytest
import tap_vision as vision

import workbench as wb
from workbench.types import IGNORE, Reason

Image = pytest.importorskip("PIL.Image")
pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Whole messages under TRL's collator for vision models: it leaves image tokens in the labels."""
    trainer = vision.sft(tmp_path_factory.mktemp("vlm"))
    tap = wb.tap(trainer)
    before = tap.preview(1)[0]
    trainer.train()
    return trainer, before, tap.batches[0]


def test_image_tokens_are_the_collators_and_come_with_their_picture(whole):
    trainer, before, got = whole
    image = trainer.processing_class.tokenizer.convert_tokens_to_ids("<image>")
    seen = set()
    for row in range(2):
        view = got.row_at(row)
        (medium,) = view["media"]
        ids = got.arrays["input_ids"][row].tolist()
        assert [i for i, token in enumerate(ids) if token == image] == list(range(medium["start"], medium["end"]))
        assert medium["end"] - medium["start"] == 16 and (medium["width"], medium["height"]) == (32, 32)
        raw = base64.b64decode(medium["thumbnail"].removeprefix("data:image/png;base64,"))
        pixel = Image.open(io.BytesIO(raw)).convert("RGB").getpixel((16, 16))
        said = "".join(view["tokens"]["text"])
        (colour,) = [name for name in vision.COLOURS if name in said]
        assert all(
            abs(a - b) <= 2 for a, b in zip(pixel, Image.new("RGB", (1, 1), colour).getpixel((0, 0)), strict=True)
        )
        seen.add(colour)
    assert len(seen) == 2 and before.arrays["input_ids"].equal(got.arrays["input_ids"])


def test_trained_image_tokens_are_an_error(whole):
    _, _, got = whole
    assert bool(
        (got.arrays["labels"][got.arrays["input_ids"] == got.tap.trainer.model.config.image_token_id] != IGNORE).all()
    )
    assert [item.code for item in got.findings] == ["WB150", "WB150"]
    assert "16 of 16 tokens of image 0 are trained" in got.findings[0].message
    assert got.row_at(0)["findings"][0]["token"] == got.row_at(0)["media"][0]["start"]


def test_answers_only_leaves_image_tokens_masked(tmp_path):
    batch = wb.tap(vision.sft(tmp_path, assistant_only_loss=True)).preview(1)[0]
    assert batch.findings == ()
    view = batch.row_at(0)
    (medium,) = view["media"]
    reasons = {view["tables"]["reason"][i] for i in view["tokens"]["reason"][medium["start"] : medium["end"]]}
    assert reasons == {Reason.MEDIA} and sum(view["tokens"]["trained"]) > 0
