/** One step: memory over time as areas, with phases, the peak and its owner, the card's limit; and the same as a table. */
import { highest, kindsOf, middle } from '../memory/fitModel';
import { KINDS } from '../memory/kinds';
import type { Breakdown, FitKind } from '../memory/fitModel';
import { LAYERS, timelineOf, total } from '../memory/timeline';
import type { Timeline } from '../memory/timeline';
import type { FitPayload } from '../wire/fit';
import { h, on, svg, uniqueId } from './component';
import type { Trans } from './component';
import { kindWord, momentWord, size } from './fitBarWords';
import type { Unit } from './fitBarWords';

export type Curve = FitPayload['curve'];

export interface StepChart {
  readonly node: HTMLElement;
  /** `curve` takes the place of the drawing from moments. */
  draw(made: Breakdown, room: number | null, curve: Curve): void;
  dispose(): void;
}

const HEIGHT = 176;
const FLOOR = 146;
const TOP = 20;
const LEFT = 34;
/** Pixels at the right that the words of the levels take. */
const LEVEL_WORDS = 190;

/** A traced curve as a timeline: what stays below, the rest above it. */
function traced(curve: NonNullable<Curve>, made: Breakdown): Timeline {
  const kinds = kindsOf(made);
  const fixed = kinds.weights + kinds.adapter + kinds.optimizer + kinds['reference model'];
  const last = Math.max(1, curve.bytes.length - 1);
  const points = curve.bytes.map((bytes, index) => ({
    at: index / last,
    heights: { stays: Math.min(bytes, fixed), gradients: 0, activations: Math.max(0, bytes - fixed), logits: 0 }
  }));
  let from = 0;
  const phases = curve.phases.map(({ name, length }) => {
    const phase = { name, from: from / (last + 1), to: (from + length) / (last + 1) };
    from += length;
    return phase;
  });
  return { points, phases };
}

/** What holds most at the peak. */
function ownerOf(made: Breakdown, trans: Trans): string {
  const kinds = kindsOf(made);
  const most = [...KINDS].sort((a, b) => kinds[b] - kinds[a])[0] ?? 'other';
  return kindWord(most, trans).toLowerCase();
}

class StepDrawing implements StepChart {
  readonly node: HTMLElement;
  private readonly listeners = new AbortController();
  private readonly hatch = uniqueId('wb-fit-hatch');
  private readonly chart;
  private readonly about = h('span');
  private readonly table = h('div', { class: 'wb-tsc', hidden: true });
  private readonly observer: ResizeObserver;
  private width = 0;
  private made: Breakdown | null = null;
  private room: number | null = null;
  private curve: Curve = null;
  private frame = 0;

  constructor(
    private readonly unit: Unit,
    private readonly trans: Trans
  ) {
    this.chart = svg('svg', { height: HEIGHT, role: 'img', class: 'wb-step' });
    const button = h('button', { class: 'wb-link', type: 'button', 'aria-expanded': 'false' }, trans.__('Table'));
    on(
      button,
      'click',
      () => {
        this.table.hidden = !this.table.hidden;
        button.setAttribute('aria-expanded', String(!this.table.hidden));
        this.drawTable();
      },
      this.listeners.signal
    );
    const head = h('div', { class: 'wb-steph' }, h('h4', { class: 'wb-h' }, trans.__('One step'), this.about), button);
    this.node = h('div', { class: 'wb-area' }, head, this.chart, this.table);
    this.observer = new ResizeObserver(entries => {
      this.width = Math.floor(entries[0]?.contentRect.width ?? 0);
      this.redraw();
    });
    this.observer.observe(this.chart);
  }

  draw(made: Breakdown, room: number | null, curve: Curve): void {
    this.made = made;
    this.room = room;
    this.curve = curve;
    this.about.textContent =
      curve === null
        ? this.trans.__(
            'drawn from the moments of the closed form, %1; blue stays, orange comes and goes',
            this.unit.name
          )
        : this.trans.__('traced, %1 by allocations; blue stays, orange comes and goes', this.unit.name);
    this.redraw();
    this.drawTable();
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    this.listeners.abort();
  }

