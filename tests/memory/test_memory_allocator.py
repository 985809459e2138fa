"""The allocator's replay: hand-checked sequences, and properties over random ones."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import RecipeError
from workbench.memory.alloc_conf import LARGE_SEGMENT, MIB, Settings
from workbench.memory.allocator import CachingAllocator, OutOfMemoryError
from workbench.memory.replay import EMPTY_CACHE, replay, smallest_capacity

GIB = 1024 * MIB
SETTINGS = {
    "default": Settings(),
    "split limit": Settings(max_split_size=64 * MIB),
    "power of two": Settings(roundup_power2_divisions=4),
    "expandable": Settings(expandable_segments=True),
}


@pytest.mark.parametrize(
    ("size", "taken", "reserved"),
    [
        (1, 512, 2 * MIB),
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (11 * MIB, 12 * MIB, 12 * MIB),  # the rest of 1 MiB is not worth a block
        (21 * MIB, 22 * MIB, 22 * MIB),
    ],
)
def test_a_first_request_takes_the_segment_torch_takes(size, taken, reserved):
    allocator = CachingAllocator()
    assert allocator.allocate(size).size == taken
    assert (allocator.active, allocator.reserved) == (taken, reserved)


def test_requests_share_segments_and_best_fit_wins():
    allocator = CachingAllocator()
    a, b = allocator.allocate(30 * MIB), allocator.allocate(24 * MIB)
    allocator.release(a)
    allocator.release(b)
    c = allocator.allocate(23 * MIB)
    assert (c.segment, c.size) == (b.segment, 24 * MIB)
    d = allocator.allocate(5 * MIB)
    assert d.segment == a.segment
    assert allocator.reserved == 54 * MIB


def test_a_rest_is_split_off_only_where_it_is_worth_it():
    allocator = CachingAllocator()
    allocator.release(allocator.allocate(40 * MIB))
    assert allocator.allocate(39 * MIB).size == 40 * MIB
    allocator = CachingAllocator()
    allocator.release(allocator.allocate(40 * MIB))
    assert allocator.allocate(39 * MIB - 512).size == 39 * MIB - 512


def test_empty_cache_gives_back_whole_segments_only():
    events = [(1, 30 * MIB), (2, 50 * MIB), (2, -50 * MIB), (3, 25 * MIB), (1, -30 * MIB), EMPTY_CACHE]
    # 3 sits in the 50 MiB segment, so only the 30 MiB one goes
    assert replay(events).reserved == 50 * MIB
    assert replay([*events, (3, -25 * MIB), EMPTY_CACHE]).reserved == 0


def test_a_full_card_gives_its_cache_back_before_it_fails():
    events = [(1, 40 * MIB), (1, -40 * MIB), (2, 60 * MIB)]
    assert replay(events).peak_reserved == 100 * MIB
    tight = replay(events, capacity=64 * MIB)
    assert (tight.fits, tight.retries, tight.peak_reserved) == (True, 1, 60 * MIB)
    failed = replay(events, capacity=59 * MIB)
    assert (failed.fits, failed.failed_at) == (False, 2)
    assert smallest_capacity(events, step=MIB) <= 61 * MIB
    with pytest.raises(OutOfMemoryError):
        CachingAllocator(capacity=MIB).allocate(1)


def test_a_split_limit_keeps_large_blocks_whole():
    limited = CachingAllocator(Settings(max_split_size=64 * MIB))
    limited.release(limited.allocate(100 * MIB))
    assert limited.allocate(30 * MIB).size == 30 * MIB
    assert limited.reserved == 130 * MIB
    assert limited.allocate(90 * MIB).size == 100 * MIB  # close enough to the large one
    assert replay([(1, 200 * MIB), (1, -200 * MIB), (2, 100 * MIB)], limited.settings, 210 * MIB).retries == 1


def test_expandable_segments_grow_where_segments_of_their_own_pile_up():
    growing = [(0, 0)]
    for key in range(1, 30):
        growing += [(key, key * 30 * MIB), (key, -key * 30 * MIB)]
    plain, expandable = replay(growing), replay(growing, Settings(expandable_segments=True))
    assert plain.peak_reserved == sum(range(1, 30)) * 30 * MIB
    assert expandable.peak_reserved == -(-29 * 30 // 20) * 20 * MIB


def test_expandable_segments_give_back_pages_inside_and_reuse_their_addresses():
    allocator = CachingAllocator(Settings(expandable_segments=True))
    a, b, c = (allocator.allocate(50 * MIB) for _ in range(3))
    allocator.release(b)  # 50 to 100 MiB of 160
    assert allocator.reserved == 160 * MIB
    allocator.empty_cache()  # pages 60 to 100, and none of the last 10 MiB
    assert allocator.reserved == 120 * MIB
    d = allocator.allocate(45 * MIB)
    assert (d.offset, allocator.reserved) == (50 * MIB, 160 * MIB)
    for block in (a, c, d):
        allocator.release(block)
    allocator.empty_cache()
    assert allocator.reserved == 0


def test_rounding_to_steps_between_powers_of_two():
    allocator = CachingAllocator(Settings(roundup_power2_divisions=4))
    # torch's documentation: with 4 divisions, 1200 lies between 1024 and 2048 with steps of 256
    assert CachingAllocator(Settings(roundup_power2_divisions=4)).rounded(1200) == 1536
    assert allocator.rounded(1200 * 1024) == 1280 * 1024
    assert allocator.rounded(1024 * 1024) == 1024 * 1024


def test_the_environment_variable_is_read():
    text = "expandable_segments:True,max_split_size_mb:128, garbage_collection_threshold:0.6"
    assert Settings.from_text(text) == Settings(128 * MIB, 0, True)
    assert Settings.from_text("") == Settings()
    for bad in ("max_split_size_mb:x", "max_split_size_mb:20", "roundup_power2_divisions:3", "expandable_segments:on"):
        with pytest.raises(RecipeError, match="WB807"):
            Settings.from_text(bad)


def check(allocator, held):
    """No overlap, no gap in a segment, no two free neighbours, and the totals agree."""
    reserved = active = 0
    pieces = allocator.segments()
    for blocks in pieces.values():
        end = None
        for before, block in zip([None, *blocks], blocks, strict=False):
            assert block.size > 0
            assert end is None or block.offset >= end
            if before is not None and block.offset == end:
                assert not (before.free and block.free)
            end = block.offset + block.size
            reserved += block.size
            active += 0 if block.free else block.size
    assert (reserved, active) == (allocator.reserved, allocator.active)
    assert reserved >= active
    used = {(b.segment, b.offset) for blocks in pieces.values() for b in blocks if not b.free}
    assert used == {(block.segment, block.offset) for block in held}


SIZES = st.one_of(
    st.integers(1, 4096), st.integers(1, 2 * MIB), st.integers(MIB, 25 * MIB), st.integers(10 * MIB, 200 * MIB)
)
STEPS = st.lists(st.tuples(st.sampled_from("aaaffe"), SIZES, st.integers(0, 10**6)), max_size=60)


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_blocks_never_overlap_and_merge_back_to_whole_segments(name, steps):
    allocator = CachingAllocator(SETTINGS[name])
    held = []
    for what, size, pick in steps:
        if what == "a":
            block = allocator.allocate(size)
            assert block.size >= size
            held.append(block)
        elif what == "f" and held:
            allocator.release(held.pop(pick % len(held)))
        elif what == "e":
            allocator.empty_cache()
        check(allocator, held)
    for block in held:
        allocator.release(block)
    check(allocator, [])
    assert allocator.active == 0
    if not SETTINGS[name].expandable_segments:
        assert all(len(blocks) == 1 for blocks in allocator.segments().values())
    allocator.empty_cache()
    assert allocator.reserved == 0


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=30, deadline=None)
@given(steps=STEPS, share=st.floats(0.5, 1.5))
def test_a_limit_is_never_exceeded(name, steps, share):
    events, held = [], []
    for key, (what, size, pick) in enumerate(steps, 1):
        if what == "a":
            events.append((key, size))
            held.append((key, size))
        elif held:
            gone = held.pop(pick % len(held))
            events.append((gone[0], -gone[1]))
    free = replay(events, SETTINGS[name])
    assert free.fits
    limited = replay(events, SETTINGS[name], int(free.peak_reserved * share))
    assert limited.peak_reserved <= max(0, int(free.peak_reserved * share))
    if share >= 1:
        assert (limited.fits, limited.retries) == (True, 0)


def random_events(count):
    rng, events, held = random.Random(0), [], []
    for key in range(1, count + 1):
        if held and (rng.random() < 0.5 or len(held) > 2000):
            index = rng.randrange(len(held))
            held[index], held[-1] = held[-1], held[index]
            gone = held.pop()
            events.append((gone[0], -gone[1]))
        else:
            size = rng.choice((rng.randint(1, 5000), rng.randint(MIB, 30 * MIB)))
            held.append((key, size))
            events.append((key, size))
    return events


@pytest.mark.bench
@pytest.mark.parametrize("name", SETTINGS)
def test_speed(name):
    events = random_events(100_000)
    start = time.perf_counter()
    found = replay(events, SETTINGS[name])
    print(f"{name}: 100,000 events in {time.perf_counter() - start:.2f} s, {found.peak_reserved / GIB:.1f} GiB")
    assert found.peak_reserved >= found.peak_active > LARGE_SEGMENT
