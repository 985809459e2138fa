"""Rows with images: placeholders and images agree, in every spelling, and nothing is opened or fetched."""

from __future__ import annotations

import json

import pytest
from converted import codes, origin, plain
from row_origins import assert_origins_hold

from workbench.options import RowOptions
from workbench.rows.convert import convert, convert_all
from workbench.rows.detect import choose, detect
from workbench.rows.files.load import open_source
from workbench.templates import registry
from workbench.templates.render import render
from workbench.types import Finding

PICTURE = {"type": "image"}


def text(value):
    return {"type": "text", "text": value}


def user(content):
    return {"role": "user", "content": content}


A = {"role": "assistant", "content": "A cat."}
TURNS = [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "A cat."}]
SPELLINGS = [
    {"messages": [user("<image>What?"), A], "images": ["cat.png"]},
    {"messages": [user("<image>What?"), A], "images": "cat.png"},
    {"messages": [user("<image>What?"), A], "images": '["cat.png"]'},
    {"messages": [user("<image>What?"), A], "images": [{"path": "cat.png", "bytes": None}]},
    {"messages": [user("<IMG_CONTEXT>What?"), A], "images": ["cat.png"]},
    {"messages": [user([PICTURE, text("What?")]), A], "images": ["cat.png"]},
    {"messages": [user([{"type": "image", "path": "cat.png"}, text("What?")]), A]},
    {"messages": [user([{"type": "image", "url": "cat.png"}, text("What?")]), A]},
    {"messages": [user([{"type": "image", "image": "cat.png"}, text("What?")]), A]},
    {
        "messages": [
            user([{"type": "image_url", "image_url": {"url": "cat.png", "image_wh": [1, 2]}}, text("What?")]),
            A,
        ]
    },
    {"messages": [user([{"type": "image_url", "image_url": "cat.png"}, text("What?")]), A]},
    {"messages": [user([{"type": "image_url", "content": "cat.png"}, {"type": "text", "content": "What?"}]), A]},
    {"messages": [user([{"type": "input_image", "image_url": "cat.png"}, {"type": "input_text", "text": "What?"}]), A]},
    {"messages": [user([{"type": "image", "path": "cat.png"}, text("<IMG_CONTEXT>What?")]), A]},
    {"messages": [user([PICTURE, text("What?")])], "answer": "A cat.", "images": ["cat.png"]},
    {"messages": TURNS, "images": ["cat.png"]},
    {"messages": json.dumps(TURNS), "images": ["cat.png"]},
    {"messages": "<image>What?", "answer": "A cat.", "images": ["cat.png"]},
]


@pytest.mark.parametrize("row", SPELLINGS)
def test_every_spelling_of_one_image_and_a_question_gives_the_same_conversation(row):
    example, findings = convert(row, 2, "vision", {})
    assert findings == ()
    assert plain(example.messages) == [
        {"role": "user", "content": [PICTURE, text("What?")]},
        {"role": "assistant", "content": [text("A cat.")]},
    ]
    assert (example.images, example.row) == (("cat.png",), 2)
    assert assert_origins_hold(row, example) >= len("What?A cat.")


def test_text_around_a_placeholder_keeps_its_place_in_the_row():
    row = {"messages": [user("Left <image>, right <image>\n?"), A], "images": ["1.png", "2.png"]}
    example, findings = convert(row, 0, "vision", {})
    content = example.messages[0]["content"]
    assert findings == ()
    assert plain(content) == [text("Left "), PICTURE, text(", right "), PICTURE, text("\n?")]
    assert [part["text"].runs[0].start for part in content if "text" in part] == [0, 12, 27]
    assert {origin(part["text"]).field for part in content if "text" in part} == {"messages[0].content"}


def test_images_of_several_messages_stay_in_order():
    row = {
        "messages": [
            user([{"type": "image", "path": "own.png"}, text("a")]),
            A,
            user("<image> and <image>"),
            A,
        ],
        "images": ["first.png", "second.png"],
    }
    example, _ = convert(row, 0, "vision", {})
    assert example.images == ("own.png", "first.png", "second.png")


