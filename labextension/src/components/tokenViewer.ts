/**
 * The token-mask viewer: what of this row is trained, and why.
 *
 * Knows rows and keys; drawing is done by the parts. Rows that are not in the output are asked of the kernel.
 */
import type { Row, TokensPayload } from '../wire';
import { codeLine } from './codeLine';
import { h } from './component';
import type { Component, Trans } from './component';
import { keepKeys } from './pickerKeys';
import { emptyRow, rowModel } from './rowModel';
import type { RowModel } from './rowModel';
import { tokenBar } from './tokenBar';
import { colouring, isColour, isMeasure, isThere, nextColour } from './tokenColours';
import type { ColourBy } from './tokenColours';
import { copyRow } from './tokenCopy';
import { legend } from './tokenFoot';
import { Frame } from './tokenFrame';
import { NODE_BUDGET, tokenGrid } from './tokenGrid';
import { colourHint } from './tokenHint';
import { tokenInspector } from './tokenInspector';
import { leaveTo, obeyKeys } from './tokenKeys';
import type { KeyActions } from './tokenKeys';
import { tokenMap } from './tokenMap';
import { LIST_NODES, tokenRowList } from './tokenRowList';
import { TokenRows } from './tokenRows';
import type { CopyFormat, Policy } from './tokenRows';
import { Source } from './tokenSource';
import type { Sourced } from './tokenSource';
import { tokenTable } from './tokenTable';
import { changedTokens, codeOf, isClean, kindsOf, nextBlock } from './tokenViewed';
import { Problems, Search } from './tokenWalk';
import type { Walked } from './tokenWalk';

export interface TokenViewerProps {
  readonly payload: TokensPayload;
  /** Whether spaces are marked at first; yes unless said otherwise. */
  readonly spaces?: boolean;
  /** Nodes of the page that the tokens may need; `NODE_BUDGET` unless said otherwise. */
  readonly nodes?: number;
  /** Back to the batch that the row was opened from. */
  leave?(): void;
}

class Viewer implements Walked, Sourced {
  readonly node = h('section', { class: 'wb-card wb-tokens' });
  model: RowModel;
  position: number;
  payload: TokensPayload;
  private readonly listeners = new AbortController();
  private readonly frame: Frame;
  private readonly main = h('div', { class: 'wb-main' });
  private readonly rows;
  private readonly bar;
  private readonly map;
  private readonly grid;
  private readonly table;
  private readonly list;
  private readonly inspector;
  private readonly legend;
  private readonly hint;
  private readonly code;
  private readonly search;
  private readonly problems;
  private readonly source;
  private colour: ColourBy;
  private spaces: boolean;
  private walking: Promise<void> = Promise.resolve();
  private isTable = false;

  constructor(
    props: TokenViewerProps,
    private readonly trans: Trans
  ) {
    const { payload } = props;
    this.payload = payload;
    this.spaces = props.spaces ?? true;
    this.frame = new Frame(trans);
    this.rows = new TokenRows(this.node, payload);
    this.search = new Search(this, this.rows);
    this.problems = new Problems(this, this.rows);
    this.source = new Source(this, words => this.frame.tell(words), trans, props.leave);
    this.position = payload.first;
    this.colour = isColour(payload.colour_by) ? payload.colour_by : 'trained';
    this.model = this.modelOf(this.rows.first() ?? emptyRow(payload.title));
    this.map = tokenMap({ model: this.model, onJump: token => this.go(token, true) }, trans);
    this.inspector = tokenInspector(trans);
    this.grid = tokenGrid(
      {
        model: this.model,
        nodes: () => (props.nodes ?? NODE_BUDGET) - (this.list.node.hidden ? 0 : LIST_NODES),
        onCurrent: token => this.inspect(token),
        onHover: token => this.inspect(token ?? this.grid.current),
        onView: (from, to) => this.map.frame(from, to)
      },
      trans
    );
    this.table = tokenTable(token => this.go(token, true), trans);
    this.list = this.makeList();
    this.bar = this.makeBar();
    this.legend = legend(trans);
    this.hint = colourHint(trans);
    this.code = codeLine({ code: this.lineOfCode() }, trans);
    this.main.append(this.grid.node, this.table.node, this.inspector.node);
    this.node.append(
      this.frame.head,
      this.map.node,
      this.bar.node,
      this.hint.node,
      this.list.node,
      this.frame.top,
      this.main,
      this.frame.help,
      this.legend.node,
      this.code.node,
      this.frame.live
    );
    this.node.setAttribute('aria-label', trans.__('Token-mask viewer'));
    this.listen();
    this.drawRow();
  }

