/**
 * The rows as a list: counts and length of each, sorted and filtered, one screen of them in the page.
 *
 * The kernel gives pages of rows; without one the rows of the output are listed.
 */
import type { ListedRow, RowsAnswer } from '../wire';
import { formatNumber, h, icon, on, uniqueId } from './component';
import type { Trans } from './component';
import { selector } from './tokenControls';
import type { ListQuery, SortBy } from './tokenRows';

/** Nodes that the list takes from the tokens while it is open. */
export const LIST_NODES = 160;
const PAGE = 100;
const HEIGHT = 24;
const SHOWN = 8;
const OVERSCAN = 1;
const TYPING_PAUSE = 200;

export interface RowListActions {
  /** A page of rows; null where it cannot be had. */
  load(start: number, count: number, query: ListQuery): Promise<RowsAnswer | null>;
  open(position: number): void;
  /** The list is done with. */
  close(): void;
}

export interface RowList {
  readonly node: HTMLElement;
  /** Show the list and give it the focus. */
  open(position: number): void;
  close(): void;
  /** Another kind of problem is looked for, or other rows are shown. */
  update(kind: ListQuery['kind']): void;
  dispose(): void;
}

class List {
  private readonly listeners = new AbortController();
  private readonly window = h('div', { class: 'wb-lwindow', role: 'presentation' });
  private readonly sizer = h('div', { class: 'wb-lsizer', role: 'presentation' }, this.window);
  private readonly box: HTMLElement;
  private readonly count = h('span', { class: 'wb-sub wb-num', role: 'status' });
  private readonly filter: HTMLInputElement;
  private readonly id = uniqueId('wb-row');
  private pages = new Map<number, readonly ListedRow[]>();
  private loading = new Set<number>();
  private query: ListQuery = { sort: 'index', kind: null, text: '' };
  private total = 0;
  private longest = 1;
  private active = 0;
  private shown = 0;
  private epoch = 0;
  private timer = 0;

  constructor(
    private readonly node: HTMLElement,
    private readonly actions: RowListActions,
    private readonly trans: Trans
  ) {
    const { signal } = this.listeners;
    this.filter = h('input', {
      class: 'wb-input wb-lfilter',
      type: 'search',
      placeholder: trans.__('Text, row or token id'),
      'aria-label': trans.__('Only rows with this text, row number or token id')
    });
    const sort = selector(trans.__('Sort by'), value => this.ask({ sort: value as SortBy }), signal);
    const orders: Readonly<Record<SortBy, string>> = {
      index: trans.__('index'),
      trained: trans.__('fewest trained'),
      longest: trans.__('longest')
    };
    sort.update(
      (Object.keys(orders) as SortBy[]).map(value => ({ value, words: orders[value] })),
      'index'
    );
    this.box = h('div', { class: 'wb-lbox', role: 'listbox', tabindex: 0, 'aria-label': trans.__('Rows') }, this.sizer);
    this.node.replaceChildren(
      h('div', { class: 'wb-bar wb-lbar' }, this.filter, sort.node, h('span', { class: 'wb-spring' }), this.count),
      this.box
    );
    this.listen(signal);
  }

  open(position: number): void {
    this.shown = position;
    this.box.focus();
  }

  update(kind: ListQuery['kind']): void {
    this.ask({ kind });
  }

  dispose(): void {
    window.clearTimeout(this.timer);
    this.listeners.abort();
    this.node.replaceChildren();
  }

