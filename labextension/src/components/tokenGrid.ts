/**
 * The tokens of a row as a grid of which only what is on screen is in the page.
 *
 * One token has tabindex 0; keys are the viewer's business, scrolling and focus are done here.
 */
import { h, on } from './component';
import type { Component, Trans } from './component';
import { lastAtMost } from './rowModel';
import type { RowModel } from './rowModel';
import { copiedText } from './tokenCopy';
import { patchLine } from './tokenElement';
import { relabelBlock } from './tokenGridNodes';
import { Flash } from './tokenFlash';
import { spokenToken } from './tokenInspector';
import { arrange, BLOCK_PADDING, keepsPlaces, LINE_HEIGHT } from './tokenItems';
import type { Items } from './tokenItems';
import { fitLines } from './tokenBudget';
import { canvasMeasure, isRun, layoutLines, runEnd, shapeOf } from './tokenLayout';
import type { Line } from './tokenLayout';
import { mount } from './tokenMount';
import type { Key } from './tokenMount';

const MOST_HEIGHT = 460;
/** Nodes for tokens where a card has one grid; the rest of a thousand is for the card around them. */
export const NODE_BUDGET = 700;
const NARROW_LABEL = 20;
const DEFAULT_WIDTH = 520;

export interface TokenGrid extends Component<RowModel> {
  readonly current: number;
  /** Make a token the current one and bring it into view. */
  go(token: number, focus: boolean): void;
  /** To the next or previous token; a run of padding is one step. */
  step(by: 1 | -1): void;
  focus(): void;
  /** The same tokens, coloured or labelled another way; these cells changed and are marked for a moment. */
  relabel(model: RowModel, changed: readonly number[]): void;
  /** Leave the page to another view, or come back and keep to the nodes that there are now. */
  rest(resting: boolean): void;
}

export interface TokenGridProps {
  readonly model: RowModel;
  /** Nodes of the page that the grid may need, read when it is laid out; `NODE_BUDGET` unless said otherwise. */
  nodes?(): number;
  onCurrent(token: number): void;
  onHover(token: number | null): void;
  onView(from: number, to: number): void;
}

function tokenOf(target: EventTarget | null): number | null {
  const node = target instanceof Element ? target.closest<HTMLElement>('.wb-tline [data-i]') : null;
  const text = node?.dataset['i'];
  return text === undefined ? null : Number(text);
}

class Grid {
  readonly node: HTMLElement;
  current = 0;
  private readonly probe = h('span', { class: 'wb-tok wb-probe', 'aria-hidden': 'true' }, '0');
  private readonly window = h('div', { class: 'wb-window', role: 'presentation' });
  private readonly sizer = h('div', { class: 'wb-sizer', role: 'presentation' }, this.window);
  private readonly listeners = new AbortController();
  private readonly observer: ResizeObserver;
  private readonly findingHeights = new Map<number, number>();
  private mounted = new Map<Key, HTMLElement>();
  private lines: readonly Line[] = [];
  private arranged: Items = { items: [], tops: new Float64Array(1), ofLine: new Int32Array(0) };
  private width = 0;
  private narrow = false;
  private hovered: number | null = null;
  private readonly flash = new Flash(this.window);
  private resting = false;
  private overscan = 2;

