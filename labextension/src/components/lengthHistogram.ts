/** How long the rows are, and where max_length cuts: bars, and a line that is dragged, or moved by keys. */
import type { PickerState } from '../wire';
import { formatNumber, formatShare, h, on, svg, uniqueId } from './component';
import type { Component, Trans } from './component';
import { edgeFrom, rounded, rowsOver, scaleOf, ticks } from './lengthScale';
import type { Lengths, Scale } from './lengthScale';

const HEIGHT = 106;
const FLOOR = 90;
const TOP = 16;
const TICKS = 4;
const PAGE = 4;

export interface LengthHistogramProps {
  readonly state: PickerState;
  onMaxLength(value: number | null): void;
}

class Histogram {
  readonly node = h('div', { class: 'wb-len' });
  private readonly listeners = new AbortController();
  private readonly observer: ResizeObserver;
  private readonly cut = h('span', { class: 'wb-sub' });
  private readonly measured = h('p', { class: 'wb-sub' });
  private readonly ids = { hatch: uniqueId('wb-hatch'), under: uniqueId('wb-under'), over: uniqueId('wb-over') };
  private readonly under = svg('g', { class: 'wb-under', 'clip-path': `url(#${this.ids.under})` });
  private readonly over = svg('g', { class: 'wb-over', 'clip-path': `url(#${this.ids.over})` });
  private readonly clips = { under: svg('rect', { y: 0, height: FLOOR }), over: svg('rect', { y: 0, height: FLOOR }) };
  private readonly axis = svg('g');
  private readonly line = svg('line', { class: 'wb-ml', y1: 0, y2: FLOOR });
  private readonly value = svg('text', { class: 'wb-tb', y: 10 });
  private readonly drawing;
  private readonly knob = h('span', { class: 'wb-knob' });
  private readonly slider;
  private readonly field;
  private width = 0;
  private chosen: number | null = null;
  private isDragged = false;
  private isTyped = false;

  constructor(
    private state: PickerState,
    private readonly props: LengthHistogramProps,
    private readonly trans: Trans
  ) {
    this.drawing = svg(
      'svg',
      { class: 'wb-hist', height: HEIGHT, role: 'img' },
      this.definitions(),
      this.under,
      this.over,
      this.axis,
      this.line,
      this.value
    );
    this.slider = h(
      'div',
      { class: 'wb-slide', role: 'slider', tabindex: 0, 'aria-label': 'max_length', 'data-key': 'max-length' },
      h('span', { class: 'wb-track' }),
      this.knob
    );
    this.field = h('input', {
      class: 'wb-input wb-exact',
      type: 'number',
      min: 1,
      step: 1,
      placeholder: trans.__('none'),
      'data-key': 'max-length-exact'
    });
    this.lay();
    this.listen();
    this.observer = new ResizeObserver(entries => {
      this.width = entries[0]?.contentRect.width ?? 0;
      this.draw();
    });
    this.observer.observe(this.drawing);
    this.update(state, true);
  }

  /** `settled`: no change of the limit is on its way, so the state's limit is the latest. */
  update(state: PickerState, settled: boolean): void {
    this.state = state;
    this.node.hidden = state.lengths === null;
    if (settled && !this.isDragged) {
      this.chosen = state.max_length;
    }
    this.draw();
  }

  words(): string {
    return this.cut.textContent ?? '';
  }

  dispose(): void {
    this.observer.disconnect();
    this.listeners.abort();
  }

  private lay(): void {
    this.node.append(
      h(
        'div',
        { class: 'wb-lh' },
        h('h4', { class: 'wb-h' }, this.trans.__('Length in tokens')),
        h('span', { class: 'wb-spring' }),
        this.cut
      ),
      h('div', { class: 'wb-lenplot' }, this.drawing, this.slider),
      h('div', { class: 'wb-under-plot' }, this.measured, h('label', { class: 'wb-sub' }, 'max_length ', this.field))
    );
  }

  private listen(): void {
    const { signal } = this.listeners;
    const plot = this.slider.parentElement ?? this.node;
    on(plot, 'pointerdown', event => this.grab(plot, event), signal);
    on(plot, 'pointermove', event => this.isDragged && this.drag(event), signal);
    on(plot, 'pointerup', () => this.release(), signal);
    on(plot, 'pointercancel', () => this.release(), signal);
    on(this.slider, 'keydown', event => this.key(event), signal);
    on(this.field, 'input', () => (this.isTyped = true), signal);
    on(this.field, 'change', () => this.typed(), signal);
  }

