/** The template's pane: lines with what each made, drawn only where they are seen; or a field to edit them in. */
import { formatNumber, h, on } from './component';
import type { Trans } from './component';
import { jinjaStates, linePieces } from './jinjaPieces';
import type { JinjaState } from './jinjaPieces';
import type { XrayModel } from './xrayModel';

/** Height of a line in CSS pixels, as in xray.css. */
const LINE_HEIGHT = 19;
/** Templates of up to this many lines are drawn whole, and their lines wrap. */
const WHOLE_LINES = 40;
const OVERSCAN = 2;
const VIEW_HEIGHT = 420;

export interface JinjaProps {
  onPoint(line: number | null): void;
  onKeep(line: number): void;
}

export interface JinjaPane {
  readonly node: HTMLElement;
  readonly list: HTMLElement;
  draw(model: XrayModel): void;
  light(lines: ReadonlySet<number>, kept: number | null): void;
  show(line: number): void;
  /** Move the focus by lines; to the first or last with infinity. */
  move(by: number): void;
  focusLine(line: number): void;
  dispose(): void;
}

/** What the line made, for its margin; text it left out goes first, because it is rarely wanted. */
function margin(model: XrayModel, line: number): { readonly text: string; readonly drops: boolean } {
  const made = model.made(line);
  if (made.removed > 0 && made.characters === 0) {
    return { text: `−${formatNumber(made.removed)}`, drops: true };
  }
  const count = model.tokenCount === 0 && model.view.tokenizer === null ? made.characters : made.tokens;
  return { text: made.characters === 0 ? '' : formatNumber(count), drops: false };
}

function label(model: XrayModel, line: number, trans: Trans): string {
  const made = model.made(line);
  const parts = [
    trans.__('Line %1', line),
    made.characters === 0 ? '' : trans._n('%1 character', '%1 characters', made.characters),
    made.tokens === 0 ? '' : trans._n('%1 token', '%1 tokens', made.tokens),
    made.removed === 0 ? '' : trans._n('%1 character left out', '%1 characters left out', made.removed)
  ];
  return `${parts.filter(part => part !== '').join(', ')}: ${model.lines[line - 1]?.trim() ?? ''}`;
}

class Lines implements JinjaPane {
  readonly list: HTMLElement;
  readonly node: HTMLElement;
  private readonly listeners = new AbortController();
  private readonly rows = new Map<number, HTMLElement>();
  private model: XrayModel | null = null;
  private states: readonly JinjaState[] = [];
  private current = 1;
  private lit: ReadonlySet<number> = new Set();
  private kept: number | null = null;

  constructor(
    private readonly props: JinjaProps,
    private readonly trans: Trans
  ) {
    this.list = h('div', { class: 'wb-jinja', role: 'listbox', 'aria-label': trans.__('Template lines') });
    this.node = h('div', { class: 'wb-pscroll' }, this.list);
    const { signal } = this.listeners;
    on(this.node, 'scroll', () => this.drawRows(), signal);
    on(this.list, 'mouseover', event => this.point(event.target), signal);
    on(this.list, 'mouseleave', () => props.onPoint(null), signal);
    on(this.list, 'focusin', event => this.point(event.target), signal);
    on(
      this.list,
      'click',
      event => {
        const line = this.lineAt(event.target);
        if (line !== null) {
          this.focusLine(line);
          props.onKeep(line);
        }
      },
      signal
    );
  }

  draw(model: XrayModel): void {
    const changed = this.model?.view.source !== model.view.source;
    this.model = model;
    if (changed) {
      this.states = jinjaStates(model.lines);
    }
    this.current = Math.min(Math.max(1, this.current), model.lines.length);
    this.list.classList.toggle('wb-long', this.isLong);
    this.rows.clear();
    this.list.replaceChildren();
    this.drawRows();
  }

  light(lines: ReadonlySet<number>, kept: number | null): void {
    this.lit = lines;
    this.kept = kept;
    this.rows.forEach((row, line) => this.mark(row, line));
  }

  show(line: number): void {
    if (this.isLong) {
      const top = (line - 1) * LINE_HEIGHT;
      const height = this.node.clientHeight || VIEW_HEIGHT;
      if (top < this.node.scrollTop || top + LINE_HEIGHT > this.node.scrollTop + height) {
        this.node.scrollTop = Math.max(0, top - height / 2);
      }
      this.drawRows();
      return;
    }
    const row = this.rows.get(line);
    if (row !== undefined) {
      const above = this.list.offsetTop + row.offsetTop;
      const below = above + row.offsetHeight - this.node.clientHeight;
      this.node.scrollTop = Math.max(below, Math.min(above, this.node.scrollTop));
    }
  }

