/** The rendered text: what is data, what is template, and where characters of the data were left out. */
import { isPlain, visiblePieces } from './characters';
import { h, icon, on } from './component';
import type { Trans } from './component';
import type { Lit, Target, XrayModel } from './xrayModel';
import { removedWords } from './xrayWords';
import type { Window } from './xrayWindow';

export interface LinkedProps {
  onPoint(target: Target | null): void;
  onKeep(target: Target): void;
}

/** A pane of things in a row, one of them in the tab order. */
export interface LinkedPane {
  readonly node: HTMLElement;
  readonly list: HTMLElement;
  draw(model: XrayModel, window: Window): void;
  light(lit: Lit | null, kept: Target | null): void;
  /** Move the focus by things; to the first or last with infinity. */
  move(by: number): void;
  dispose(): void;
}

/** Text with marks for what is not to be seen. Newlines stay newlines. */
export function drawText(text: string, host: HTMLElement, newline = '\n'): void {
  if (isPlain(text)) {
    host.append(text);
    return;
  }
  for (const line of text.split(/(\n)/)) {
    if (line === '\n') {
      host.append(h('span', { class: 'wb-ws' }, '↵'), newline);
    } else {
      drawLine(line, host);
    }
  }
}

function drawLine(text: string, host: HTMLElement): void {
  for (const piece of visiblePieces(text)) {
    switch (piece.kind) {
      case 'hidden':
        host.append(h('span', { class: 'wb-hid' }, piece.shown));
        break;
      case 'tab':
        host.append(h('span', { class: 'wb-ws' }, piece.shown), '\t');
        break;
      case 'space':
        host.append(' '.repeat(piece.shown.length));
        break;
      default:
        host.append(piece.shown);
    }
  }
  host.normalize();
}

/** Shared by the text and the tokens: pointing, keeping, and one thing in the tab order. */
export abstract class Linked implements LinkedPane {
  readonly node: HTMLElement;
  readonly list: HTMLElement;
  protected readonly listeners = new AbortController();
  protected things: HTMLElement[] = [];
  protected model: XrayModel | null = null;
  private current = 0;

  constructor(
    name: string,
    label: string,
    private readonly props: LinkedProps
  ) {
    this.list = h('div', { class: name, role: 'listbox', 'aria-label': label, 'aria-orientation': 'horizontal' });
    this.node = h('div', { class: 'wb-pscroll' }, this.list);
    const { signal } = this.listeners;
    on(this.list, 'mouseover', event => this.point(event.target), signal);
    on(this.list, 'mouseleave', () => props.onPoint(null), signal);
    on(this.list, 'focusin', event => this.point(event.target), signal);
    on(this.list, 'click', event => this.keep(event.target), signal);
  }

  abstract draw(model: XrayModel, window: Window): void;
  abstract light(lit: Lit | null, kept: Target | null): void;
  protected abstract targetOf(thing: HTMLElement): Target;

  move(by: number): void {
    const last = this.things.length - 1;
    this.focusThing(Math.max(0, Math.min(last, this.current + by)));
  }

  dispose(): void {
    this.listeners.abort();
  }

  protected placeFocus(): void {
    this.current = Math.min(this.current, Math.max(0, this.things.length - 1));
    this.things.forEach((thing, index) => thing.setAttribute('tabindex', index === this.current ? '0' : '-1'));
  }

  private focusThing(index: number): void {
    this.things[this.current]?.setAttribute('tabindex', '-1');
    this.current = index;
    this.things[index]?.setAttribute('tabindex', '0');
    this.things[index]?.focus();
  }

  private thingAt(target: EventTarget | null): HTMLElement | null {
    return target instanceof Element ? target.closest<HTMLElement>('[role=option]') : null;
  }

  private point(target: EventTarget | null): void {
    const thing = this.thingAt(target);
    if (thing !== null) {
      this.props.onPoint(this.targetOf(thing));
    }
  }

  private keep(target: EventTarget | null): void {
    const thing = this.thingAt(target);
    if (thing !== null) {
      this.focusThing(this.things.indexOf(thing));
      this.props.onKeep(this.targetOf(thing));
    }
  }
}

class TextPane extends Linked {
  private exact: readonly HTMLElement[] = [];

  constructor(
    props: LinkedProps,
    private readonly trans: Trans
  ) {
    super('wb-text', trans.__('Rendered text'), props);
  }

