/**
 * Tokens of an opened document with their positions or losses below: a page at a time, so that a long one stays light.
 *
 * One token has tabindex 0; keys are the card's business.
 */
import type { OpenedDocument } from '../wire';
import { formatNumber, h, on } from './component';
import type { Component, Trans } from './component';
import { rowModel } from './rowModel';
import type { RowModel } from './rowModel';
import { tokenElement } from './tokenElement';
import { spokenToken } from './tokenInspector';

/** What stands under each token. */
export type Under = 'position' | 'loss' | 'nothing';

export interface BatchTokens extends Component<OpenedDocument> {
  readonly model: RowModel;
  readonly current: number;
  go(token: number, focus: boolean): void;
  step(by: 1 | -1): void;
  under(what: Under): void;
  focus(): void;
}

export interface BatchTokensProps {
  readonly opened: OpenedDocument;
  onCurrent(token: number): void;
}

/** Tokens in the page at a time. */
const PAGE = 96;
/** Losses in nats at which the tint gets one step stronger. */
const LOSS_STEPS = [0.5, 1.5, 3, 5] as const;

export function lossStep(loss: number): number {
  return LOSS_STEPS.filter(step => loss >= step).length;
}

export function lossOf(model: RowModel, token: number): number | null {
  return model.row.measures['loss']?.[token] ?? null;
}

class Tokens {
  readonly node = h('div', { class: 'wb-pts' });
  model: RowModel;
  current = 0;
  private readonly line = h('div', { role: 'row', class: 'wb-prow' });
  private readonly grid = h('div', { role: 'grid', class: 'wb-pgrid' }, this.line);
  private readonly pager = h('div', { class: 'wb-pager' });
  private readonly listeners = new AbortController();
  private differences = new Map<number, string>();
  private page = 0;

  constructor(
    private readonly props: BatchTokensProps,
    private readonly trans: Trans
  ) {
    this.model = rowModel(props.opened.row);
    this.node.append(this.grid, this.pager);
    const { signal } = this.listeners;
    on(
      this.grid,
      'click',
      event => {
        const node = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-i]') : null;
        if (node !== null) {
          this.go(Number(node.dataset['i']), true);
        }
      },
      signal
    );
    this.show(props.opened);
  }

  dispose(): void {
    this.listeners.abort();
  }

  show(opened: OpenedDocument): void {
    this.model = rowModel(opened.row);
    this.grid.setAttribute('aria-label', this.trans.__('Tokens of %1', opened.row.title));
    const first = opened.row.tokens.position[0] ?? 0;
    this.differences = new Map();
    for (const item of opened.differences) {
      const words = this.trans.__('%1 planned %2, received %3', item.key, item.ours ?? '—', item.theirs ?? '—');
      const before = this.differences.get(item.token - first);
      this.differences.set(item.token - first, before === undefined ? words : `${before}; ${words}`);
    }
    this.current = Math.max(0, Math.min(this.model.length - 1, Math.min(...this.differences.keys(), Infinity)));
    this.current = this.differences.size === 0 ? 0 : this.current;
    this.page = Math.floor(this.current / PAGE);
    this.draw();
  }

  go(token: number, focus: boolean): void {
    if (this.model.length === 0) {
      return;
    }
    this.current = Math.max(0, Math.min(this.model.length - 1, token));
    const page = Math.floor(this.current / PAGE);
    if (page === this.page) {
      this.mark();
    } else {
      this.page = page;
      this.draw();
    }
    if (focus) {
      this.focus();
    }
    this.props.onCurrent(this.current);
  }

  focus(): void {
    this.line.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  }

  /** What reads out: the token, its position, its loss, what differs. */
  spoken(token: number): string {
    const loss = lossOf(this.model, token);
    const differs = this.differences.get(token);
    return [
      spokenToken(this.model, token, this.trans),
      this.trans.__('position %1', this.model.row.tokens.position[token] ?? token),
      ...(loss === null ? [] : [this.trans.__('loss %1', formatNumber(loss, 3))]),
      ...(differs === undefined ? [] : [differs])
    ].join(', ');
  }

  private draw(): void {
    const start = this.page * PAGE;
    const end = Math.min(this.model.length, start + PAGE);
    const nodes: HTMLElement[] = [];
    for (let token = start; token < end; token += 1) {
      nodes.push(this.tokenNode(token));
    }
    this.line.replaceChildren(...nodes);
    this.drawPager(start, end);
    this.mark();
  }

  private tokenNode(token: number): HTMLElement {
    const node = tokenElement(this.model, token, { skip: 0, keep: Infinity }, this.trans);
    const position = this.model.row.tokens.position[token] ?? token;
    const loss = lossOf(this.model, token);
    node.dataset['p'] = String(position);
    node.dataset['l'] = loss === null ? '–' : formatNumber(loss, loss < 10 ? 2 : 1);
    if (loss !== null) {
      node.dataset['step'] = String(lossStep(loss));
    }
    if (this.differences.has(token)) {
      node.classList.add('wb-tdiff');
    }
    return node;
  }

  private drawPager(start: number, end: number): void {
    const button = (words: string, to: number): HTMLElement => {
      const node = h('button', { class: 'wb-btn', type: 'button' }, words);
      on(node, 'click', () => this.go(to, true), this.listeners.signal);
      return node;
    };
    const left = this.model.length - end;
    this.pager.replaceChildren(
      ...(start > 0 ? [button(this.trans.__('%1 before', formatNumber(start)), Math.max(0, start - PAGE))] : []),
      ...(left > 0 ? [button(this.trans.__('%1 more tokens', formatNumber(left)), end)] : [])
    );
  }

  private mark(): void {
    for (const node of this.line.querySelectorAll<HTMLElement>('[data-i]')) {
      const token = Number(node.dataset['i']);
      const isCurrent = token === this.current;
      node.classList.toggle('wb-cur', isCurrent);
      node.tabIndex = isCurrent ? 0 : -1;
      if (isCurrent) {
        node.setAttribute('aria-label', this.spoken(token));
      } else {
        node.removeAttribute('aria-label');
      }
    }
  }
}

export function batchTokens(props: BatchTokensProps, trans: Trans): BatchTokens {
  const tokens = new Tokens(props, trans);
  tokens.node.dataset['under'] = 'position';
  return {
    node: tokens.node,
    get model() {
      return tokens.model;
    },
    get current() {
      return tokens.current;
    },
    go: (token, focus) => tokens.go(token, focus),
    step: by => tokens.go(tokens.current + by, true),
    under: what => {
      tokens.node.dataset['under'] = what;
    },
    focus: () => tokens.focus(),
    update: opened => tokens.show(opened),
    dispose: () => tokens.dispose()
  };
}
