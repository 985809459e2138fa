"""What CUDA's caching allocator reserves for a given order of allocations: its model, without a GPU.

    allocator = CachingAllocator(Settings(expandable_segments=True), capacity=24 * 1024 * MIB)
    block = allocator.allocate(3 * MIB)

The allocator takes memory from the driver in segments and hands out blocks of them. A request is rounded, the smallest
free block that holds it is taken and, where the rest is worth keeping, split; a freed block merges with its free
neighbours in the segment and is kept. What is reserved therefore depends on sizes and on their order, which no formula
sees. One stream, one device, no private pools of CUDA graphs.

Source: torch 2.13, c10/cuda/CUDACachingAllocator.cpp and c10/core/AllocatorConfig.h (sizes and rules; the code here is
our own).
"""

from __future__ import annotations

from bisect import bisect_left, insort

from workbench.memory.alloc_conf import LARGE_SEGMENT, MIB, Settings

MIN_BLOCK = 512
"""Every request is rounded up to a multiple of it (kMinBlockSize)."""
SMALL_REQUEST = MIB
"""Requests up to it are served from the small pool (kSmallSize)."""
SMALL_SEGMENT = 2 * MIB
"""What the small pool takes from the driver at a time (kSmallBuffer)."""
LARGE_REQUEST = 10 * MIB
"""From it on a request gets a segment of its own size (kMinLargeAlloc)."""
SEGMENT_MULTIPLE = 2 * MIB
"""Own segments are rounded up to it (kRoundLarge)."""

ENDLESS = 2**50
"""Addresses of an expandable segment; torch reserves more of them than the card has memory."""


class OutOfMemoryError(Exception):
    """A request that the card cannot hold even after the cache was given back."""


class Block:
    """A piece of a segment between its neighbours `before` and `after`.

    Attributes:
        mapped: Whether memory backs it; only expandable segments have blocks without.
    """

    __slots__ = ("after", "before", "free", "mapped", "offset", "segment", "size", "small")

    def __init__(self, segment: int, offset: int, size: int, small: bool, mapped: bool = True) -> None:
        self.segment, self.offset, self.size, self.small, self.mapped = segment, offset, size, small, mapped
        self.free = False
        self.before: Block | None = None
        self.after: Block | None = None

    @property
    def key(self) -> tuple[int, int, int]:
        """Order of a pool: size, then address. Segments are numbered as they are taken, as drivers place them."""
        return (self.size, self.segment, self.offset)

    @property
    def room(self) -> int:
        """Bytes of the block with the unmapped ones behind it, which it could grow into."""
        after = self.after
        return self.size + (after.size if after is not None and not after.mapped else 0)

    def put_behind(self, rest: Block) -> None:
        """Link `rest` behind this block."""
        rest.before, rest.after = self, self.after
        if self.after is not None:
            self.after.before = rest
        self.after = rest

    def swallow(self, after: Block) -> None:
        """Take the place of the next block too."""
        self.size += after.size
        self.after = after.after
        if after.after is not None:
            after.after.before = self