  move(by: number): void {
    const last = this.model?.lines.length ?? 1;
    let line = this.current;
    do {
      line += Math.sign(by);
    } while (line > 1 && line < last && !this.makes(line));
    const wanted = Number.isFinite(by) ? line : by < 0 ? 1 : last;
    if (wanted >= 1 && wanted <= last) {
      this.focusLine(wanted);
    }
  }

  focusLine(line: number): void {
    this.current = line;
    this.show(line);
    this.rows.forEach((row, number) => row.setAttribute('tabindex', number === line ? '0' : '-1'));
    this.rows.get(line)?.focus({ preventScroll: true });
  }

  dispose(): void {
    this.listeners.abort();
  }

  private get isLong(): boolean {
    return (this.model?.lines.length ?? 0) > WHOLE_LINES;
  }

  private makes(line: number): boolean {
    const made = this.model?.made(line);
    return made !== undefined && made.characters + made.removed > 0;
  }

  private lineAt(target: EventTarget | null): number | null {
    const row = target instanceof Element ? target.closest<HTMLElement>('.wb-l') : null;
    return row === null ? null : Number(row.dataset['l']);
  }

  private point(target: EventTarget | null): void {
    const line = this.lineAt(target);
    if (line !== null && this.makes(line)) {
      this.props.onPoint(line);
    }
  }

  private drawRows(): void {
    const { model } = this;
    if (model === null) {
      return;
    }
    const count = model.lines.length;
    let first = 1;
    let last = count;
    if (this.isLong) {
      const height = Math.min(this.node.clientHeight || VIEW_HEIGHT, VIEW_HEIGHT);
      first = Math.max(1, Math.floor(this.node.scrollTop / LINE_HEIGHT) + 1 - OVERSCAN);
      last = Math.min(count, Math.ceil((this.node.scrollTop + height) / LINE_HEIGHT) + OVERSCAN);
      this.list.style.height = `${count * LINE_HEIGHT}px`;
    } else {
      this.list.style.removeProperty('height');
    }
    const stale = [...this.rows].filter(([line]) => line < first || line > last);
    const held = stale.some(([, row]) => row === document.activeElement);
    for (const [line, row] of stale) {
      if (row !== document.activeElement) {
        row.remove();
        this.rows.delete(line);
      }
    }
    for (let line = first; line <= last; line += 1) {
      if (!this.rows.has(line)) {
        this.add(line, model);
      }
    }
    if (!held && !this.rows.has(this.current)) {
      this.rows.get(first)?.setAttribute('tabindex', '0');
    }
  }

  private add(line: number, model: XrayModel): void {
    const text = model.lines[line - 1] ?? '';
    const indent = text.length - text.trimStart().length;
    const made = margin(model, line);
    const source = h(
      'span',
      { class: 'wb-src' },
      ...linePieces(text.trimStart(), this.states[line - 1] ?? 'text', this.isLong)
    );
    source.style.setProperty('--i', String(Math.min(indent, 40)));
    const row = h(
      'div',
      {
        class: `wb-l${this.makes(line) ? ' wb-has' : ''}`,
        role: 'option',
        tabindex: line === this.current ? 0 : -1,
        'aria-selected': 'false',
        'aria-label': label(model, line, this.trans),
        'data-l': line,
        'data-made': made.text
      },
      source
    );
    row.classList.toggle('wb-drop', made.drops);
    if (this.isLong) {
      row.style.top = `${(line - 1) * LINE_HEIGHT}px`;
      row.title = text.trim();
    }
    this.mark(row, line);
    this.rows.set(line, row);
    const next = [...this.rows.keys()].filter(other => other > line).sort((a, b) => a - b)[0];
    this.list.insertBefore(row, next === undefined ? null : (this.rows.get(next) ?? null));
  }

  private mark(row: HTMLElement, line: number): void {
    row.classList.toggle('wb-on', this.lit.has(line));
    row.setAttribute('aria-selected', String(this.kept === line));
  }
}

export function jinjaPane(props: JinjaProps, trans: Trans): JinjaPane {
  return new Lines(props, trans);
}
