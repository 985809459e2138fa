/** How long the rows are, and where max_length cuts: bars, a line, and a slider that keys move too. */
import type { PickerState } from '../wire';
import { formatNumber, formatShare, h, on, svg, uniqueId } from './component';
import type { Component, Trans } from './component';

const HEIGHT = 106;
const FLOOR = 90;
const TOP = 16;
const TICKS = 4;

type Lengths = NonNullable<PickerState['lengths']>;

export interface LengthHistogramProps {
  readonly state: PickerState;
  onMaxLength(value: number): void;
}

/** Rows in bins that begin at or above a length: what is surely cut, without the bin that the line crosses. */
export function rowsAbove(lengths: Lengths, length: number): number {
  return lengths.counts.reduce((sum, count, bin) => sum + ((lengths.edges[bin] ?? 0) >= length ? count : 0), 0);
}

class Histogram {
  readonly node = h('div', { class: 'wb-len' });
  private readonly listeners = new AbortController();
  private readonly observer: ResizeObserver;
  private readonly cut = h('span', { class: 'wb-sub' });
  private readonly hatch = uniqueId('wb-hatch');
  private readonly bars = svg('g');
  private readonly axis = svg('g');
  private readonly line = svg('line', { class: 'wb-ml', y1: 0, y2: FLOOR });
  private readonly value = svg('text', { class: 'wb-tb', y: 10 });
  private readonly drawing;
  private readonly slider;
  private width = 0;
  private chosen = 0;
  private bin = 1;

  constructor(
    private state: PickerState,
    private readonly props: LengthHistogramProps,
    private readonly trans: Trans
  ) {
    this.drawing = svg(
      'svg',
      { class: 'wb-hist', height: HEIGHT, role: 'img' },
      this.pattern(),
      this.bars,
      this.axis,
      this.line,
      this.value
    );
    this.slider = h('input', { class: 'wb-range', type: 'range', 'aria-label': 'max_length' });
    this.node.append(
      h(
        'div',
        { class: 'wb-lh' },
        h('h4', { class: 'wb-h' }, trans.__('Length in tokens')),
        h('span', { class: 'wb-spring' }),
        this.cut
      ),
      this.drawing,
      this.slider
    );
    const { signal } = this.listeners;
    on(this.slider, 'input', () => this.move(Number(this.slider.value)), signal);
    on(this.slider, 'keydown', event => this.key(event), signal);
    on(this.slider, 'change', () => this.props.onMaxLength(this.chosen), signal);
    this.observer = new ResizeObserver(entries => {
      this.width = entries[0]?.contentRect.width ?? 0;
      this.draw();
    });
    this.observer.observe(this.node);
    this.update(state);
  }

  update(state: PickerState): void {
    this.state = state;
    const { lengths } = state;
    this.node.hidden = lengths === null;
    if (lengths === null) {
      return;
    }
    const [first, last] = this.range(lengths);
    const bin = Math.max(1, Math.round((last - first) / Math.max(1, lengths.counts.length)));
    this.slider.min = String(first);
    this.slider.max = String(last);
    this.slider.step = '1';
    this.bin = bin;
    this.chosen = state.max_length ?? last;
    this.slider.value = String(this.chosen);
    this.describe(state.cut.rows, state.cut.share);
    this.draw();
  }

  dispose(): void {
    this.observer.disconnect();
    this.listeners.abort();
  }