def test_history_rounds_stand_before_the_question():
    row = {"messages": "<image>c", "answer": "d", "history": [["<image>a", "b"]], "images": ["1.png", "2.png"]}
    example, findings = convert(row, 0, "vision", {})
    assert findings == ()
    assert plain(example.messages[0]["content"]) == [PICTURE, text("a")]
    assert plain(example.messages[2]["content"]) == [PICTURE, text("c")]


def test_images_without_a_placeholder_go_in_front_of_the_first_question_as_in_trl():
    from trl.data_utils import prepare_multimodal_messages

    messages = [{"role": "system", "content": "Be brief."}, user("Compare."), A, user("And now?"), A]
    example, findings = convert({"messages": messages, "images": ["1.png", "2.png"]}, 0, "vision", {})
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB587", "info", "images")]
    theirs = prepare_multimodal_messages(messages, images=["1.png", "2.png"])
    for message in theirs:
        for part in message["content"]:
            part.pop("image", None)
    assert plain(example.messages) == theirs


def test_structured_messages_are_what_trl_makes_of_them():
    from trl.data_utils import prepare_multimodal_messages

    messages = [user([PICTURE, text("What?"), PICTURE]), {"role": "assistant", "content": [text("A cat.")]}]
    example, _ = convert({"messages": messages, "images": ["1.png", "2.png"]}, 0, "vision", {})
    theirs = prepare_multimodal_messages(messages, images=["1.png", "2.png"])
    assert list(example.images) == [part["image"] for part in theirs[0]["content"] if part["type"] == "image"]
    assert [part["type"] for part in plain(example.messages[0]["content"])] == ["image", "text", "image"]


def test_objects_and_bytes_are_passed_through_untouched():
    class Picture:
        def __bool__(self) -> bool:
            raise TypeError("an image has no truth")

    picture, held = Picture(), {"bytes": b"\x89PNG", "path": "a.png"}
    row = {"messages": [user("<image><image><image>?"), A], "images": [picture, b"\x89PNG", held]}
    example, findings = convert(row, 0, "vision", {})
    assert findings == ()
    assert example.images[0] is picture
    assert example.images[1:] == (b"\x89PNG", held)


def test_a_row_without_images_is_a_plain_conversation():
    example, findings = convert({"messages": [user("Hi"), A], "images": []}, 0, "vision", {})
    assert (findings, example.images) == ((), ())
    assert plain(example.messages) == [user("Hi"), A]


@pytest.mark.parametrize(
    ("row", "code", "field", "said"),
    [
        ({"messages": [user("<image>?"), A], "images": []}, "WB586", "images", "no images for 1 placeholder"),
        ({"messages": [user("<image>?"), A], "images": ["1", "2"]}, "WB586", "images", "2 images for 1 placeholder"),
        ({"messages": [user([PICTURE, PICTURE]), A], "images": ["1"]}, "WB586", "images", "1 image for 2 placeholders"),
        ({"messages": [user([PICTURE, text("?")]), A]}, "WB586", "images", "no images for 1 placeholder"),
        ({"messages": [user([{"type": "image", "path": "a"}, text("<image><image>")]), A]}, "WB586", "messages",
         "2 placeholders in its text for 1 image"),
        ({"messages": [user("<image>?"), A], "images": [None]}, "WB589", "images[0]", "null"),
        ({"messages": [user("<image>?"), A], "images": [""]}, "WB589", "images[0]", "the text ''"),
        ({"messages": [user("<image>?"), A], "images": [3]}, "WB522", "images[0]", "the number 3"),
        ({"messages": [user("<image>?"), A], "images": True}, "WB522", "images", "the boolean true"),
        ({"messages": [user([{"type": "image", "path": 3}]), A]}, "WB522", "messages[0]", "the number 3"),
        ({"messages": [user([{"type": "audio", "path": "a.wav"}]), A]}, "WB538", "messages[0].content[0]", "audio"),
        ({"messages": "What?", "images": ["a.png"]}, "WB520", "answer", "missing"),
        ({"messages": [user([PICTURE])], "images": ["a.png"]}, "WB531", "messages", "no assistant"),
        ({"images": ["a.png"]}, "WB520", "messages", "missing"),
    ],
)  # fmt: skip
def test_rows_whose_images_do_not_fit_are_named(row, code, field, said):
    example, findings = convert(row, 6, "vision", {})
    assert example is None
    (error,) = [f for f in findings if f.severity == "error"]
    assert (error.code, error.field, error.row) == (code, field, 6)
    assert said in error.message
    assert error.remedy


