/**
 * The token-mask viewer: what of this row is trained, and why.
 *
 * Knows rows and keys; drawing is done by the parts. Rows that are not in the output are asked of the kernel.
 */
import { rowAnswer } from '../wire';
import type { Row, TokensPayload } from '../wire';
import { askKernel, NoKernelError } from './askKernel';
import { codeLine } from './codeLine';
import { formatNumber, h, liveRegion } from './component';
import type { Component, Trans } from './component';
import { findingCard } from './findingCard';
import { emptyRow, rowModel } from './rowModel';
import type { RowModel } from './rowModel';
import { COLOURS, tokenBar } from './tokenBar';
import type { ColourBy } from './tokenBar';
import { keyHelp, legend } from './tokenFoot';
import { tokenGrid } from './tokenGrid';
import { differenceLine, drawHeader } from './tokenHeader';
import { tokenInspector } from './tokenInspector';
import { leaveTo, obeyKeys } from './tokenKeys';
import type { KeyActions } from './tokenKeys';
import { tokenMap } from './tokenMap';

const MOST_ON_TOP = 8;
const MOST_ROWS_KEPT = 60;

export interface TokenViewerProps {
  readonly payload: TokensPayload;
  /** Whether spaces are marked at first; yes unless said otherwise. */
  readonly spaces?: boolean;
}

class Viewer {
  readonly node = h('section', { class: 'wb-card wb-tokens' });
  private readonly listeners = new AbortController();
  private readonly live = liveRegion();
  private readonly head = h('header', { class: 'wb-head' });
  private readonly top = h('div', { class: 'wb-tops' });
  private readonly main = h('div', { class: 'wb-main' });
  private readonly help: HTMLElement;
  private readonly rows = new Map<number, Row>();
  private readonly bar;
  private readonly map;
  private readonly grid;
  private readonly inspector;
  private readonly code;
  private model: RowModel;
  private position: number;
  private colour: ColourBy = 'trained';
  private spaces: boolean;
  private busy = false;

  private payload: TokensPayload;

  constructor(
    props: TokenViewerProps,
    private readonly trans: Trans
  ) {
    const { payload } = props;
    this.payload = payload;
    this.spaces = props.spaces ?? true;
    this.keepRows(payload);
    this.position = payload.first;
    this.model = rowModel(this.firstRow(payload));
    this.map = tokenMap({ model: this.model, onJump: token => this.grid.go(token, true) }, trans);
    this.inspector = tokenInspector(trans);
    this.grid = tokenGrid(
      {
        model: this.model,
        onCurrent: token => this.inspect(token),
        onHover: token => this.inspect(token ?? this.grid.current),
        onView: (from, to) => this.map.frame(from, to)
      },
      trans
    );
    this.bar = tokenBar(
      {
        step: by => void this.goToRow(this.position + by),
        goToRow: position => void this.goToRow(position),
        colour: by => this.setColour(by),
        spaces: shown => this.setSpaces(shown),
        find: text => void this.find(text),
        nextProblem: () => void this.nextProblem(),
        leaveFind: () => this.grid.focus()
      },
      trans
    );
    this.code = codeLine({ code: this.rowCode() }, trans);
    this.help = h('div', { class: 'wb-help', hidden: true }, keyHelp(trans));
    this.main.append(this.grid.node, this.inspector.node);
    this.node.append(
      this.head,
      this.map.node,
      this.bar.node,
      this.top,
      this.main,
      this.help,
      legend(trans),
      this.code.node,
      this.live.node
    );
    this.node.setAttribute('aria-label', trans.__('Token-mask viewer'));
    this.listen();
    this.drawRow();
  }

  dispose(): void {
    this.listeners.abort();
    for (const part of [this.map, this.grid, this.inspector, this.bar, this.code]) {
      part.dispose();
    }
  }

  update(payload: TokensPayload): void {
    const stays = payload.handle !== null && payload.handle === this.payload.handle;
    this.payload = payload;
    this.rows.clear();
    this.keepRows(payload);
    if (!stays || !this.rows.has(this.position)) {
      this.position = payload.first;
    }
    this.show(this.rows.get(this.position) ?? this.firstRow(payload));
  }