class CachingAllocator:
    """State of the allocator of one device.

    Attributes:
        capacity: Bytes the allocator may take from the driver; None has no limit.
        reserved: Bytes taken from the driver now; `peak_reserved` is their highest value.
        active: Bytes of blocks handed out now; `peak_active` is their highest value.
        retries: How often cached memory had to be given back to serve a request.
    """

    def __init__(self, settings: Settings | None = None, capacity: int | None = None) -> None:
        self.settings = settings or Settings()
        self.capacity = capacity
        self.reserved = self.peak_reserved = self.active = self.peak_active = self.retries = 0
        self._pools: dict[bool, list[tuple[int, int, int]]] = {True: [], False: []}
        self._blocks: dict[tuple[int, int], Block] = {}
        self._first: dict[int, Block] = {}
        self._unmapped: dict[bool, list[int]] = {True: [], False: []}
        self._taken = 0
        self._unsplit = self.settings.max_split_size or 2**63

    def rounded(self, size: int) -> int:
        """Bytes that a request of `size` takes."""
        divisions = self.settings.roundup_power2_divisions
        if divisions > 1 and size > MIN_BLOCK * divisions:
            return _next_division(size, divisions)
        return max(MIN_BLOCK, _up(size, MIN_BLOCK))

    def allocate(self, size: int) -> Block:
        """Hand out a block for a request of `size` bytes.

        Raises:
            OutOfMemoryError: When `capacity` does not hold it, even with an empty cache.
        """
        size = self.rounded(size)
        small = size <= SMALL_REQUEST
        block = self._best_fit(size, small) or self._grow(size, small) or self._retry(size, small)
        self._split(block, size)
        self.active += block.size
        self.peak_active = max(self.peak_active, self.active)
        return block

    def release(self, block: Block) -> None:
        """Take a block back and merge it with its free neighbours."""
        self.active -= block.size
        self._keep(block)

    def empty_cache(self) -> None:
        """Give back to the driver what is wholly free: segments, or whole pages of expandable ones."""
        for pool in self._pools.values():
            for key in list(pool):
                self._give_back(self._blocks[key[1:]])

    def segments(self) -> dict[int, list[Block]]:
        """Blocks of every segment in order of address, those without memory left out."""
        found: dict[int, list[Block]] = {}
        for number, block in self._first.items():
            chain: Block | None = block
            found[number] = []
            while chain is not None:
                if chain.mapped:
                    found[number].append(chain)
                chain = chain.after
        return found

    def _best_fit(self, size: int, small: bool) -> Block | None:
        pool = self._pools[small]
        index = bisect_left(pool, (size, 0, 0))
        if index == len(pool):
            return None
        if self.settings.expandable_segments:
            index = self._least_room(pool, index)
        found = pool[index][0]
        if size < self._unsplit <= found:  # what may not be split is kept for large requests
            return None
        if size >= self._unsplit and found >= size + LARGE_SEGMENT:
            return None
        block = self._blocks[pool.pop(index)[1:]]
        block.free = False
        return block

    def _least_room(self, pool: list[tuple[int, int, int]], index: int) -> int:
        """Prefer a block with less to grow into, so that the growing end of the segment stays free."""
        room = self._blocks[pool[index][1:]].room
        while index + 1 < len(pool):
            other = self._blocks[pool[index + 1][1:]].room
            if other >= room:
                break
            index, room = index + 1, other
        return index

    def _grow(self, size: int, small: bool) -> Block | None:
        """A block of a new segment, or of further pages."""
        if self.settings.expandable_segments:
            return self._extend(size, small)
        segment = SMALL_SEGMENT if small else LARGE_SEGMENT if size < LARGE_REQUEST else _up(size, SEGMENT_MULTIPLE)
        if not self._take(segment):
            return None
        return self._segment(segment, small)

    def _segment(self, size: int, small: bool, mapped: bool = True) -> Block:
        self._taken += 1
        block = Block(self._taken, 0, size, small, mapped)
        self._blocks[block.segment, 0] = self._first[block.segment] = block
        return block

    def _retry(self, size: int, small: bool) -> Block:
        """Give cached memory back, oversize blocks first, and take anew."""
        self.retries += 1
        block = self._grow(size, small) if self._release_oversize(size) else None
        if block is None:
            self.empty_cache()
            block = self._grow(size, small)
        if block is None:
            raise OutOfMemoryError(size)
        return block

    def _release_oversize(self, size: int) -> bool:
        """With a split limit, give back large blocks until they make up for the request."""
        if self.settings.max_split_size is None or self.settings.expandable_segments:
            return False
        want, given = max(size, self._unsplit), 0
        for key in reversed(list(self._pools[False])):
            if key[0] < self._unsplit or given >= want:
                break
            block = self._blocks[key[1:]]
            if block.before is None and block.after is None:
                given += key[0]
                self._give_back(block)
        return given >= want

    def _take(self, size: int) -> bool:
        if self.capacity is not None and self.reserved + size > self.capacity:
            return False
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        return True

    def _split(self, block: Block, size: int) -> None:
        """Cut a block to the request where the rest is worth keeping."""
        rest = block.size - size
        if block.small or self.settings.expandable_segments:
            worth = rest >= MIN_BLOCK
        else:
            worth = size < self._unsplit and rest > SMALL_REQUEST
        if not worth:
            return
        block.size = size
        self._insert(block, Block(block.segment, block.offset + size, rest, block.small))

    def _insert(self, block: Block, rest: Block) -> None:
        """Put a free or unmapped block behind another."""
        block.put_behind(rest)
        self._blocks[rest.segment, rest.offset] = rest
        if rest.mapped:
            self._keep(rest)
        else:
            insort(self._unmapped[rest.small], rest.offset)

    def _keep(self, block: Block) -> Block:
        """Merge a mapped block with its free neighbours, put the result into its pool and return it."""
        pool = self._pools[block.small]
        after, before = block.after, block.before
        if after is not None and after.free:
            del pool[bisect_left(pool, after.key)]
            del self._blocks[after.segment, after.offset]
            block.swallow(after)
        if before is not None and before.free:
            del pool[bisect_left(pool, before.key)]
            del self._blocks[block.segment, block.offset]
            before.swallow(block)
            block = before
        block.free = True
        insort(pool, block.key)
        return block

    def _give_back(self, block: Block) -> None:
        """Return a free block's memory to the driver, as far as it is whole segments or pages."""
        if self.settings.expandable_segments:
            self._unmap(block)
        elif block.before is None and block.after is None:
            pool = self._pools[block.small]
            del pool[bisect_left(pool, block.key)]
            del self._blocks[block.segment, 0]
            del self._first[block.segment]
            self.reserved -= block.size

    def _extend(self, size: int, small: bool) -> Block | None:
        """Map pages into the first stretch of addresses that is long enough; one segment for each pool."""
        if not self._unmapped[small]:
            self._segment(ENDLESS, small, mapped=False)
            self._unmapped[small].append(0)
        block = self._stretch(size, small)
        while not block.mapped or block.size < size:
            hole, want = (block.after, size - block.size) if block.mapped else (block, size)
            grown = self._map(hole, min(hole.size, want)) if hole is not None else None
            if grown is None:
                return None
            block = grown
        pool = self._pools[small]
        del pool[bisect_left(pool, block.key)]
        block.free = False
        return block

    def _stretch(self, size: int, small: bool) -> Block:
        """The first block from which free and unmapped ones make `size` bytes without a gap."""
        number = next(n for n, first in self._first.items() if first.small == small)
        start = Block(number, 0, 0, small)
        for offset in self._unmapped[small]:
            start = self._blocks[number, offset]
            if start.before is not None and start.before.free:
                start = start.before
            block, found = start, 0
            while block is not None and found < size and (block.free or not block.mapped):
                found, block = found + block.size, block.after
            if found >= size:
                break
        return start

    def _map(self, hole: Block, size: int) -> Block | None:
        """Back the beginning of an unmapped block with pages; the free block that comes of it."""
        pages = _up(size, _page(hole.small))
        if not self._take(pages):
            return None
        self._unmapped[hole.small].remove(hole.offset)
        hole.mapped = True
        rest = hole.size - pages
        if rest:
            hole.size = pages
            self._insert(hole, Block(hole.segment, hole.offset + pages, rest, hole.small, mapped=False))
        return self._keep(hole)

    def _unmap(self, block: Block) -> None:
        """Return the whole pages inside a free block."""
        page = _page(block.small)
        start, end = _up(block.offset, page), (block.offset + block.size) // page * page
        if end <= start:
            return
        pool = self._pools[block.small]
        del pool[bisect_left(pool, block.key)]
        block.free = False
        self.reserved -= end - start
        stop = block.offset + block.size
        if end < stop:
            block.size = end - block.offset
            self._insert(block, Block(block.segment, end, stop - end, block.small))
        if start > block.offset:
            hole = Block(block.segment, start, end - start, block.small, mapped=False)
            block.size = start - block.offset
            self._insert(block, hole)
            self._keep(block)
        else:
            hole, block.mapped = block, False
            insort(self._unmapped[block.small], block.offset)
        self._close(hole)

    def _close(self, hole: Block) -> None:
        """Merge an unmapped block with its unmapped neighbours."""
        for first in (hole, hole.before):
            after = None if first is None else first.after
            if first is not None and after is not None and not first.mapped and not after.mapped:
                self._unmapped[hole.small].remove(after.offset)
                del self._blocks[after.segment, after.offset]
                first.swallow(after)


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def _page(small: bool) -> int:
    return SMALL_SEGMENT if small else LARGE_SEGMENT


def _next_division(size: int, divisions: int) -> int:
    """Round up to the next of `divisions` equal steps between two powers of two."""
    floor = 1 << (size.bit_length() - 1)
    return size if size == floor else floor + _up(size - floor, max(1, floor // divisions))
