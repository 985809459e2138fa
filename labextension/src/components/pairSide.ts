/** One part of a pair: the shared prompt, or what one side goes on with. */
import type { Pair, PairSide } from '../wire';
import { formatNumber, h, icon, on } from './component';
import type { Child, Trans } from './component';
import { rowModel } from './rowModel';
import type { RowModel } from './rowModel';
import { tokenGrid } from './tokenGrid';
import type { TokenGrid } from './tokenGrid';

export type PartName = 'prompt' | 'chosen' | 'rejected';
export const PARTS: readonly PartName[] = ['prompt', 'chosen', 'rejected'];

export interface PairPart {
  readonly node: HTMLElement;
  readonly grid: TokenGrid;
  readonly model: RowModel;
  show(pair: Pair): void;
  dispose(): void;
}

export interface PairPartProps {
  readonly pair: Pair;
  /** Nodes of the page that the tokens of the part may need. */
  nodes(name: PartName): number;
  onCurrent(name: PartName, token: number): void;
  onHover(name: PartName, token: number | null): void;
  toParting(): void;
}

function modelOf(pair: Pair, name: PartName): RowModel {
  return name === 'prompt' ? rowModel(pair.prompt) : rowModel(pair[name].row, pair[name].first);
}

function nameOf(name: PartName, trans: Trans): Child[] {
  switch (name) {
    case 'prompt':
      return [h('h4', { class: 'wb-h' }, trans.__('Shared prompt'))];
    case 'chosen':
      return [icon('check', 'wb-good-ico'), h('h4', { class: 'wb-h' }, trans.__('Chosen'))];
    case 'rejected':
      return [icon('cross', 'wb-bad-ico'), h('h4', { class: 'wb-h' }, trans.__('Rejected'))];
  }
}

function counts(side: PairSide, trans: Trans): Child[] {
  const dot = (): Child => h('span', { class: 'wb-sep' }, '·');
  return [
    h('b', {}, formatNumber(side.tokens)),
    ` ${trans._n('token', 'tokens', side.tokens)}`,
    dot(),
    h('b', {}, formatNumber(side.trained)),
    ` ${trans.__('trained')}`,
    dot(),
    side.truncated === 0
      ? trans.__('none truncated')
      : h('b', { class: 'wb-cutoff' }, trans.__('%1 truncated', formatNumber(side.truncated)))
  ];
}

/** Where the side parts from the other, in words: a button where it can be gone to. */
function parting(pair: Pair, side: PairSide, go: () => void, trans: Trans, signal: AbortSignal): Child {
  if (pair.first_token === null) {
    return h('span', { class: 'wb-sub' }, trans.__('same tokens as the other side'));
  }
  if (side.first === null) {
    return side.tokens <= pair.first_token
      ? h('span', { class: 'wb-sub' }, trans.__('ends where the sides part'))
      : null;
  }
  const button = h(
    'button',
    { class: 'wb-btn wb-quiet wb-first', type: 'button', title: trans.__('To the first difference (d)') },
    icon('differs'),
    trans.__('first difference at token %1', formatNumber(pair.first_token))
  );
  on(button, 'click', go, signal);
  return button;
}

export function pairPart(name: PartName, props: PairPartProps, trans: Trans): PairPart {
  const listeners = new AbortController();
  let model = modelOf(props.pair, name);
  const grid = tokenGrid(
    {
      model,
      nodes: () => props.nodes(name),
      onCurrent: token => props.onCurrent(name, token),
      onHover: token => props.onHover(name, token),
      onView: () => undefined
    },
    trans
  );
  const head = h('div', { class: 'wb-parthead' });
  const empty = h('p', { class: 'wb-more wb-sub' });
  const node = h('section', { class: `wb-part wb-part-${name}` }, head, empty, grid.node);
  const draw = (pair: Pair): void => {
    const words =
      name === 'prompt'
        ? [h('b', {}, formatNumber(pair.prompt_tokens)), ` ${trans._n('token', 'tokens', pair.prompt_tokens)}`]
        : counts(pair[name], trans);
    const first =
      name === 'prompt' ? null : parting(pair, pair[name], () => props.toParting(), trans, listeners.signal);
    head.replaceChildren(
      ...[...nameOf(name, trans), h('span', { class: 'wb-sub' }, ...words), first].filter(child => child !== null)
    );
    const title = name === 'prompt' ? trans.__('shared prompt') : name;
    grid.node.setAttribute('aria-label', trans.__('Tokens of %1, %2', title, pair.title));
    grid.node.hidden = model.length === 0;
    empty.hidden = model.length > 0;
    empty.textContent = name === 'prompt' ? trans.__('The sides share no prompt.') : trans.__('Nothing more.');
  };
  draw(props.pair);
  return {
    node,
    grid,
    get model() {
      return model;
    },
    show: pair => {
      model = modelOf(pair, name);
      grid.update(model);
      draw(pair);
    },
    dispose: () => {
      grid.dispose();
      listeners.abort();
    }
  };
}