  private firstRow(payload: TokensPayload): Row {
    const row = payload.rows.find(item => item.position === payload.first) ?? payload.rows[0];
    return row ?? emptyRow(payload.title);
  }

  private keepRows(payload: TokensPayload): void {
    payload.rows.forEach(row => this.rows.set(row.position, row));
  }

  /** The payload's code for the row that is shown now; a batch is shown whole, its code stays. */
  private rowCode(): string {
    const { code, first, kind } = this.payload;
    if (kind === 'batch') {
      return code;
    }
    if (/^\w+$/.test(code)) {
      return this.position === first ? code : `${code}[${this.position}]`;
    }
    return code.replace(/\[\d+\](?=[^[\]]*$)/, `[${this.position}]`);
  }

  private show(row: Row): void {
    this.model = rowModel(row);
    this.map.update(this.model);
    this.grid.update(this.model);
    this.drawRow();
  }

  private drawRow(): void {
    drawHeader(this.head, this.payload, this.model, this.trans);
    const onTop = this.model.placed.filter(item => item.block === null).map(item => item.finding);
    const rest = onTop.length - MOST_ON_TOP;
    const difference = differenceLine(this.payload, this.trans);
    this.top.replaceChildren(
      ...(difference === null ? [] : [difference]),
      ...onTop
        .slice(0, MOST_ON_TOP)
        .map(finding => findingCard(finding, this.trans, finding.row === this.model.row.row)),
      ...(rest > 0 ? [h('p', { class: 'wb-more wb-sub' }, this.trans.__('and %1 more', formatNumber(rest)))] : []),
      ...(this.model.length === 0
        ? [h('p', { class: 'wb-more wb-sub' }, this.trans.__('This row has no tokens.'))]
        : [])
    );
    this.node.dataset['colour'] = this.colour;
    this.node.dataset['ws'] = this.spaces ? 'on' : 'off';
    this.code.update(this.rowCode());
    this.inspect(this.grid.current);
  }

  private inspect(token: number): void {
    this.inspector.update({ model: this.model, token, payload: this.payload });
    this.drawBar();
  }

  private drawBar(): void {
    const index = this.model.problems.indexOf(this.grid.current);
    this.bar.update({
      position: this.position,
      rowCount: this.payload.row_count,
      colour: this.colour,
      spaces: this.spaces,
      problems: this.model.problems.length,
      problem: index < 0 ? null : index,
      busy: this.busy,
      clean: this.isClean()
    });
  }

  private isClean(): boolean {
    const { totals, row_count } = this.payload;
    const elsewhere = totals === null ? row_count > this.rows.size : totals.errors + totals.warnings > 0;
    return !elsewhere && [...this.rows.values()].every(row => row.findings.length === 0);
  }

  private setColour(by: ColourBy): void {
    this.colour = by;
    this.node.dataset['colour'] = by;
    this.drawBar();
  }

  private setSpaces(shown: boolean): void {
    this.spaces = shown;
    this.node.dataset['ws'] = shown ? 'on' : 'off';
    this.drawBar();
  }

  private async ask<T>(work: () => Promise<T>): Promise<T | null> {
    this.busy = true;
    this.drawBar();
    try {
      return await work();
    } catch (error) {
      this.live.node.classList.remove('wb-vh');
      this.live.say(
        error instanceof NoKernelError
          ? this.trans.__('Only the rows saved in this output can be shown. Run the cell again to see others.')
          : String(error instanceof Error ? error.message : error)
      );
      return null;
    } finally {
      this.busy = false;
      this.drawBar();
    }
  }

  private async goToRow(position: number, token = 0): Promise<boolean> {
    if (this.busy || position === this.position || position < 0 || position >= this.payload.row_count) {
      this.drawBar();
      return false;
    }
    const inTokens = this.grid.node.contains(document.activeElement);
    const row = this.rows.get(position) ?? (await this.fetchRow(position));
    if (row === null) {
      return false;
    }
    this.position = position;
    this.show(row);
    this.grid.go(token, inTokens);
    this.announceRow();
    return true;
  }