def test_files_are_looked_for_only_where_a_folder_is_named(tmp_path):
    (tmp_path / "here.png").write_bytes(b"")
    names = ["here.png", "gone.png", "https://example.com/a.png", "data:image/png;base64,AAAA", "x" * 5000, "a\x00b"]
    row = {"messages": [user("<image>" * len(names) + "?"), A], "images": names}
    assert convert(row, 0, "vision", {})[1] == ()
    example, findings = convert(row, 0, "vision", {}, RowOptions(image_folder=str(tmp_path)))
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB588", "warning", "images[1]")]
    assert example.images == tuple(names)


def test_prefix_and_suffix_are_prompt_and_completion():
    row = {"image": "cat.png", "prefix": "caption en", "suffix": "A cat."}
    example, findings = convert(row, 0, "prefix_suffix", {})
    assert findings == ()
    assert plain(example.messages) == [
        user([PICTURE, text("caption en")]),
        {"role": "assistant", "content": [text("A cat.")]},
    ]
    assert (example.images, example.completion_from) == (("cat.png",), 1)
    marked, _ = convert({**row, "prefix": "<image>caption en"}, 0, "prefix_suffix", {})
    assert plain(marked.messages) == plain(example.messages)


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"prefix": "a", "suffix": "b"}, "WB520", "image"),
        ({"image": None, "prefix": "a", "suffix": "b"}, "WB589", "image"),
        ({"image": "x", "prefix": None, "suffix": "b"}, "WB521", "prefix"),
        ({"image": "x", "prefix": "a", "suffix": ""}, "WB523", "suffix"),
        ({"image": "x", "prefix": "<image><image>a", "suffix": "b"}, "WB586", "image"),
    ],
)
def test_prefix_rows_that_cannot_be_used_are_named(row, code, field):
    example, findings = convert(row, 0, "prefix_suffix", {})
    assert example is None
    assert [(f.code, f.field) for f in findings if f.severity == "error"] == [(code, field)]


VISION = (
    "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{% if part.type == 'image' %}<pad>{% else %}"
    "{{ part.text }}{% endif %}{% endfor %}{% endfor %}"
)


def test_templates_that_read_images_write_their_own_placeholder():
    example, _ = convert(SPELLINGS[0], 0, "vision", {})
    made = render(example, registry.info("vision", VISION, "a test"))
    assert not isinstance(made, Finding)
    assert made.text == "<user><pad>What?<assistant>A cat."


def test_a_template_for_text_is_refused_by_what_to_choose_instead():
    import workbench as wb

    enc = wb.data([SPELLINGS[0]]).encode("chatml", tokenizer="tiny-llama")
    (finding,) = [f for f in enc.findings if f.code == "WB102"]
    assert "has images" in finding.remedy and "model that reads images" in finding.remedy
    assert enc.usable == [] or tuple(enc.usable) == ()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "images", "expected"),
    [
        ("vision/vision_language_oumi_format.jsonl", [1, 1], []),
        ("vision/xtuner_single_image.jsonl", [1] * 8, []),
        ("ms_swift/multi_modal_2.jsonl", [1, 1, 3], ["WB587"] * 3),
    ],
)
def test_every_real_row_is_used(shared, name, images, expected):
    source = open_source(shared / "testdata" / "datasets" / name)
    match = choose(detect(source.rows))
    made = list(convert_all(source.rows, match.type, match.columns))
    assert match.type == "vision"
    assert [len(example.images) for example, _ in made] == images
    assert [code for _, findings in made for code in codes(findings)] == expected
    for row, (example, _) in zip(source.rows, made, strict=True):
        assert assert_origins_hold(row, example) > 0
        placeholders = sum(part["type"] == "image" for m in example.messages for part in m["content"])
        assert placeholders == len(example.images)