  draw(model: XrayModel, window: Window): void {
    this.model = model;
    this.exact = [];
    this.things = [];
    const cuts = model.cuts
      .map((cut, index) => ({ cut, index }))
      .filter(({ cut }) => cut.at >= window.start && (cut.at < window.end || window.end === model.characters));
    const runs = window.end > window.start ? model.runsOver(window.start, window.end) : [];
    for (const run of runs) {
      const start = Math.max(model.runStart(run), window.start);
      const end = Math.min(model.runEnd(run), window.end);
      let at = start;
      while (cuts[0] !== undefined && cuts[0].cut.at < end) {
        const next = Math.max(at, cuts[0].cut.at);
        this.addRun(run, at, next);
        this.addCut(cuts.shift()?.index ?? 0);
        at = next;
      }
      this.addRun(run, at, end);
    }
    cuts.forEach(({ index }) => this.addCut(index));
    this.list.replaceChildren(...this.things);
    this.placeFocus();
  }

  light(lit: Lit | null, kept: Target | null): void {
    const { model } = this;
    this.exact.forEach(thing => this.fill(thing));
    this.exact = [];
    for (const thing of this.things) {
      const cut = thing.dataset['c'];
      const isOn = cut === undefined ? this.isRunLit(thing, lit) : (lit?.isCutLit(Number(cut)) ?? false);
      thing.classList.toggle('wb-on', isOn);
      thing.classList.remove('wb-partly');
      const isKept =
        (kept?.kind === 'run' && thing.dataset['r'] === String(kept.run)) ||
        (kept?.kind === 'cut' && cut === String(kept.cut));
      thing.setAttribute('aria-selected', String(isKept));
    }
    if (model !== null && lit !== null && lit.spans.length === 1 && lit.spans[0] !== undefined) {
      this.lightExactly(lit.spans[0]);
    }
  }

  protected targetOf(thing: HTMLElement): Target {
    const cut = thing.dataset['c'];
    return cut === undefined ? { kind: 'run', run: Number(thing.dataset['r']) } : { kind: 'cut', cut: Number(cut) };
  }

  private addRun(run: number, start: number, end: number): void {
    const { model } = this;
    if (model === null || end <= start) {
      return;
    }
    const classes = ['wb-r', model.isData(run) ? 'wb-field' : 'wb-tmpl', model.isPrompt(start) ? 'wb-gen' : ''];
    const thing = h('span', {
      class: classes.filter(name => name !== '').join(' '),
      role: 'option',
      tabindex: -1,
      'aria-selected': 'false',
      'data-r': run,
      'data-l': model.lineOfRun(run),
      'data-s': start,
      'data-e': end
    });
    if (model.isData(run)) {
      thing.setAttribute('dir', 'auto');
    }
    this.fill(thing);
    this.things.push(thing);
  }

  private addCut(index: number): void {
    const cut = this.model?.cuts[index];
    if (cut !== undefined) {
      const words = removedWords(cut.end - cut.start, this.trans);
      const attributes = { class: 'wb-cut', role: 'option', tabindex: -1, 'aria-selected': 'false', 'data-c': index };
      this.things.push(h('span', { ...attributes, 'data-l': cut.line ?? 0 }, icon('cross'), words));
    }
  }

  /** Draw a run's text; the characters of `lit` with a mark around them. */
  private fill(thing: HTMLElement, lit: readonly [number, number] | null = null): void {
    const { model } = this;
    if (model === null || thing.dataset['c'] !== undefined) {
      return;
    }
    const start = Number(thing.dataset['s']);
    const end = Number(thing.dataset['e']);
    thing.replaceChildren();
    if (lit === null) {
      drawText(model.slice(start, end), thing);
      return;
    }
    const low = Math.max(start, lit[0]);
    const high = Math.min(end, lit[1]);
    const mark = h('span', { class: 'wb-exact' });
    drawText(model.slice(start, low), thing);
    drawText(model.slice(low, high), mark);
    thing.append(mark);
    drawText(model.slice(high, end), thing);
  }

  private spanOf(thing: HTMLElement): readonly [number, number] {
    return [Number(thing.dataset['s']), Number(thing.dataset['e'])];
  }

  private isRunLit(thing: HTMLElement, lit: Lit | null): boolean {
    const [start, end] = this.spanOf(thing);
    return lit?.spans.some(span => span[0] < end && start < Math.max(span[1], span[0] + 1)) ?? false;
  }

  /** Only part of a run is pointed at, by a token: only these characters light up. */
  private lightExactly(span: readonly [number, number]): void {
    const touched = this.things.filter(thing => {
      const [start, end] = this.spanOf(thing);
      const isPart = span[0] > start || span[1] < end;
      return thing.dataset['c'] === undefined && span[0] < end && start < span[1] && isPart;
    });
    touched.forEach(thing => {
      this.fill(thing, span);
      thing.classList.remove('wb-on');
      thing.classList.add('wb-partly');
    });
    this.exact = touched;
  }
}

export function textPane(props: LinkedProps, trans: Trans): LinkedPane {
  return new TextPane(props, trans);
}