  constructor(
    private model: RowModel,
    private readonly props: TokenGridProps,
    private readonly trans: Trans
  ) {
    this.node = h('div', { class: 'wb-toks', role: 'grid', tabindex: -1 }, this.probe, this.sizer);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.node);
    const { signal } = this.listeners;
    this.node.addEventListener('scroll', () => this.draw(), { signal, passive: true });
    on(this.node, 'click', event => this.click(event), signal);
    on(this.node, 'mouseover', event => this.hover(tokenOf(event.target)), signal);
    on(this.node, 'mouseleave', () => this.hover(null), signal);
    on(this.node, 'copy', event => this.copy(event), signal);
    this.label();
  }

  dispose(): void {
    this.flash.stop();
    this.observer.disconnect();
    this.listeners.abort();
  }

  show(model: RowModel): void {
    this.model = model;
    this.current = 0;
    this.findingHeights.clear();
    this.label();
    this.node.scrollTop = 0;
    this.layout();
  }

  relabel(model: RowModel, changed: readonly number[]): void {
    const { model: before } = this;
    this.model = model;
    if (keepsPlaces(before, model)) {
      this.patch(changed);
    } else {
      this.findingHeights.clear();
      this.layout();
    }
    this.flash.mark(changed);
  }

  rest(resting: boolean): void {
    this.resting = resting;
    this.node.hidden = resting;
    if (resting) {
      this.mounted.clear();
      this.window.replaceChildren();
    } else {
      this.layout();
    }
  }

  /** Replace the cells whose label changed, and the counts beside their blocks; everything else stays. */
  private patch(changed: readonly number[]): void {
    const cells = new Set(changed);
    this.mounted.forEach((node, key) => {
      const index = Number(key.slice(1));
      const line = key.startsWith('l') ? this.lines[index] : undefined;
      if (line !== undefined) {
        patchLine(this.model, line, node, cells, this.trans);
      } else if (key.startsWith('b')) {
        relabelBlock(node, this.model, index, this.trans);
      }
    });
    this.arrange();
    this.draw();
  }

  go(token: number, focus: boolean): void {
    if (this.model.length === 0) {
      return;
    }
    const previous = this.current;
    this.current = this.runStart(Math.max(0, Math.min(this.model.length - 1, token)));
    this.scrollToCurrent();
    this.draw();
    this.markCurrent(previous);
    if (focus) {
      this.focus();
    }
    this.props.onCurrent(this.current);
  }

  step(by: 1 | -1): void {
    const leaves = by > 0 && isRun(shapeOf(this.model, this.current));
    this.go(leaves ? Math.min(runEnd(this.model, this.current), this.model.length - 1) : this.current + by, true);
  }

  /** A run of padding, and an image, is drawn as one chip; its first token stands for it. */
  private runStart(token: number): number {
    const medium = this.model.mediumAt(token);
    if (medium !== null) {
      return Math.max(0, medium.start);
    }
    if (shapeOf(this.model, token) !== 'padding') {
      return token;
    }
    const line = this.lines[this.lineOf(token)];
    for (let at = line?.from ?? token; at < token; at = at + 1) {
      if (shapeOf(this.model, at) === 'padding' && runEnd(this.model, at) > token) {
        return at;
      }
    }
    return token;
  }

  focus(): void {
    (this.elementOf(this.current) ?? this.node).focus({ preventScroll: true });
  }

  private label(): void {
    this.node.setAttribute('aria-label', this.trans.__('Tokens of %1', this.model.row.title));
    this.node.setAttribute('aria-rowcount', String(this.model.blocks.length));
  }

  private click(event: MouseEvent): void {
    const token = tokenOf(event.target);
    if (token !== null && getSelection()?.isCollapsed !== false) {
      this.go(token, true);
    }
  }

  private hover(token: number | null): void {
    if (token !== this.hovered) {
      this.hovered = token;
      this.props.onHover(token);
    }
  }

  /** The clipboard gets the characters of the data, not the marks that stand for them. */
  private copy(event: ClipboardEvent): void {
    const text = copiedText(this.node, this.model);
    if (text !== null) {
      event.clipboardData?.setData('text/plain', text);
      event.preventDefault();
    }
  }

  private resize(): void {
    if (this.resting) {
      return;
    }
    const width = this.textWidth();
    if (this.node.clientWidth > 0 && Math.abs(width - this.width) >= 1) {
      this.layout();
    } else {
      this.draw();
    }
  }

  /** Width for text in CSS pixels, from the style sheet's own numbers on a hidden line. */
  private textWidth(): number {
    if (this.node.clientWidth === 0) {
      return DEFAULT_WIDTH;
    }
    const turn = h('div', { class: 'wb-turn' }, h('div', { class: 'wb-gut' }), h('div', { class: 'wb-flow' }));
    this.sizer.append(turn);
    const width = turn.lastElementChild?.clientWidth ?? DEFAULT_WIDTH;
    this.narrow = getComputedStyle(turn).gridTemplateColumns.trim().split(' ').length === 1;
    turn.remove();
    return width;
  }

  private layout(): void {
    this.width = this.textWidth();
    const fitted = fitLines(
      width => layoutLines(this.model, canvasMeasure(this.probe), width),
      Math.max(80, this.width - 4),
      this.props.nodes?.() ?? NODE_BUDGET
    );
    this.lines = fitted.lines;
    this.overscan = fitted.overscan;
    this.node.style.setProperty('--wb-toks-height', `${Math.min(MOST_HEIGHT, fitted.shown * LINE_HEIGHT)}px`);
    const hadFocus = this.node.contains(document.activeElement) && document.activeElement !== this.node;
    this.mounted.forEach(node => node.remove());
    this.mounted = new Map();
    this.arrange();
    this.scrollToCurrent();
    this.draw();
    if (hadFocus) {
      this.focus();
    }
  }

  private arrange(): void {
    this.arranged = arrange(this.model, this.lines, this.findingHeights, this.narrow ? NARROW_LABEL : 0);
    const { items, tops } = this.arranged;
    this.sizer.style.setProperty('height', `${(tops[items.length] ?? 0) + 2}px`);
  }

  private itemAt(y: number): number {
    const { items, tops } = this.arranged;
    return lastAtMost(items.length, index => tops[index] ?? 0, y);
  }

  private lineOf(token: number): number {
    return lastAtMost(this.lines.length, index => this.lines[index]?.from ?? 0, token);
  }

  private scrollToCurrent(): void {
    const item = this.arranged.ofLine[this.lineOf(this.current)] ?? 0;
    const top = this.arranged.tops[item] ?? 0;
    const bottom = this.arranged.tops[item + 1] ?? top;
    const height = this.node.clientHeight;
    const { scrollTop } = this.node;
    if (top < scrollTop || bottom > scrollTop + height) {
      const near = Math.abs(top - scrollTop) < 2 * height;
      this.node.scrollTop = near ? (top < scrollTop ? top : bottom - height) : Math.max(0, top - height / 3);
    }
  }

  private elementOf(token: number): HTMLElement | null {
    return this.window.querySelector<HTMLElement>(`.wb-tline [data-i="${token}"]`);
  }

  private markCurrent(previous: number): void {
    for (const node of this.window.querySelectorAll<HTMLElement>(`[data-i="${previous}"]`)) {
      node.classList.remove('wb-cur');
      node.removeAttribute('tabindex');
      node.removeAttribute('aria-label');
    }
    const node = this.elementOf(this.current);
    if (node !== null) {
      node.classList.add('wb-cur');
      node.tabIndex = 0;
      node.setAttribute('aria-label', spokenToken(this.model, this.current, this.trans));
    }
  }

  /** Mount what is on screen and a little more; keep what is mounted already. */
  private draw(): void {
    const { items, tops } = this.arranged;
    if (this.resting) {
      return;
    }
    if (items.length === 0) {
      this.window.replaceChildren();
      this.mounted.clear();
      return;
    }
    const height = this.node.clientHeight || MOST_HEIGHT;
    const margin = this.overscan * LINE_HEIGHT;
    const first = this.itemAt(this.node.scrollTop - margin);
    const last = this.itemAt(this.node.scrollTop + height + margin);
    const hadFocus = this.node.contains(document.activeElement) && document.activeElement !== this.node;
    this.mounted = mount(
      {
        model: this.model,
        lines: this.lines,
        arranged: this.arranged,
        window: this.window,
        mounted: this.mounted,
        trans: this.trans
      },
      first,
      last
    );
    this.window.style.setProperty('transform', `translateY(${tops[first] ?? 0}px)`);
    this.markCurrent(this.current);
    if (hadFocus && !this.node.contains(document.activeElement)) {
      this.focus();
    }
    this.flash.draw();
    this.measureFindings();
    this.reportView();
  }

  /** A finding's height is known once it is in the page; then everything below moves. */
  private measureFindings(): void {
    let changed = false;
    this.mounted.forEach((node, key) => {
      const height = key.startsWith('f') ? node.offsetHeight : 0;
      const index = Number(key.slice(1));
      if (height > 0 && Math.abs((this.findingHeights.get(index) ?? 0) - height) > 1) {
        this.findingHeights.set(index, height);
        changed = true;
      }
    });
    if (changed) {
      this.arrange();
    }
  }

  private reportView(): void {
    const top = this.node.scrollTop + BLOCK_PADDING;
    const lineNear = (y: number, step: 1 | -1): Line | undefined => {
      for (let index = this.itemAt(y); index >= 0 && index < this.arranged.items.length; index += step) {
        const item = this.arranged.items[index];
        if (item?.kind === 'line') {
          return this.lines[item.line];
        }
      }
      return undefined;
    };
    const bottom = this.node.scrollTop + this.node.clientHeight - LINE_HEIGHT / 2;
    this.props.onView(lineNear(top, 1)?.from ?? 0, lineNear(bottom, -1)?.to ?? this.model.length);
  }
}

export function tokenGrid(props: TokenGridProps, trans: Trans): TokenGrid {
  const grid = new Grid(props.model, props, trans);
  return {
    node: grid.node,
    get current() {
      return grid.current;
    },
    go: (token, focus) => grid.go(token, focus),
    step: by => grid.step(by),
    focus: () => grid.focus(),
    update: model => grid.show(model),
    relabel: (model, changed) => grid.relabel(model, changed),
    rest: resting => grid.rest(resting),
    dispose: () => grid.dispose()
  };
}