  private redraw(): void {
    const { made, width } = this;
    if (made === null || width < 60) {
      return;
    }
    const line = this.curve === null ? timelineOf(made) : traced(this.curve, made);
    const reserved = middle(made.reserved);
    const top = 1.06 * Math.max(made.live, reserved, Math.min(this.room ?? 0, 1.6 * reserved));
    const x = (at: number): number => LEFT + at * (width - LEFT - 4);
    const y = (bytes: number): number => FLOOR - (bytes / top) * (FLOOR - TOP);
    this.chart.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.chart.setAttribute('aria-label', this.sentence(made, line));
    this.chart.replaceChildren(
      this.pattern(),
      ...this.axis(top, width, y),
      ...this.areas(line, x, y),
      ...this.phases(line, x),
      ...this.levels(made, top, width, y),
      ...this.peak(made, line, width, x, y)
    );
  }

  private pattern(): SVGElement {
    return svg(
      'defs',
      {},
      svg(
        'pattern',
        { id: this.hatch, width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
        svg('rect', { class: 'wb-h1', width: 7, height: 7 }),
        svg('rect', { class: 'wb-h2', width: 2, height: 7 })
      )
    );
  }

  private axis(top: number, width: number, y: (bytes: number) => number): SVGElement[] {
    const rough = top / this.unit.bytes / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = ([1, 2, 5].find(factor => factor * power >= rough) ?? 10) * power;
    const digits = step < 1 ? Math.ceil(-Math.log10(step)) : 0;
    const made: SVGElement[] = [];
    for (let value = 0; value * this.unit.bytes < top; value += step) {
      const at = y(value * this.unit.bytes);
      made.push(
        svg('line', { class: 'wb-ax', x1: LEFT, x2: width - 4, y1: at, y2: at }),
        svg('text', { x: LEFT - 6, y: at + 4, 'text-anchor': 'end' }, this.unit.text(value * this.unit.bytes, digits))
      );
    }
    return made;
  }

  private areas(line: Timeline, x: (at: number) => number, y: (bytes: number) => number): SVGElement[] {
    const floor = line.points.map(() => 0);
    return LAYERS.map(layer => {
      const below = [...floor];
      const upper = line.points.map((point, index) => {
        const sum = (floor[index] ?? 0) + point.heights[layer];
        floor[index] = sum;
        return `${x(point.at).toFixed(1)},${y(sum).toFixed(1)}`;
      });
      const lower = line.points.map((point, index) => `${x(point.at).toFixed(1)},${y(below[index] ?? 0).toFixed(1)}`);
      const fill = layer === 'logits' ? { fill: `url(#${this.hatch})` } : {};
      return svg('polygon', { class: `wb-a-${layer}`, points: [...upper, ...lower.reverse()].join(' '), ...fill });
    });
  }

  private phases(line: Timeline, x: (at: number) => number): SVGElement[] {
    let free = 0;
    return line.phases.flatMap((phase, index) => {
      const word = momentWord(phase.name, this.trans);
      const middleOf = (x(phase.from) + x(phase.to)) / 2;
      const half = word.length * 3.1;
      const border =
        index === 0 ? [] : [svg('line', { class: 'wb-ph', x1: x(phase.from), x2: x(phase.from), y1: TOP, y2: FLOOR })];
      if (middleOf - half < free || middleOf + half > this.width) {
        return border;
      }
      free = middleOf + half + 6;
      return [...border, svg('text', { class: 'wb-tb', x: middleOf, y: FLOOR + 16, 'text-anchor': 'middle' }, word)];
    });
  }

  private levels(made: Breakdown, top: number, width: number, y: (bytes: number) => number): SVGElement[] {
    const reserved = middle(made.reserved);
    const level = (bytes: number, kind: string, words: string, up: number): SVGElement[] => [
      svg('line', { class: kind, x1: LEFT, x2: width - 4, y1: y(bytes), y2: y(bytes) }),
      svg(
        'text',
        { class: kind === 'wb-lim-l' ? 'wb-tb' : '', x: width - 6, y: y(bytes) + up, 'text-anchor': 'end' },
        words
      )
    ];
    const near = this.room !== null && Math.abs(y(this.room) - y(reserved)) < 14;
    const below = near && this.room !== null && this.room > reserved;
    return [
      ...(reserved > made.live
        ? level(
            reserved,
            'wb-res',
            this.trans.__('reserved by the allocator: %1', this.unit.text(reserved, 1)),
            below ? 13 : -5
          )
        : []),
      ...(this.room !== null && this.room <= top
        ? level(
            this.room,
            'wb-lim-l',
            this.trans.__('free on this card: %1', this.unit.text(this.room, 1)),
            near && !below ? 13 : -5
          )
        : [])
    ];
  }

  private peak(
    made: Breakdown,
    line: Timeline,
    width: number,
    x: (at: number) => number,
    y: (bytes: number) => number
  ): SVGElement[] {
    const point = line.points.reduce((best, item) => (total(item.heights) > total(best.heights) ? item : best));
    const at = x(point.at);
    const over = y(total(point.heights));
    const words = this.trans.__(
      'peak %1, at: %2, most of it %3',
      this.unit.text(made.live, 1),
      momentWord(highest(made)?.name ?? '', this.trans),
      this.curve?.owner.split(',')[0] ?? ownerOf(made, this.trans)
    );
    const half = words.length * 2.9;
    const fits = Math.max(LEFT + half, Math.min(width - half - LEVEL_WORDS, at));
    const held = y(middle(made.reserved));
    const free = over - 9;
    // above the line of what is reserved where that would strike it through
    const above = Math.abs(free - 4 - held) < 9 ? held - 5 : free;
    return [
      svg('circle', { class: 'wb-pk', cx: at, cy: over, r: 4 }),
      svg('text', { class: 'wb-tb wb-halo', x: fits, y: Math.max(11, above), 'text-anchor': 'middle' }, words)
    ];
  }

  private sentence(made: Breakdown, line: Timeline): string {
    const names = line.phases.map(phase => momentWord(phase.name, this.trans)).join(', ');
    const at = momentWord(highest(made)?.name ?? '', this.trans);
    return this.trans.__(
      'Memory over one step: %1. Highest at %2 with %3 alive, most of it %4.',
      names,
      at,
      size(made.live),
      this.curve?.owner ?? ownerOf(made, this.trans)
    );
  }

  private drawTable(): void {
    const { made } = this;
    if (made === null || this.table.hidden) {
      return;
    }
    const kinds = KINDS.filter(kind => made.peaks.some(peak => (peak.kinds[kind] ?? 0) > 0));
    const cell = (kind: FitKind, sizes: Readonly<Partial<Record<FitKind, number>>>): HTMLElement =>
      h('td', {}, this.unit.text(sizes[kind] ?? 0));
    const rows = made.peaks.map(peak =>
      h(
        'tr',
        {},
        h('th', { scope: 'row' }, momentWord(peak.name, this.trans)),
        ...kinds.map(kind => cell(kind, peak.kinds)),
        h('td', { class: 'wb-tot' }, this.unit.text(peak.bytes))
      )
    );
    const heads = [this.unit.name, ...kinds.map(kind => kindWord(kind, this.trans)), this.trans.__('alive')];
    this.table.tabIndex = 0;
    this.table.replaceChildren(
      h(
        'table',
        { class: 'wb-dt' },
        h('caption', { class: 'wb-vh' }, this.trans.__('Highest moment of every phase, %1', this.unit.name)),
        h('tr', {}, ...heads.map(word => h('th', { scope: 'col' }, word))),
        ...rows
      )
    );
  }
}

export function stepChart(unit: Unit, trans: Trans): StepChart {
  return new StepDrawing(unit, trans);
}
