/**
 * The row as a table of its tokens, for readers who go by rows and columns; a page of it at a time.
 *
 * It has the viewer's current token; arrows go from token to token and over the edges of a page.
 */
import { textOf } from './byteGroups';
import { visiblePieces } from './characters';
import { formatNumber, h, on } from './component';
import type { Trans } from './component';
import { fieldOf, reasonOf, roleOf } from './rowModel';
import type { RowModel } from './rowModel';

const PAGE = 30;

export interface TokenTable {
  readonly node: HTMLElement;
  show(model: RowModel, token: number): void;
  hide(): void;
  focus(): void;
  dispose(): void;
}

function shownText(model: RowModel, token: number): string {
  const bytes = model.row.tokens.bytes[token];
  return typeof bytes === 'string'
    ? bytes
    : visiblePieces(textOf(model.row, token))
        .map(piece => piece.shown)
        .join('');
}

function cellsOf(model: RowModel, token: number, trans: Trans): readonly string[] {
  const { tokens } = model.row;
  const trained = tokens.trained[token] === 1;
  return [
    shownText(model, token),
    String(tokens.id[token] ?? ''),
    trained ? String(tokens.id[token] ?? '') : '−100',
    trained ? trans.__('trained') : trans.__('masked'),
    roleOf(model.row, token) ?? trans.__('none'),
    reasonOf(model.row, token),
    fieldOf(model.row, token) ?? trans.__('template')
  ];
}

export function tokenTable(go: (token: number) => void, trans: Trans): TokenTable {
  const listeners = new AbortController();
  const { signal } = listeners;
  const columns = [
    trans.__('Index'),
    trans.__('Text'),
    trans.__('Id'),
    trans.__('Label'),
    trans.__('Trained'),
    trans.__('Role'),
    trans.__('Rule'),
    trans.__('Field')
  ];
  const body = h('tbody');
  const caption = h('caption', { class: 'wb-vh' });
  const table = h(
    'table',
    { class: 'wb-ttable' },
    caption,
    h('thead', {}, h('tr', {}, ...columns.map(name => h('th', { scope: 'col' }, name)))),
    body
  );
  const pager = (words: string, by: number): HTMLButtonElement => {
    const button = h('button', { class: 'wb-btn', type: 'button' }, words);
    on(button, 'click', () => go(Math.max(0, Math.min(model === null ? 0 : model.length - 1, first + by))), signal);
    return button;
  };
  const previous = pager(trans.__('Previous tokens'), -PAGE);
  const next = pager(trans.__('Next tokens'), PAGE);
  const place = h('span', { class: 'wb-sub wb-num', role: 'status' });
  const parts = [h('div', { class: 'wb-tscroll' }, table), h('div', { class: 'wb-bar' }, previous, place, next)];
  const node = h('div', { class: 'wb-tview', hidden: true });
  let model: RowModel | null = null;
  let first = 0;
  let current = 0;
  on(
    body,
    'click',
    event => {
      const row = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-i]') : null;
      if (row !== null) {
        go(Number(row.dataset['i']));
      }
    },
    signal
  );

  const line = (shown: RowModel, token: number): HTMLElement => {
    const cells = cellsOf(shown, token, trans);
    const row = h(
      'tr',
      { 'data-i': token, 'aria-rowindex': token + 2, tabindex: token === current ? 0 : undefined },
      h('th', { scope: 'row' }, String(token)),
      ...cells.map((text, index) => h('td', index === 0 ? { class: 'wb-mono', dir: 'auto' } : {}, text))
    );
    row.classList.toggle('wb-trained', shown.row.tokens.trained[token] === 1);
    row.classList.toggle('wb-cur', token === current);
    return row;
  };
  return {
    node,
    hide: () => {
      node.hidden = true;
      node.replaceChildren();
    },
    show: (shown, token) => {
      const hadFocus = body.contains(document.activeElement);
      if (node.hidden) {
        node.hidden = false;
        node.append(...parts);
      }
      model = shown;
      current = token;
      first = Math.floor(token / PAGE) * PAGE;
      const end = Math.min(shown.length, first + PAGE);
      const tokens = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
      table.setAttribute('aria-rowcount', String(shown.length + 1));
      caption.textContent = trans.__('Tokens of %1', shown.row.title);
      body.replaceChildren(...tokens.map(index => line(shown, index)));
      place.textContent = trans.__(
        'tokens %1 to %2 of %3',
        formatNumber(first),
        formatNumber(Math.max(first, end - 1)),
        formatNumber(shown.length)
      );
      previous.disabled = first === 0;
      next.disabled = end >= shown.length;
      if (hadFocus) {
        body.querySelector<HTMLElement>('[tabindex]')?.focus();
      }
    },
    focus: () => body.querySelector<HTMLElement>('[tabindex]')?.focus(),
    dispose: () => listeners.abort()
  };
}
