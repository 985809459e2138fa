"""Steps of an epoch synthesised from a few traced lengths, against traces of those very steps."""

from dataclasses import replace

import pytest

from workbench.errors import RecipeError
from workbench.memory.alloc_conf import Settings
from workbench.memory.allocator import CachingAllocator
from workbench.memory.architecture import read_config
from workbench.memory.order import Order, anchored
from workbench.memory.plan import Plan
from workbench.memory.template import Shape, Template
from workbench.memory.trace import Trace
from workbench.recipes import Recipe
from workbench.training.tracing import TRACER, order_of

TINY = read_config("tiny-llama")
LORA = {"peft_type": "LORA", "r": 8, "target_modules": "all-linear"}
LENGTHS = [100, 64, 230, 333, 90, 400, 128]


def plan(batches, **changes):
    return Plan.of(Recipe(per_device_train_batch_size=2), TINY, batches, adapter=LORA, **changes)


def replayed(trace):
    """Live bytes, reserved bytes and their most in every step of a trace, by an allocator that serves its own log."""
    allocator, held, found = CachingAllocator(), {}, []
    for index, (key, size) in enumerate(trace.events):
        if index in trace.steps:
            found.append((allocator.peak_active, allocator.reserved, allocator.peak_reserved))
            allocator.peak_active, allocator.peak_reserved = allocator.active, allocator.reserved
        if size > 0:
            held[key] = allocator.allocate(size)
        elif size < 0:
            allocator.release(held.pop(key))
        else:
            allocator.empty_cache()
    return found


def both(**changes):
    """The order's steps, and those of a trace of the whole order."""
    batches = [[length, length] for length in LENGTHS]
    asked = plan(batches, **changes)
    whole = replace(asked, steps=len(batches), padded=True)
    real = replayed(Trace.from_dict(whole, TRACER.ask(whole)))
    return order_of(asked, batches).steps, real


@pytest.mark.training
def test_synthesised_steps_are_the_traced_ones_to_the_byte_with_eager_attention():
    steps, real = both(attention="eager")
    found = [(step.live, step.reserved, step.top) for step in steps]
    assert found[: len(real)] == real
    assert len(real) >= len(LENGTHS) - 1


@pytest.mark.training
@pytest.mark.parametrize("changes", [{}, {"loop": "plain", "autocast": False}], ids=["sdpa", "plain loop"])
def test_masks_padded_to_16_cost_less_than_a_thousandth(changes):
    steps, real = both(**changes)
    for step, (live, _, _) in zip(steps, real, strict=False):
        assert step.live == pytest.approx(live, rel=1e-3)
    assert steps[5].live == max(step.live for step in steps)


@pytest.mark.training
def test_rising_lengths_are_the_worst_order_and_expandable_segments_mend_it():
    lengths = [600 + 60 * number for number in range(16)]
    rising = [[length, length] for length in lengths]
    up, down = order_of(plan(rising), rising), order_of(plan(rising[::-1]), rising[::-1])
    assert up.peak_live == pytest.approx(down.peak_live, rel=0.01)
    assert up.peak_reserved > 2 * down.peak_reserved
    assert up.worst.number == 15
    mended = max(step.top for step in up.replay(Settings(expandable_segments=True)))
    assert mended <= 1.02 * down.peak_reserved
    fits = up.replay(capacity=(up.peak_reserved + down.peak_reserved) // 2)
    assert len(fits) == 16  # the allocator gives its cache back in time
    assert len(up.replay(capacity=up.peak_live // 2)) < 16


def test_sizes_are_polynomials_of_the_length():
    shape = Shape(((-1, 0), (-1, 1), (-1, 2)), (0, 0, 1), (), ())
    lengths = (8, 24, 56, 104)
    sizes = tuple((100, 5 * length + 7, 3 * length * length) for length in lengths)
    made = Template(shape, lengths, sizes)
    assert made.sizes((41, 90)) == [100, 5 * 41 + 7, 3 * 90 * 90]
    assert made.sizes((2,)) == [100, 5 * 8 + 7, 3 * 64]  # never outside of what was traced


def test_long_epochs_are_replayed_at_their_new_longest_batches_and_evenly():
    batches = [[10 + (number % 7) * 3, 10] for number in range(1000)]
    batches[700] = [90, 90]
    traced = Trace(plan([[8, 8]]), [], [], [], {})
    order = Order.of(traced, batches, most=20)
    places = [number for number, _ in order.lengths]
    assert len(places) == 20
    assert order.left_out == 980
    assert {0, 1, 2, 700} <= set(places)
    assert places == sorted(places)


def test_the_longest_batch_is_always_traced_itself():
    batches = [[50, 30], [400, 2], [64]]
    made = anchored(plan([[8, 8]]), batches)
    assert made.batches[0] == [50, 50]
    assert made.batches[-1] == made.batches[-2] == [400, 400]
    assert made.steps == len(made.batches)
    with pytest.raises(RecipeError, match="WB806"):
        anchored(plan([[8, 8]]), [])


@pytest.mark.training
def test_an_estimate_of_lengths_replays_their_epoch():
    from workbench.api.memory import estimate_recipe
    from workbench.memory.lengths import Lengths

    recipe = Recipe(per_device_train_batch_size=2)
    made = estimate_recipe(recipe, Lengths.of([40, 900, 200, 333, 90, 720, 128, 500]), method="trace")
    assert made.order is not None
    assert made.reserved_bytes == max(made.trace.reserved, made.order.peak_reserved)
    assert made.to_dict()["order"]["worst"]["top"] == made.order.peak_reserved
    assert any("in order; the most in step" in sentence for sentence in made.assumptions)
    assert estimate_recipe(recipe, 64, method="trace").order is None
