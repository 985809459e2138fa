/** Legend of the viewer and the list of its keys. */
import type { TokensPayload } from '../wire';
import { h } from './component';
import type { Child, Trans } from './component';
import type { RowModel } from './rowModel';
import { groupClass, isMeasure, letterOf, reasonsIn, stepsOf } from './tokenColours';

function sample(names: string, text: string): HTMLElement {
  return h('span', { class: `wb-tok ${names}` }, text);
}

function entry(...children: Child[]): HTMLElement {
  return h('span', { class: 'wb-leg' }, ...children);
}

const MOST_DOCUMENTS = 12;

function grouped(index: number, mark: string, words: string): HTMLElement {
  return entry(h('span', { class: `wb-tok ${groupClass(index)}` }, h('sup', { class: 'wb-mk' }, mark), words));
}

/** What the colours of a mode mean; one entry for each thing that is in the row. */
function meanings(model: RowModel, payload: TokensPayload, trans: Trans): readonly Node[] {
  const { by } = model.colouring;
  if (isMeasure(by)) {
    const words = { loss: trans.__('nats'), probability: '', base_delta: trans.__('nats'), advantage: '' }[by];
    const steps = stepsOf(by, trans).map(step => sample(`wb-trained ${step.class}`, step.words));
    return [entry(...steps, words), entry(sample('wb-masked', trans.__('masked')), trans.__('plain'))];
  }
  switch (by) {
    case 'trained':
      return [
        entry(sample('wb-trained', trans.__('trained')), trans.__('fill and underline')),
        entry(sample('wb-masked', trans.__('masked')), trans.__('plain'))
      ];
    case 'role':
      return [
        entry(
          sample('wb-lg1', trans.__('assistant')),
          sample('wb-lg2', trans.__('user')),
          sample('wb-lg3', trans.__('others')),
          trans.__('by underline')
        )
      ];
    case 'source':
      return [entry(sample('wb-lg1', trans.__('from your data')), sample('wb-lg3', trans.__('from the template')))];
    case 'document':
      return model.row.documents
        .slice(0, MOST_DOCUMENTS)
        .map((item, index) => grouped(index, String(index + 1), trans.__('data row %1', item.row)));
    case 'reason':
      return reasonsIn(model.row).map((reason, index) => {
        const name = model.row.tables.reason[reason] ?? '';
        const node = grouped(index, letterOf(index), name.replace(/_/g, ' '));
        node.title = payload.reasons[name] ?? '';
        return node;
      });
  }
}

export interface Legend {
  readonly node: HTMLElement;
  update(model: RowModel, payload: TokensPayload): void;
}

export function legend(trans: Trans): Legend {
  const key = (text: string): Child => h('span', { class: 'wb-kbd' }, text);
  const mode = h('span', { class: 'wb-legs' });
  const node = h(
    'footer',
    { class: 'wb-foot' },
    mode,
    entry(sample('wb-special', trans.__('special'))),
    entry(sample('wb-bytes', 'e7 ae'), trans.__('part of a character')),
    h('span', { class: 'wb-spring' }),
    entry(key('←'), key('→'), trans.__('token'), key('/'), trans.__('find'), key('?'), trans.__('all keys'))
  );
  return { node, update: (model, payload) => mode.replaceChildren(...meanings(model, payload, trans)) };
}

/** Every key of the viewer with what it does; the text of `?`. */
export function keyHelp(trans: Trans): HTMLElement {
  const rows: readonly (readonly [string, string])[] = [
    ['← →', trans.__('token')],
    ['⇧ ← →', trans.__('message')],
    ['Home End', trans.__('first, last token')],
    ['j k', trans.__('next, previous row')],
    ['l', trans.__('list of rows')],
    ['n', trans.__('next problem')],
    ['p', trans.__('batch or data row')],
    ['w', trans.__('spaces')],
    ['c', trans.__('colour by')],
    ['i', trans.__('inspector')],
    ['t', trans.__('table')],
    ['/', trans.__('find text or id')],
    ['⏎ ⇧⏎', trans.__('next, previous place found')],
    ['?', trans.__('these keys')],
    ['Esc', trans.__('back to the cell')]
  ];
  return h(
    'dl',
    { class: 'wb-keys', 'aria-label': trans.__('Keys') },
    ...rows.map(([keys, what]) => h('div', {}, h('dt', {}, h('span', { class: 'wb-kbd' }, keys)), h('dd', {}, what)))
  );
}
