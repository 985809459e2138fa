/**
 * Lanes of a batch: each packed or padded row to scale, its documents as blocks.
 *
 * A grid of which only the lanes on screen are in the page. One block has tabindex 0; keys are the card's business.
 */
import type { BatchDocument, BatchPayload } from '../wire';
import { blocksOf, nearest, trainedPath } from './batchBlocks';
import type { Block } from './batchBlocks';
import { emptyWords, spokenDocument, spokenLane } from './batchWords';
import { formatNumber, h, on, svg } from './component';
import type { Child, Component, Trans } from './component';

export interface Place {
  readonly lane: number;
  readonly document: number;
}

export interface BatchLanes extends Component<BatchPayload> {
  readonly current: Place;
  readonly openPlace: Place | null;
  /** Make a document the current one and bring it into view. */
  go(place: Place, focus: boolean): void;
  step(by: 1 | -1): void;
  stepLane(by: 1 | -1): void;
  /** Mark the document whose tokens are shown. */
  markOpen(place: Place | null): void;
  focus(): void;
}

export interface BatchLanesProps {
  readonly payload: BatchPayload;
  onOpen(place: Place): void;
}

/** Height of a lane in CSS pixels, as in batch.css. */
const LANE_HEIGHT = 40;
const MOST_LANES = 8;
const OVERSCAN = 1;
/** Nodes that all mounted blocks may take, each with its label. */
const NODE_BUDGET = 420;
const NODES_PER_BLOCK = 4;
/** Room between two blocks, as a share of the lane. */
const BLOCK_GAP = 0.004;
/** Width of a character of a label, and of a block's mark and borders, in CSS pixels. */
const CHARACTER = 7;
const AROUND = 24;
const DEFAULT_WIDTH = 640;

class Lanes {
  readonly node = h('div', { class: 'wb-lanes', role: 'grid' });
  current: Place = { lane: 0, document: 0 };
  openPlace: Place | null = null;
  private readonly window = h('div', { class: 'wb-lanewin', role: 'presentation' });
  private readonly sizer = h('div', { class: 'wb-lanesize', role: 'presentation' }, this.window);
  private readonly listeners = new AbortController();
  private readonly observer: ResizeObserver;
  private mounted = new Map<number, HTMLElement>();
  private most = 60;
  private width = DEFAULT_WIDTH;