  private pattern(): SVGElement {
    return svg(
      'defs',
      {},
      svg(
        'pattern',
        { id: this.hatch, width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
        svg('rect', { class: 'wb-h1', width: 5, height: 5 }),
        svg('rect', { class: 'wb-h2', width: 2, height: 5 })
      )
    );
  }

  private range(lengths: Lengths): readonly [number, number] {
    return [lengths.edges[0] ?? 0, lengths.edges[lengths.edges.length - 1] ?? 1];
  }

  /** Exact numbers come from the kernel after the change; while it moves, whole bins are counted. */
  private move(wanted: number): void {
    const { lengths } = this.state;
    if (lengths === null) {
      return;
    }
    const length = Math.max(1, wanted);
    this.chosen = length;
    const rows = rowsAbove(lengths, length);
    const total = lengths.counts.reduce((sum, count) => sum + count, 0);
    this.describe(rows, total === 0 ? 0 : rows / total);
    this.draw();
  }

  /** An arrow moves by one bar, with Shift by one token. */
  private key(event: KeyboardEvent): void {
    const signs: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
    const sign = signs[event.key];
    if (sign === undefined || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.slider.value = String(this.chosen + sign * (event.shiftKey ? 1 : this.bin));
    this.move(Number(this.slider.value));
    this.props.onMaxLength(this.chosen);
  }

  private describe(rows: number, share: number): void {
    this.cut.textContent =
      rows === 0
        ? this.trans.__('no row would be cut')
        : this.trans._n('%1 row (%2) would be cut', '%1 rows (%2) would be cut', rows, formatShare(share, 1));
    this.slider.setAttribute('aria-valuetext', `${formatNumber(this.chosen)}, ${this.cut.textContent}`);
  }

  private draw(): void {
    const { lengths } = this.state;
    if (lengths === null || this.width === 0) {
      return;
    }
    const [first, last] = this.range(lengths);
    const x = (length: number): number => ((length - first) / Math.max(1, last - first)) * this.width;
    this.drawing.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
    this.drawing.setAttribute('aria-label', this.trans.__('Lengths of rows, %1 to %2 tokens', first, last));
    this.drawBars(lengths, x);
    const ticks = Array.from({ length: TICKS + 1 }, (_, index) => first + ((last - first) * index) / TICKS);
    this.axis.replaceChildren(
      svg('line', { class: 'wb-ax', x1: 0, x2: this.width, y1: FLOOR, y2: FLOOR }),
      ...ticks.map((tick, index) =>
        svg(
          'text',
          { x: x(tick), y: FLOOR + 13, 'text-anchor': index === 0 ? 'start' : index === TICKS ? 'end' : 'middle' },
          formatNumber(Math.round(tick))
        )
      )
    );
    const at = Math.min(this.width - 0.75, x(this.chosen));
    this.line.setAttribute('x1', String(at));
    this.line.setAttribute('x2', String(at));
    const isRight = at > this.width * 0.7;
    this.value.setAttribute('x', String(isRight ? at - 5 : at + 5));
    this.value.setAttribute('text-anchor', isRight ? 'end' : 'start');
    this.value.textContent = `max_length ${this.state.max_length === null && this.chosen === last ? this.trans.__('none') : formatNumber(this.chosen)}`;
  }

  private drawBars(lengths: Lengths, x: (length: number) => number): void {
    const most = Math.max(1, ...lengths.counts);
    this.bars.replaceChildren(
      ...lengths.counts.map((count, bin) => {
        const from = lengths.edges[bin] ?? 0;
        const to = lengths.edges[bin + 1] ?? from;
        const height = count === 0 ? 0 : Math.max(1, (count / most) * (FLOOR - TOP));
        const isOver = from >= this.chosen;
        const bar = svg('rect', {
          class: isOver ? 'wb-over' : 'wb-under',
          x: x(from) + 0.7,
          y: FLOOR - height,
          width: Math.max(0.8, x(to) - x(from) - 1.4),
          height
        });
        if (isOver) {
          bar.setAttribute('fill', `url(#${this.hatch})`);
        }
        bar.append(
          svg('title', {}, this.trans._n('%2 to %3 tokens: %1 row', '%2 to %3 tokens: %1 rows', count, from, to))
        );
        return bar;
      })
    );
  }
}

export function lengthHistogram(props: LengthHistogramProps, trans: Trans): Component<PickerState> {
  const histogram = new Histogram(props.state, props, trans);
  return {
    node: histogram.node,
    update: state => histogram.update(state),
    dispose: () => histogram.dispose()
  };
}