  get current(): number {
    return this.grid.current;
  }

  get handle(): string | null {
    return this.payload.handle;
  }

  dispose(): void {
    this.listeners.abort();
    const { map, grid, inspector, bar, code, table, list, hint } = this;
    [map, grid, inspector, bar, code, table, list, hint].forEach(part => part.dispose());
  }

  update(payload: TokensPayload): void {
    this.source.forget();
    this.open(payload);
  }

  open(payload: TokensPayload): void {
    const stays = payload.handle !== null && payload.handle === this.payload.handle;
    this.payload = payload;
    this.rows.show(payload);
    if (!stays || this.rows.known(this.position) === null) {
      this.position = payload.first;
      this.list.close();
    }
    this.show(this.rows.known(this.position) ?? this.rows.first() ?? emptyRow(payload.title));
  }

  isInTokens(): boolean {
    return this.main.contains(document.activeElement);
  }

  go(token: number, focus: boolean): void {
    this.grid.go(token, focus && !this.isTable);
    if (this.isTable && focus) {
      this.table.focus();
    }
  }

  async goToRow(position: number, token = 0): Promise<boolean> {
    if (this.frame.isBusy || position === this.position || position < 0 || position >= this.payload.row_count) {
      this.drawBar();
      return false;
    }
    const inTokens = this.isInTokens();
    const row = this.rows.known(position) ?? (await this.ask(() => this.rows.at(position)));
    if (row === null) {
      return false;
    }
    this.position = position;
    this.show(row);
    this.go(token, inTokens);
    this.frame.announce(this.model);
    return true;
  }

  ask<T>(work: () => Promise<T>): Promise<T | null> {
    return this.frame.ask(work, () => this.drawBar());
  }

  private modelOf(row: Row): RowModel {
    return { ...rowModel(row), colouring: colouring(row, this.colour) };
  }

  private lineOfCode(): string {
    return this.rows.code ?? codeOf(this.payload, this.model.row, this.model.colouring.by);
  }

  private show(row: Row): void {
    this.model = this.modelOf(row);
    this.map.update(this.model);
    this.grid.update(this.model);
    this.drawRow();
  }

  private drawRow(): void {
    this.frame.draw(this.payload, this.model);
    this.node.dataset['ws'] = this.spaces ? 'on' : 'off';
    this.hint.hide();
    this.drawColour();
    this.inspect(this.grid.current);
  }

  private drawColour(): void {
    const { by } = this.model.colouring;
    this.node.dataset['colour'] = by;
    this.node.toggleAttribute('data-measure', isMeasure(by));
    this.legend.update(this.model, this.payload);
    this.code.update(this.lineOfCode());
  }

  private inspect(token: number): void {
    this.inspector.update({ model: this.model, token, payload: this.payload });
    if (this.isTable) {
      this.table.show(this.model, this.grid.current);
    }
    this.drawBar();
  }

  private drawBar(): void {
    this.node.setAttribute('aria-busy', String(this.frame.isBusy));
    const tokens = this.problems.here;
    const index = tokens.indexOf(this.grid.current);
    this.bar.update({
      position: this.position,
      rowCount: this.payload.row_count,
      row: this.model.row,
      colour: this.model.colouring.by,
      spaces: this.spaces,
      problems: tokens.length,
      problem: index < 0 ? null : index,
      kinds: kindsOf(this.payload, this.rows.values),
      kind: this.problems.kind,
      busy: this.frame.isBusy,
      isBatch: this.payload.kind === 'batch',
      clean: isClean(this.payload, this.rows.values),
      isListed: !this.list.node.hidden,
      isTable: this.isTable,
      policy: this.payload.handle === null ? null : this.rows.policy,
      isTrying: this.rows.isTrying
    });
  }

  private setColour(by: ColourBy): void {
    if (!isThere(this.model.row, by)) {
      this.hint.show(by, /^\w+/.exec(this.payload.code)?.[0] ?? 'enc', this.model.row.row);
      this.drawBar();
      return;
    }
    this.hint.hide();
    this.colour = by;
    this.model = { ...this.model, colouring: colouring(this.model.row, by) };
    this.grid.relabel(this.model, []);
    this.drawColour();
    this.inspect(this.grid.current);
  }

  private setSpaces(shown: boolean): void {
    this.spaces = shown;
    this.node.dataset['ws'] = shown ? 'on' : 'off';
    this.drawBar();
  }