  constructor(
    private payload: BatchPayload,
    private readonly props: BatchLanesProps,
    private readonly trans: Trans
  ) {
    this.node.append(this.sizer);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.node);
    const { signal } = this.listeners;
    this.node.addEventListener('scroll', () => this.draw(), { signal, passive: true });
    on(this.node, 'click', event => this.click(event), signal);
    this.show(payload);
  }

  dispose(): void {
    this.observer.disconnect();
    this.listeners.abort();
  }

  private resize(): void {
    const width = this.node.querySelector('.wb-blocks')?.clientWidth ?? 0;
    if (width > 0 && Math.abs(width - this.width) >= 1) {
      this.width = width;
      this.redraw();
    }
  }

  show(payload: BatchPayload): void {
    this.payload = payload;
    const count = payload.lanes.length;
    const mounted = Math.min(count, MOST_LANES + 2 * OVERSCAN);
    this.most = Math.max(6, Math.floor(NODE_BUDGET / NODES_PER_BLOCK / Math.max(1, mounted)));
    this.node.setAttribute('aria-label', this.trans.__('Rows of the batch'));
    this.node.setAttribute('aria-rowcount', String(count));
    this.node.classList.toggle('wb-scrolls', count > MOST_LANES);
    this.node.style.setProperty('max-height', `${MOST_LANES * LANE_HEIGHT}px`);
    this.sizer.style.setProperty('height', `${count * LANE_HEIGHT}px`);
    if (payload.lanes[this.current.lane]?.documents[this.current.document] === undefined) {
      this.current = { lane: 0, document: 0 };
    }
    this.redraw();
  }

  go(place: Place, focus: boolean): void {
    const lane = Math.max(0, Math.min(this.payload.lanes.length - 1, place.lane));
    const documents = this.payload.lanes[lane]?.documents.length ?? 0;
    this.current = { lane, document: Math.max(0, Math.min(documents - 1, place.document)) };
    this.scrollTo(lane);
    this.redraw();
    if (focus) {
      this.focus();
    }
  }

  step(by: 1 | -1): void {
    const { lane, document } = this.current;
    const count = this.payload.lanes[lane]?.documents.length ?? 0;
    if (document + by >= 0 && document + by < count) {
      this.go({ lane, document: document + by }, true);
      return;
    }
    const other = this.payload.lanes[lane + by];
    if (other !== undefined) {
      this.go({ lane: lane + by, document: by > 0 ? 0 : other.documents.length - 1 }, true);
    }
  }

  stepLane(by: 1 | -1): void {
    const lane = this.current.lane + by;
    if (this.payload.lanes[lane] !== undefined) {
      this.go({ lane, document: nearest(this.payload, this.current, lane) }, true);
    }
  }

  markOpen(place: Place | null): void {
    this.openPlace = place;
    this.redraw();
  }

  focus(): void {
    this.node.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  }

  private click(event: MouseEvent): void {
    const block = event.target instanceof Element ? event.target.closest<HTMLElement>('.wb-blk') : null;
    if (block === null) {
      return;
    }
    const lane = Number(block.dataset['lane']);
    const first = Number(block.dataset['first']);
    const last = Number(block.dataset['last']);
    const documents = this.payload.lanes[lane]?.documents ?? [];
    const box = block.getBoundingClientRect();
    const start = documents[first]?.start ?? 0;
    const end = (documents[last]?.start ?? 0) + (documents[last]?.length ?? 0);
    const token = start + ((event.clientX - box.left) / Math.max(1, box.width)) * (end - start);
    const found = documents.findIndex(item => item.start + item.length > token);
    const document = Math.max(first, Math.min(last, found < 0 ? last : found));
    this.go({ lane, document }, true);
    this.props.onOpen(this.current);
  }

  private scrollTo(lane: number): void {
    const top = lane * LANE_HEIGHT;
    const { scrollTop } = this.node;
    const height = this.node.clientHeight || MOST_LANES * LANE_HEIGHT;
    if (top < scrollTop || top + LANE_HEIGHT > scrollTop + height) {
      this.node.scrollTop = top < scrollTop ? top : top + LANE_HEIGHT - height;
    }
  }

  private redraw(): void {
    const hadFocus = this.node.contains(document.activeElement);
    this.mounted.forEach(node => node.remove());
    this.mounted = new Map();
    this.draw();
    if (hadFocus) {
      this.focus();
    }
  }

  private draw(): void {
    const top = this.node.scrollTop;
    const height = this.node.clientHeight || MOST_LANES * LANE_HEIGHT;
    const count = this.payload.lanes.length;
    const first = Math.max(0, Math.floor(top / LANE_HEIGHT) - OVERSCAN);
    const last = Math.min(count - 1, first + MOST_LANES + 2 * OVERSCAN - 1, Math.ceil((top + height) / LANE_HEIGHT));
    const wanted = new Map<number, HTMLElement>();
    for (let lane = first; lane <= last; lane += 1) {
      wanted.set(lane, this.mounted.get(lane) ?? this.laneNode(lane));
    }
    this.mounted.forEach((node, lane) => {
      if (!wanted.has(lane) && !node.contains(document.activeElement)) {
        node.remove();
      } else if (!wanted.has(lane)) {
        wanted.set(lane, node);
      }
    });
    this.mounted = wanted;
    [...wanted].forEach(([lane, node]) => {
      node.style.setProperty('top', `${lane * LANE_HEIGHT}px`);
      if (node.parentElement !== this.window) {
        this.window.append(node);
      }
    });
  }

  private laneNode(index: number): HTMLElement {
    const { payload, trans } = this;
    const lane = payload.lanes[index] ?? { documents: [], tokens: 0, padding: 0 };
    const blocks = blocksOf(lane, payload.width, this.most);
    const bars = svg(
      'svg',
      { class: 'wb-lbars', viewBox: `0 0 ${payload.width} 1`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      svg('path', { d: trainedPath(lane, BLOCK_GAP * payload.width) })
    );
    const empty = emptyWords(payload, lane, trans);
    return h(
      'div',
      {
        class: 'wb-lane',
        role: 'row',
        'aria-rowindex': index + 1,
        'aria-label': spokenLane(payload, index, trans)
      },
      h('div', { class: 'wb-lno', role: 'rowheader' }, String(index)),
      h(
        'div',
        { class: 'wb-blocks', role: 'presentation' },
        ...blocks.map((block, at) => this.blockNode(index, block, at % 2 === 1)),
        empty === '' ? null : this.emptyNode(lane.tokens, empty, lane.padding > 0),
        bars
      ),
      h(
        'div',
        { class: 'wb-lr', role: 'presentation', 'aria-hidden': 'true' },
        h('span', { class: 'wb-num' }, formatNumber(lane.tokens)),
        empty === '' ? null : h('span', { class: 'wb-sub' }, empty)
      )
    );
  }

  private emptyNode(tokens: number, words: string, isPadding: boolean): HTMLElement {
    const node = h('span', {
      class: `wb-gap2 ${isPadding ? 'wb-pad2' : 'wb-free2'}`,
      title: isPadding
        ? this.trans.__('%1: not attended, not trained', words)
        : this.trans.__('%1: room left in the packed row; the model does not get it', words)
    });
    node.style.setProperty('left', `${(100 * tokens) / this.payload.width}%`);
    return node;
  }

  private blockNode(lane: number, block: Block, isAlternate: boolean): HTMLElement {
    const { current, openPlace, payload, trans } = this;
    const holds = (place: Place | null): boolean =>
      place !== null && place.lane === lane && place.document >= block.first && place.document <= block.last;
    const isCurrent = holds(current);
    const shown = isCurrent ? current.document : block.first;
    const document = payload.lanes[lane]?.documents[shown];
    const count = block.last - block.first + 1;
    const spoken = spokenDocument(payload, { lane, document: shown }, trans);
    const [label, loss] = this.label(document, block, count);
    const node = h(
      'div',
      {
        class: ['wb-blk', isAlternate ? 'wb-alt' : '', block.differs ? 'wb-diffs' : ''].filter(Boolean).join(' '),
        role: 'gridcell',
        tabindex: isCurrent ? 0 : -1,
        'aria-selected': String(holds(openPlace)),
        'aria-label': count > 1 ? trans.__('%1 short documents; %2', count, spoken) : spoken,
        title: spoken,
        'data-lane': lane,
        'data-first': block.first,
        'data-last': block.last,
        'data-zero': payload.layout === 'packed' ? (block.differs ? '0 ≠' : '0') : block.differs ? '≠' : undefined
      },
      ...label
    );
    if (loss !== '') {
      node.dataset['loss'] = loss;
    }
    node.style.setProperty('left', `${(100 * block.start) / payload.width}%`);
    node.style.setProperty('width', `calc(${(100 * (block.end - block.start)) / payload.width}% - 2px)`);
    return node;
  }

  /**
   * The longest label that fits, and the mean loss where there is room for it too; a number that does not fit whole is
   * not shown, it could be taken for another.
   */
  private label(document: BatchDocument | undefined, block: Block, count: number): readonly [readonly Child[], string] {
    const share = (block.end - block.start) / Math.max(1, this.payload.width);
    const room = (share * this.width - AROUND - (block.differs ? 13 : 0)) / CHARACTER;
    if (document === undefined) {
      return [[], ''];
    }
    const { trans } = this;
    const fits = (...texts: readonly string[]): boolean => texts.join('').length <= room;
    if (count > 1) {
      const words = trans.__('%1 rows', count);
      return [fits(words) ? [h('b', {}, words)] : [], ''];
    }
    const row = trans.__('row %1', document.row);
    const length = ` ${formatNumber(document.length)}`;
    const loss = document.loss === null ? '' : formatNumber(document.loss, 2);
    if (fits(row, length)) {
      return [[h('b', {}, row), length], fits(row, length, ' · ', loss) ? loss : ''];
    }
    const name = [row, String(document.row)].find(text => fits(text));
    return [name === undefined ? [] : [h('b', {}, name)], ''];
  }
}

export function batchLanes(props: BatchLanesProps, trans: Trans): BatchLanes {
  const lanes = new Lanes(props.payload, props, trans);
  return {
    node: lanes.node,
    get current() {
      return lanes.current;
    },
    get openPlace() {
      return lanes.openPlace;
    },
    go: (place, focus) => lanes.go(place, focus),
    step: by => lanes.step(by),
    stepLane: by => lanes.stepLane(by),
    markOpen: place => lanes.markOpen(place),
    focus: () => lanes.focus(),
    update: payload => lanes.show(payload),
    dispose: () => lanes.dispose()
  };
}

/** Numbers over the lanes: where a quarter of the width is. */
export function laneAxis(payload: BatchPayload): HTMLElement {
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(share => {
    const tick = h('span', {}, formatNumber(Math.round(share * payload.width)));
    tick.style.setProperty('left', `${100 * share}%`);
    return tick;
  });
  return h('div', { class: 'wb-laxis', 'aria-hidden': 'true' }, h('div', {}, ...ticks));
}