  private grab(plot: HTMLElement, event: PointerEvent): void {
    if (event.button !== 0) {
      return;
    }
    event.preventDefault();
    plot.setPointerCapture(event.pointerId);
    this.isDragged = true;
    this.slider.focus();
    this.drag(event);
  }

  private drag(event: PointerEvent): void {
    const { lengths } = this.state;
    if (lengths === null) {
      return;
    }
    const box = this.drawing.getBoundingClientRect();
    const share = (event.clientX - box.left) / Math.max(1, box.width);
    this.chosen = share >= 1 ? null : rounded(scaleOf(lengths).length(share));
    this.draw();
  }

  private release(): void {
    if (this.isDragged) {
      this.isDragged = false;
      if (this.chosen !== this.state.max_length) {
        this.send();
      }
    }
  }

  /** What keys do: an arrow goes to the next bar, with Shift by a token; End is no limit. */
  private keyed(key: string, isShift: boolean): number | null | undefined {
    const { lengths } = this.state;
    const last = lengths?.edges[lengths.edges.length - 1] ?? 1;
    if (lengths === null) {
      return undefined;
    }
    const by = (bars: number): number | null =>
      isShift ? Math.max(1, (this.chosen ?? last) + Math.sign(bars)) : edgeFrom(lengths, this.chosen, bars);
    switch (key) {
      case 'ArrowRight':
      case 'ArrowUp':
        return this.chosen === null ? null : by(1);
      case 'ArrowLeft':
      case 'ArrowDown':
        return by(-1);
      case 'PageUp':
        return this.chosen === null ? null : edgeFrom(lengths, this.chosen, PAGE);
      case 'PageDown':
        return edgeFrom(lengths, this.chosen, -PAGE);
      case 'Home':
        return lengths.edges.find(edge => edge >= 1) ?? 1;
      case 'End':
        return null;
      default:
        return undefined;
    }
  }

  private key(event: KeyboardEvent): void {
    const wanted = event.ctrlKey || event.metaKey || event.altKey ? undefined : this.keyed(event.key, event.shiftKey);
    if (wanted === undefined) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (wanted !== this.chosen) {
      this.chosen = wanted;
      this.draw();
      this.send();
    }
  }

  private typed(): void {
    const length = Math.floor(Number(this.field.value));
    const wanted = this.field.value === '' || !(length >= 1) ? null : length;
    const isNew = wanted !== this.chosen;
    this.isTyped = false;
    this.chosen = wanted;
    this.draw();
    if (isNew) {
      this.send();
    }
  }

  private send(): void {
    this.props.onMaxLength(this.chosen);
  }