  private listen(signal: AbortSignal): void {
    this.box.addEventListener('scroll', () => this.draw(), { signal, passive: true });
    on(this.box, 'keydown', event => this.press(event), signal);
    on(
      this.box,
      'click',
      event => {
        const item = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-at]') : null;
        if (item !== null) {
          this.active = Number(item.dataset['at']);
          this.choose();
        }
      },
      signal
    );
    on(
      this.filter,
      'input',
      () => {
        window.clearTimeout(this.timer);
        this.timer = window.setTimeout(() => this.ask({ text: this.filter.value }), TYPING_PAUSE);
      },
      signal
    );
    on(
      this.filter,
      'keydown',
      event => {
        if (event.key === 'Enter' || event.key === 'ArrowDown') {
          event.preventDefault();
          event.stopPropagation();
          this.box.focus();
        }
      },
      signal
    );
  }

  private press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      j: 1,
      k: -1,
      PageDown: SHOWN,
      PageUp: -SHOWN,
      Home: -this.total,
      End: this.total
    };
    const step = steps[event.key];
    if (step !== undefined) {
      this.move(this.active + step);
    } else if (event.key === 'Enter' || event.key === ' ') {
      this.choose();
    } else if (event.key === '/') {
      this.filter.focus();
    } else if (event.key === 'Escape' || event.key === 'l') {
      this.actions.close();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  private move(to: number): void {
    this.active = Math.max(0, Math.min(this.total - 1, to));
    const top = this.active * HEIGHT;
    const height = this.box.clientHeight || SHOWN * HEIGHT;
    if (top < this.box.scrollTop || top + HEIGHT > this.box.scrollTop + height) {
      this.box.scrollTop = top < this.box.scrollTop ? top : top + HEIGHT - height;
    }
    this.draw();
  }

  private choose(): void {
    const row = this.rowAt(this.active);
    if (row !== undefined) {
      this.shown = row.position;
      this.draw();
      this.actions.open(row.position);
    }
  }

  private ask(change: Partial<ListQuery>): void {
    this.query = { ...this.query, ...change };
    this.epoch += 1;
    this.pages = new Map();
    this.loading = new Set();
    this.active = 0;
    this.box.scrollTop = 0;
    void this.load(0);
  }

  private async load(page: number): Promise<void> {
    if (this.pages.has(page) || this.loading.has(page)) {
      return;
    }
    const { epoch } = this;
    this.loading.add(page);
    const answer = await this.actions.load(page * PAGE, PAGE, this.query);
    if (answer === null || epoch !== this.epoch) {
      return;
    }
    this.loading.delete(page);
    this.pages.set(page, answer.rows);
    this.total = answer.total;
    this.longest = Math.max(1, answer.longest);
    if (page === 0 && this.active === 0) {
      this.active = Math.max(
        0,
        answer.rows.findIndex(row => row.position === this.shown)
      );
    }
    this.count.textContent = this.trans._n('%2 row', '%2 rows', this.total, formatNumber(this.total));
    this.sizer.style.setProperty('height', `${this.total * HEIGHT}px`);
    this.move(this.active);
  }

  private rowAt(index: number): ListedRow | undefined {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  private draw(): void {
    const first = Math.max(0, Math.floor(this.box.scrollTop / HEIGHT) - OVERSCAN);
    const last = Math.min(this.total, first + SHOWN + 2 * OVERSCAN + 1);
    const items: HTMLElement[] = [];
    for (let index = first; index < last; index += 1) {
      items.push(this.item(index));
      if (this.rowAt(index) === undefined) {
        void this.load(Math.floor(index / PAGE));
      }
    }
    this.window.style.setProperty('transform', `translateY(${first * HEIGHT}px)`);
    this.window.replaceChildren(...items);
    if (this.total > 0 && this.active >= first && this.active < last) {
      this.box.setAttribute('aria-activedescendant', `${this.id}-${this.active}`);
    } else {
      this.box.removeAttribute('aria-activedescendant');
    }
  }

  private item(index: number): HTMLElement {
    const row = this.rowAt(index);
    const node = h('div', {
      class: `wb-litem${index === this.active ? ' wb-lactive' : ''}`,
      role: 'option',
      id: `${this.id}-${index}`,
      'data-at': index,
      'aria-posinset': index + 1,
      'aria-setsize': this.total,
      'aria-selected': String(row !== undefined && row.position === this.shown)
    });
    if (row === undefined) {
      node.append(this.trans.__('…'));
      return node;
    }
    node.setAttribute('aria-label', this.spoken(row));
    node.append(...this.cells(row));
    return node;
  }

  private spoken(row: ListedRow): string {
    const problems = this.trans._n('%1 problem', '%1 problems', row.problems);
    return this.trans.__(
      '%1: %2 tokens, %3 trained, %4',
      row.title,
      formatNumber(row.tokens),
      formatNumber(row.trained),
      problems
    );
  }

  private cells(row: ListedRow): readonly Node[] {
    const part = (value: number): string => `${((100 * value) / this.longest).toFixed(2)}%`;
    const bar = h('span', { class: 'wb-lbar2' });
    const trained = h('span', { class: 'wb-ltrained' });
    bar.style.setProperty('width', part(row.tokens));
    trained.style.setProperty('width', `${((100 * row.trained) / Math.max(1, row.tokens)).toFixed(2)}%`);
    bar.append(trained);
    const problems =
      row.problems === 0
        ? h('span', { class: 'wb-lprob' })
        : h('span', { class: 'wb-lprob' }, icon('warning'), formatNumber(row.problems));
    return [
      h('b', { class: 'wb-ltitle' }, row.title),
      h('span', { class: 'wb-ltrack' }, bar),
      h('span', { class: 'wb-num' }, this.trans.__('%1 tokens', formatNumber(row.tokens))),
      h('span', { class: 'wb-num' }, this.trans.__('%1 trained', formatNumber(row.trained))),
      problems
    ];
  }
}

/** The list is made when it is opened and gone when it is closed: a viewer has few nodes to spare. */
export function tokenRowList(actions: RowListActions, trans: Trans): RowList {
  const node = h('section', { class: 'wb-list', hidden: true, 'aria-label': trans.__('List of rows') });
  let list: List | null = null;
  let kind: ListQuery['kind'] = null;
  const close = (): void => {
    list?.dispose();
    list = null;
    node.hidden = true;
  };
  return {
    node,
    open: position => {
      node.hidden = false;
      if (list === null) {
        list = new List(node, actions, trans);
        list.open(position);
        list.update(kind);
      }
    },
    close,
    update: wanted => {
      if (wanted !== kind) {
        kind = wanted;
        list?.update(kind);
      }
    },
    dispose: close
  };
}
