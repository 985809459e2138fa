/** How to get what a colour needs and the row does not have, with its line of Python. */
import { codeLine } from './codeLine';
import { h } from './component';
import type { Component, Trans } from './component';
import { colourName } from './tokenColours';
import type { ColourBy } from './tokenColours';

export interface Hint {
  readonly node: HTMLElement;
  show(by: ColourBy, name: string, row: number | null): void;
  hide(): void;
  dispose(): void;
}

function wordsFor(by: ColourBy, trans: Trans): string {
  return by === 'document'
    ? trans.__('Documents are what a packed batch is made of. This row is one by itself.')
    : trans.__(
        '%1 is what a model makes of each token; this row has not been scored. A model is a path, a hub id or a live one:',
        colourName(by, trans)
      );
}

function codeFor(by: ColourBy, name: string, row: number | null): string {
  const which = row === null ? '' : `[${row}]`;
  return by === 'document'
    ? `${name}.batches()[0]`
    : `${name}${which}.score(model${by === 'base_delta' ? ', base=other' : ''})`;
}

export function colourHint(trans: Trans): Hint {
  const node = h('div', { class: 'wb-hint', role: 'status', hidden: true });
  let code: Component<string> | null = null;
  const hide = (): void => {
    code?.dispose();
    code = null;
    node.hidden = true;
    node.replaceChildren();
  };
  return {
    node,
    show: (by, name, row) => {
      code?.dispose();
      code = codeLine({ code: codeFor(by, name, row) }, trans);
      node.replaceChildren(h('p', {}, wordsFor(by, trans)), code.node);
      node.hidden = false;
    },
    hide,
    dispose: hide
  };
}
