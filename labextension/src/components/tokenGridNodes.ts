/** What stands between and around the lines of a grid: blocks, findings, borders of documents. */
import { formatNumber, h, icon } from './component';
import type { Trans } from './component';
import { findingCard } from './findingCard';
import { roleClass } from './rowModel';
import type { RowModel } from './rowModel';

/** A block with its label; its last child takes the lines. */
export function blockNode(model: RowModel, index: number, trans: Trans): HTMLElement {
  const block = model.blocks[index] ?? { role: null, message: null, start: 0, end: 0, trained: 0 };
  const { message, trained } = block;
  const count = formatNumber(block.end - block.start);
  const name = block.role ?? trans.__('template');
  const counts =
    trained === 0 ? trans.__('%1 masked', count) : trans.__('%1 of %2 trained', formatNumber(trained), count);
  return h(
    'div',
    {
      class: `wb-turn ${roleClass(block.role)}`,
      role: 'row',
      'aria-rowindex': index + 1,
      'aria-label': message === null ? `${name}, ${counts}` : trans.__('message %1, %2, %3', message, name, counts)
    },
    h(
      'div',
      { class: 'wb-gut', role: 'rowheader' },
      h(
        'div',
        { class: 'wb-stick', title: counts },
        h('b', { dir: 'auto' }, name),
        h('span', {}, trained > 0 ? icon('check') : null, counts)
      )
    ),
    h('div', { class: 'wb-flow', role: 'presentation' })
  );
}

/** The block's counts and name as they are now. */
export function relabelBlock(node: HTMLElement, model: RowModel, index: number, trans: Trans): void {
  const made = blockNode(model, index, trans);
  node.setAttribute('aria-label', made.getAttribute('aria-label') ?? '');
  const label = made.firstElementChild;
  if (label !== null) {
    node.firstElementChild?.replaceWith(label);
  }
}

export function findingNode(model: RowModel, index: number, trans: Trans): HTMLElement {
  const placed = model.placed[index];
  return h(
    'div',
    { class: 'wb-here', role: 'row' },
    h('div', { role: 'gridcell' }, placed === undefined ? null : findingCard(placed.finding, trans, true))
  );
}

/** Where a document of a packed row begins: its data row, its length, and the position that the model is given there. */
export function documentNode(model: RowModel, index: number, trans: Trans): HTMLElement {
  const item = model.row.documents[index] ?? { row: 0, start: 0, end: 0 };
  const position = model.row.tokens.position[item.start] ?? 0;
  const tokens = formatNumber(item.end - item.start);
  const words =
    position === 0
      ? trans.__('%1 tokens, positions restart at 0', tokens)
      : trans.__('%1 tokens, positions go on at %2', tokens, formatNumber(position));
  return h(
    'div',
    { class: 'wb-doc', role: 'row' },
    h(
      'div',
      { role: 'gridcell' },
      h('span', { class: 'wb-zero', 'aria-hidden': 'true' }, String(position)),
      h('b', {}, trans.__('Data row %1', formatNumber(item.row))),
      h('span', { class: 'wb-sub' }, words)
    )
  );
}

/** Put children in order without moving those that are in place, so that focus and selection stay. */
export function keepOrder(parent: HTMLElement, children: readonly HTMLElement[]): void {
  let next = parent.firstChild;
  for (const child of children) {
    if (child === next) {
      next = next.nextSibling;
    } else {
      parent.insertBefore(child, next);
    }
  }
}