  private async fetchRow(position: number): Promise<Row | null> {
    const answer = await this.ask(() => askKernel(this.node, this.payload.handle, { op: 'row', position }, rowAnswer));
    const row = answer?.row ?? null;
    if (row !== null) {
      this.rows.set(position, row);
      const oldest = this.rows.keys().next().value;
      if (this.rows.size > MOST_ROWS_KEPT && oldest !== undefined) {
        this.rows.delete(oldest);
      }
    }
    return row;
  }

  private announceRow(): void {
    this.live.node.classList.add('wb-vh');
    this.live.say(
      this.trans.__(
        '%1: %2 tokens, %3 trained, %4',
        this.model.row.title,
        this.model.length,
        this.model.trained,
        this.trans._n('%1 problem', '%1 problems', this.model.row.findings.length)
      )
    );
  }

  private async find(text: string): Promise<void> {
    const token = this.model.find(text, this.grid.current + 1);
    if (token !== null) {
      this.grid.go(token, true);
      return;
    }
    const answer = await this.ask(() =>
      askKernel(this.node, this.payload.handle, { op: 'find', text, after: this.position }, rowAnswer)
    );
    const position = answer?.position ?? null;
    if (answer !== null && position === null) {
      this.live.node.classList.remove('wb-vh');
      this.live.say(this.trans.__('“%1” was not found.', text));
    } else if (position !== null && (await this.goToRow(position))) {
      this.grid.go(this.model.find(text, 0) ?? 0, true);
    }
  }

  private async nextProblem(): Promise<void> {
    const here = this.model.problems.find(token => token > this.grid.current);
    const atFirst =
      this.grid.current === 0 && this.model.problems[0] === 0 && !this.grid.node.contains(document.activeElement);
    if (here !== undefined || atFirst) {
      this.grid.go(atFirst ? 0 : (here ?? 0), true);
      return;
    }
    const position = await this.nextProblemRow();
    if (position === null || position === this.position) {
      this.grid.go(this.model.problems[0] ?? this.grid.current, true);
    } else if (await this.goToRow(position)) {
      this.grid.go(this.model.problems[0] ?? 0, true);
    }
  }

  private async nextProblemRow(): Promise<number | null> {
    if (this.payload.handle !== null) {
      const answer = await this.ask(() =>
        askKernel(this.node, this.payload.handle, { op: 'problem', after: this.position }, rowAnswer)
      );
      if (answer !== null) {
        return answer.position;
      }
    }
    const known = [...this.rows.values()].filter(row => row.findings.length > 0).map(row => row.position);
    const later = known.filter(position => position > this.position);
    return later.length > 0 ? Math.min(...later) : known.length > 0 ? Math.min(...known) : null;
  }

  private listen(): void {
    const actions: KeyActions = {
      ArrowRight: shift => (shift ? this.goToBlock(1) : this.grid.step(1)),
      ArrowLeft: shift => (shift ? this.goToBlock(-1) : this.grid.step(-1)),
      Home: () => this.grid.go(0, true),
      End: () => this.grid.go(this.model.length - 1, true),
      j: () => void this.goToRow(this.position + 1),
      k: () => void this.goToRow(this.position - 1),
      n: () => void this.nextProblem(),
      w: () => this.setSpaces(!this.spaces),
      c: () => this.setColour(COLOURS[(COLOURS.indexOf(this.colour) + 1) % COLOURS.length] ?? 'trained'),
      i: () => this.main.classList.toggle('wb-noinsp'),
      '/': () => this.bar.openFind(),
      '?': () => {
        this.help.hidden = !this.help.hidden;
      },
      Escape: () => leaveTo(this.node)
    };
    obeyKeys(this.grid.node, actions, this.listeners.signal);
  }

  private goToBlock(by: 1 | -1): void {
    const index = this.model.blockOf(this.grid.current);
    const start = this.model.blocks[index]?.start ?? 0;
    const target = by < 0 && this.grid.current > start ? index : index + by;
    const block = this.model.blocks[Math.max(0, Math.min(this.model.blocks.length - 1, target))];
    if (block !== undefined) {
      this.grid.go(block.start, true);
    }
  }
}

export function tokenViewer(props: TokenViewerProps, trans: Trans): Component<TokensPayload> {
  const viewer = new Viewer(props, trans);
  return {
    node: viewer.node,
    update: payload => viewer.update(payload),
    dispose: () => viewer.dispose()
  };
}
