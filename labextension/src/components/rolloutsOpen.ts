/** The open completion: its tokens, each with its advantage, beside the inspector. */
import type { Completion, RolloutsPayload } from '../wire';
import { formatNumber, h } from './component';
import type { Trans } from './component';
import { rowModel } from './rowModel';
import type { RowModel } from './rowModel';
import { advantageWords, signed, signOf } from './rolloutsWords';
import { plainColouring, valueOf } from './tokenColours';
import { tokenGrid } from './tokenGrid';
import type { TokenGrid } from './tokenGrid';
import { tokenInspector } from './tokenInspector';

const NO_TEMPLATE = null;
/** For the tokens; table, prompt and what is around them have the rest of a thousand. */
const NODES = 300;

/** Coloured by the sign of each token's own advantage; one for the whole completion where tokens have none. */
function modelOf(completion: Completion): RowModel {
  const { row, advantage } = completion;
  return {
    ...rowModel(row),
    colouring: {
      ...plainColouring,
      classOf: token => `wb-tadv-${signOf(valueOf(row, 'advantage', token) ?? advantage)}`
    }
  };
}

/** Whether tokens of the completion have advantages of their own. */
function differsByToken(completion: Completion): boolean {
  const given = (completion.row.measures['advantage'] ?? []).filter(value => value !== null);
  return new Set(given).size > 1;
}

export interface OpenCompletion {
  readonly node: HTMLElement;
  readonly grid: TokenGrid;
  readonly model: RowModel;
  show(completion: Completion): void;
  inspector(shown: boolean): void;
  dispose(): void;
}

export function openCompletion(completion: Completion, payload: () => RolloutsPayload, trans: Trans): OpenCompletion {
  let model = modelOf(completion);
  const inspector = tokenInspector(trans);
  const inspect = (token: number): void =>
    inspector.update({ model, token, payload: { template: NO_TEMPLATE, reasons: payload().reasons } });
  const grid = tokenGrid(
    {
      model,
      onCurrent: inspect,
      onHover: token => inspect(token ?? grid.current),
      onView: () => undefined,
      nodes: () => NODES
    },
    trans
  );
  const head = h('div', { class: 'wb-parthead' });
  const empty = h('p', { class: 'wb-more wb-sub' }, trans.__('This completion has no tokens.'));
  const main = h('div', { class: 'wb-main' }, h('div', { class: 'wb-part' }, empty, grid.node), inspector.node);
  const node = h('section', { class: 'wb-opened' }, head, main);
  const draw = (shown: Completion): void => {
    const sign = signOf(shown.advantage);
    node.dataset['adv'] = sign;
    node.setAttribute('aria-label', trans.__('Tokens of completion %1', shown.index));
    grid.node.setAttribute('aria-label', trans.__('Tokens of completion %1', shown.index));
    grid.node.hidden = model.length === 0;
    empty.hidden = model.length > 0;
    head.replaceChildren(
      h('h4', { class: 'wb-h' }, trans.__('Completion %1', shown.index)),
      h('span', { class: `wb-adv wb-adv-${sign}` }, signed(shown.advantage)),
      h(
        'span',
        { class: 'wb-sub' },
        differsByToken(shown)
          ? trans.__('mean; each token has an advantage of its own')
          : advantageWords(shown.advantage, trans)
      ),
      h(
        'span',
        { class: 'wb-sub' },
        h('b', {}, formatNumber(shown.tokens)),
        ` ${trans._n('token', 'tokens', shown.tokens)}, `,
        h('b', {}, formatNumber(shown.trained)),
        ` ${trans.__('in the loss')}`
      )
    );
    inspect(grid.current);
  };
  draw(completion);
  return {
    node,
    grid,
    get model() {
      return model;
    },
    show: shown => {
      model = modelOf(shown);
      grid.update(model);
      draw(shown);
    },
    inspector: shown => main.classList.toggle('wb-noinsp', !shown),
    dispose: () => {
      grid.dispose();
      inspector.dispose();
    }
  };
}
