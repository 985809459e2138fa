"""Images of encoded rows: one item for each image at its placeholder, pictures of what lies on this machine."""

import base64
import io

import pytest

import workbench as wb
from workbench.tokens.encode import load_tokenizer
from workbench.views.thumbnails import NOTHING, picture_of

Image = pytest.importorskip("PIL.Image")

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'image' %}PLACE{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}"
)
PLACES = {"one": "<image>", "framed": "<|vision_start|><|image_pad|><|vision_end|>"}


@pytest.fixture(scope="module")
def tokenizer():
    made = load_tokenizer("tiny-llama")
    marks = ["<image>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"]
    made.add_special_tokens({"additional_special_tokens": marks})
    return made


@pytest.fixture
def pictures(tmp_path):
    """A wide red and a tall blue image file."""
    Image.new("RGB", (640, 480), "red").save(tmp_path / "red.png")
    Image.new("RGB", (30, 60), "blue").save(tmp_path / "blue.jpg")
    return tmp_path


def shown(rows, tokenizer, place="<image>", **options):
    enc = wb.data(rows, **options).encode(TEMPLATE.replace("PLACE", place), tokenizer=tokenizer)
    return enc, enc.row_at(0)


def opened(url):
    return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_images_stand_at_their_placeholders_with_a_picture(place, tokenizer, pictures):
    row = {"query": "<image><image>Compare.", "response": "No.", "images": ["red.png", "blue.jpg"]}
    enc, view = shown([row], tokenizer, place, image_folder=str(pictures))
    size = 1 if place == "<image>" else 3
    assert [item["end"] - item["start"] for item in view["media"]] == [size, size]
    assert [(item["width"], item["height"]) for item in view["media"]] == [(640, 480), (30, 60)]
    texts = view["tokens"]["text"]
    for item in view["media"]:
        assert "".join(texts[item["start"] : item["end"]]) == place and "image" in item["name"]
        assert sum(view["tokens"]["trained"][item["start"] : item["end"]]) == 0
    red, blue = (opened(item["thumbnail"]) for item in view["media"])
    assert red.size == (96, 72) and red.convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    assert blue.convert("RGB").getpixel((5, 5))[2] > 200
    assert "desirable" in view and enc.findings == ()


def test_pictures_lie_beside_the_data_file(tokenizer, pictures):
    (pictures / "rows.jsonl").write_text('{"query": "<image>What?", "response": "Red.", "images": ["red.png"]}\n')
    _, view = shown(str(pictures / "rows.jsonl"), tokenizer)
    assert view["media"][0]["width"] == 640


@pytest.mark.parametrize(
    "image",
    ["https://example.invalid/cat.png", "file:///etc/passwd", "data:image/png;base64,AAAA", "missing.png", "rows.txt",
     b"no image", b"", "", None, {"path": None}, {"bytes": b"x"}, "a" * 5000, "nul\0.png"],
)  # fmt: skip
def test_what_is_no_local_image_has_no_picture(image, tmp_path):
    (tmp_path / "rows.txt").write_text("no image")
    assert picture_of(image, tmp_path) == NOTHING


def test_bytes_and_image_objects_have_pictures(pictures):
    raw = (pictures / "red.png").read_bytes()
    for image in (raw, {"bytes": raw}, {"bytes": None, "path": "red.png"}, Image.open(pictures / "red.png")):
        assert picture_of(image, pictures)[1:] == (640, 480)
    clear = picture_of(Image.new("RGBA", (20, 10), (0, 0, 0, 0)))
    assert opened(clear.thumbnail).mode == "RGBA"


def test_kto_rows_carry_their_label():
    rows = [{"prompt": f"{i}+2?", "completion": f"It is {i}.", "label": bool(i % 2)} for i in range(4)]
    enc = wb.data(rows).encode(tokenizer="tiny-llama")
    assert [enc.row_at(i)["desirable"] for i in range(4)] == [False, True, False, True]


def test_part_of_a_row_counts_its_images_from_its_first_token(tokenizer, pictures):
    row = {"query": "word " * 30 + "<image>What?", "response": "Red.", "images": ["red.png"]}
    enc, view = shown([row], tokenizer, image_folder=str(pictures))
    (whole,) = view["media"]
    (part,) = enc.view_of(0, 0, range(10, whole["end"] + 2))["media"]
    assert part["start"] == whole["start"] - 10
    assert enc.view_of(0, 0, range(0, 5))["media"] == []