  private definitions(): SVGElement {
    return svg(
      'defs',
      {},
      svg(
        'pattern',
        { id: this.ids.hatch, width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
        svg('rect', { class: 'wb-h1', width: 5, height: 5 }),
        svg('rect', { class: 'wb-h2', width: 2, height: 5 })
      ),
      svg('clipPath', { id: this.ids.under }, this.clips.under),
      svg('clipPath', { id: this.ids.over }, this.clips.over)
    );
  }

  private describe(lengths: Lengths): void {
    const { trans } = this;
    const rows = rowsOver(lengths.values, this.chosen);
    const share = formatShare(rows, lengths.values.length);
    this.cut.textContent = this.cutWords(rows, share, lengths.long);
    const isSample = lengths.values.length < lengths.rows;
    this.measured.textContent = isSample
      ? trans.__('Measured on %1 of %2 rows.', formatNumber(lengths.values.length), formatNumber(lengths.rows))
      : trans._n(
          '%2 row measured.',
          'All %2 rows measured.',
          lengths.values.length,
          formatNumber(lengths.values.length)
        );
    const limit =
      this.chosen === null
        ? trans.__('no limit')
        : trans._n('%2 token', '%2 tokens', this.chosen, formatNumber(this.chosen));
    this.slider.setAttribute('aria-valuetext', `${limit}, ${this.cut.textContent}`);
  }

  private cutWords(rows: number, share: string, long: Lengths['long']): string {
    const { trans } = this;
    const count = formatNumber(rows);
    if (long === 'chunked') {
      return rows === 0
        ? trans.__('no row would be chunked')
        : trans._n('%2 row (%3) would be chunked', '%2 rows (%3) would be chunked', rows, count, share);
    }
    return rows === 0
      ? trans.__('no row would be cut')
      : trans._n('%2 row (%3) would be cut', '%2 rows (%3) would be cut', rows, count, share);
  }

  private draw(): void {
    const { lengths } = this.state;
    if (lengths === null) {
      return;
    }
    this.describe(lengths);
    if (!this.isTyped) {
      this.field.value = this.chosen === null ? '' : String(this.chosen);
    }
    const scale = scaleOf(lengths);
    this.slider.setAttribute('aria-valuemin', '1');
    this.slider.setAttribute('aria-valuemax', String(scale.last));
    this.slider.setAttribute('aria-valuenow', String(Math.min(scale.last, this.chosen ?? scale.last)));
    if (this.width === 0) {
      return;
    }
    this.drawing.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
    const [first, last] = [lengths.values[0] ?? 0, lengths.values[lengths.values.length - 1] ?? 0];
    const words = this.trans.__('Lengths of rows, %1 to %2 tokens', formatNumber(first), formatNumber(last));
    this.drawing.setAttribute('aria-label', words);
    this.drawBars(lengths, scale);
    this.drawAxis(scale, lengths.scale === 'log');
    this.drawLine(scale);
  }

  private drawAxis(scale: Scale, isLog: boolean): void {
    const marks = ticks(scale, isLog, TICKS).map(tick => {
      const x = scale.at(tick) * this.width;
      const anchor = x < 12 ? 'start' : x > this.width - 16 ? 'end' : 'middle';
      return svg('text', { x, y: FLOOR + 13, 'text-anchor': anchor }, formatNumber(tick));
    });
    const floor = svg('line', { class: 'wb-ax', x1: 0, x2: this.width, y1: FLOOR, y2: FLOOR });
    this.axis.replaceChildren(floor, ...marks);
  }

  private drawLine(scale: Scale): void {
    const x = this.chosen === null ? this.width : scale.at(this.chosen) * this.width;
    const at = Math.min(this.width - 0.75, x);
    this.line.setAttribute('x1', String(at));
    this.line.setAttribute('x2', String(at));
    this.knob.style.left = `${x}px`;
    const isRight = at > this.width * 0.7;
    this.value.setAttribute('x', String(isRight ? at - 5 : at + 5));
    this.value.setAttribute('text-anchor', isRight ? 'end' : 'start');
    const limit = this.chosen === null ? this.trans.__('none') : formatNumber(this.chosen);
    this.value.textContent = `max_length ${limit}`;
    this.clips.under.setAttribute('width', String(x));
    this.clips.over.setAttribute('x', String(x));
    this.clips.over.setAttribute('width', String(Math.max(0, this.width - x)));
  }

  private drawBars(lengths: Lengths, scale: Scale): void {
    const most = Math.max(1, ...lengths.counts);
    const bar = (count: number, bin: number, fill: string | undefined): SVGElement => {
      const from = lengths.edges[bin] ?? 0;
      const to = lengths.edges[bin + 1] ?? from;
      const x = scale.at(from) * this.width;
      const height = count === 0 ? 0 : Math.max(1.5, (count / most) * (FLOOR - TOP));
      const width = Math.max(0.8, scale.at(to) * this.width - x - 1.4);
      const words = this.trans._n('%2 to %3 tokens: %4 row', '%2 to %3 tokens: %4 rows', count, from + 1, to, count);
      return svg('rect', { x: x + 0.7, y: FLOOR - height, width, height, fill }, svg('title', {}, words));
    };
    this.under.replaceChildren(...lengths.counts.map((count, bin) => bar(count, bin, undefined)));
    this.over.replaceChildren(...lengths.counts.map((count, bin) => bar(count, bin, `url(#${this.ids.hatch})`)));
  }
}

export interface LengthUpdate {
  readonly state: PickerState;
  readonly settled: boolean;
}

/** The histogram; `update` is told whether the state's limit is the latest. */
export function lengthHistogram(
  props: LengthHistogramProps,
  trans: Trans
): Component<LengthUpdate> & { words(): string } {
  const histogram = new Histogram(props.state, props, trans);
  return {
    node: histogram.node,
    update: ({ state, settled }) => histogram.update(state, settled),
    words: () => histogram.words(),
    dispose: () => histogram.dispose()
  };
}