  private setTable(shown: boolean): void {
    const hadFocus = this.isInTokens();
    this.isTable = shown;
    this.table.hide();
    this.grid.rest(shown);
    this.inspect(this.grid.current);
    if (hadFocus) {
      this.go(this.grid.current, true);
    }
  }

  private async setPolicy(policy: Policy | null): Promise<void> {
    const row = await this.ask(() => this.rows.try(this.position, policy));
    if (row === null) {
      return;
    }
    const changed = changedTokens(this.model.row, row);
    if (changed === null) {
      this.show(row);
    } else {
      this.model = this.modelOf(row);
      this.map.update(this.model);
      this.grid.relabel(this.model, changed);
      this.drawRow();
    }
    this.bar.changed(this.trans._n('%1 token changed', '%1 tokens changed', changed?.length ?? this.model.length));
  }

  private async copy(format: CopyFormat): Promise<void> {
    const length = await this.ask(() => copyRow(this.rows, this.position, format, this.trans));
    if (length !== null) {
      this.frame.tell(this.trans.__('%1 is on the clipboard, %2 characters', this.model.row.title, length));
    }
  }

  /** One walk after the other: keys come faster than the kernel answers. */
  private inTurn(walk: () => Promise<void>): void {
    this.walking = this.walking.then(walk);
  }

  private async find(text: string, back: boolean): Promise<void> {
    const state = await this.search.step(text, back);
    this.bar.found(state);
    if (state.places === 0) {
      this.frame.tell(this.trans.__('“%1” was not found.', text));
    }
  }

  private makeBar() {
    return tokenBar(
      {
        step: by => void this.goToRow(this.position + by),
        goToRow: position => void this.goToRow(position),
        colour: by => this.setColour(by),
        spaces: shown => this.setSpaces(shown),
        find: (text, back) => this.inTurn(() => this.find(text, back)),
        leaveFind: () => this.go(this.grid.current, true),
        nextProblem: () => this.inTurn(() => this.problems.next()),
        kind: kind => {
          this.problems.kind = kind;
          this.list.update(kind);
          this.drawBar();
        },
        list: () => this.toggleList(),
        table: () => this.setTable(!this.isTable),
        copy: format => void this.copy(format),
        policy: policy => void this.setPolicy(policy)
      },
      this.trans
    );
  }

  private makeList() {
    return tokenRowList(
      {
        load: (start, count, query) => this.ask(() => this.rows.page(start, count, query)),
        open: position => void this.goToRow(position).then(() => this.go(this.grid.current, true)),
        close: () => this.toggleList()
      },
      this.trans
    );
  }

  private toggleList(): void {
    if (this.list.node.hidden && this.payload.kind === 'rows') {
      this.list.update(this.problems.kind);
      this.list.open(this.position);
    } else {
      this.list.close();
      this.go(this.grid.current, true);
    }
    this.grid.rest(this.isTable);
    this.drawBar();
  }

  private listen(): void {
    const block = (by: 1 | -1): void => this.go(nextBlock(this.model, this.grid.current, by), true);
    const step = (by: 1 | -1): void => (this.isTable ? this.go(this.grid.current + by, true) : this.grid.step(by));
    const actions: KeyActions = {
      ArrowRight: shift => (shift ? block(1) : step(1)),
      ArrowLeft: shift => (shift ? block(-1) : step(-1)),
      Home: () => this.go(0, true),
      End: () => this.go(this.model.length - 1, true),
      j: () => void this.goToRow(this.position + 1),
      k: () => void this.goToRow(this.position - 1),
      l: () => this.toggleList(),
      n: () => this.inTurn(() => this.problems.next()),
      p: () => this.inTurn(() => this.source.toggle()),
      w: () => this.setSpaces(!this.spaces),
      c: () => this.setColour(nextColour(this.model.row, this.model.colouring.by)),
      i: () => this.main.classList.toggle('wb-noinsp'),
      t: () => this.setTable(!this.isTable),
      '/': () => this.bar.openFind(),
      '?': () => this.frame.toggleHelp(),
      Escape: () => leaveTo(this.node)
    };
    const { signal } = this.listeners;
    obeyKeys(this.grid.node, actions, signal);
    obeyKeys(this.table.node, { ...actions, ArrowDown: () => step(1), ArrowUp: () => step(-1) }, signal);
    keepKeys(this.bar.node, signal);
    keepKeys(this.list.node, signal);
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
