import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples
from workbench.errors import RunError
from workbench.training.checkpoint import MANIFEST, seal, verify


def checkpoint_in(folder):
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 20)
    (folder / "sub" / "state.json").write_bytes(b'{"step": 3}')
    (folder / "empty").write_bytes(b"")
    return folder


def test_a_sealed_checkpoint_verifies_with_the_same_sum(tmp_path):
    folder = checkpoint_in(tmp_path / "checkpoint-3")
    assert seal(folder) == verify(folder) == seal(folder)


def test_a_checkpoint_without_manifest_was_never_finished(tmp_path):
    with pytest.raises(RunError, match=r"never finished.*WB620"):
        verify(checkpoint_in(tmp_path / "checkpoint-3"))


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_any_damage_is_noticed_and_names_its_file(tmp_path_factory, data):
    folder = checkpoint_in(tmp_path_factory.mktemp("c") / "checkpoint-3")
    seal(folder)
    name = data.draw(st.sampled_from(["model.safetensors", "sub/state.json", "empty"]))
    damage = data.draw(st.sampled_from(["flip", "cut", "grow", "remove"]))
    path = folder / name
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "grow" or not content:
        path.write_bytes(bytes(content) + b"\0")
    elif damage == "cut":
        path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content) - 1))]))
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(content))
    with pytest.raises(RunError, match="WB621") as caught:
        verify(folder)
    assert str(path) in str(caught.value)


def test_a_damaged_manifest_is_noticed(tmp_path):
    folder = checkpoint_in(tmp_path / "checkpoint-3")
    seal(folder)
    (folder / MANIFEST).write_text('{"files": ')
    with pytest.raises(RunError, match="WB621"):
        verify(folder)
