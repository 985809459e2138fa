/** Legend of the viewer and the list of its keys. */
import { h } from './component';
import type { Child, Trans } from './component';

function sample(names: string, text: string): HTMLElement {
  return h('span', { class: `wb-tok ${names}` }, text);
}

function entry(colour: string | null, ...children: Child[]): HTMLElement {
  return h('span', { class: 'wb-leg', ...(colour === null ? {} : { 'data-for': colour }) }, ...children);
}

export function legend(trans: Trans): HTMLElement {
  const key = (text: string): Child => h('span', { class: 'wb-kbd' }, text);
  return h(
    'footer',
    { class: 'wb-foot' },
    entry('trained', sample('wb-trained', trans.__('trained')), trans.__('fill and underline')),
    entry('trained', sample('wb-masked', trans.__('masked')), trans.__('plain')),
    entry(
      'role',
      sample('wb-lg1', trans.__('assistant')),
      sample('wb-lg2', trans.__('user')),
      sample('wb-lg3', trans.__('others')),
      trans.__('by underline')
    ),
    entry('source', sample('wb-lg1', trans.__('from your data')), sample('wb-lg3', trans.__('from the template'))),
    entry(null, sample('wb-special', trans.__('special'))),
    entry(null, sample('wb-bytes', 'e7 ae'), trans.__('part of a character')),
    h('span', { class: 'wb-spring' }),
    entry(null, key('←'), key('→'), trans.__('token'), key('/'), trans.__('find'), key('?'), trans.__('all keys'))
  );
}

/** Every key of the viewer with what it does; the text of `?`. */
export function keyHelp(trans: Trans): HTMLElement {
  const rows: readonly (readonly [string, string])[] = [
    ['← →', trans.__('token')],
    ['⇧ ← →', trans.__('message')],
    ['Home End', trans.__('first, last token')],
    ['j k', trans.__('next, previous row')],
    ['n', trans.__('next problem')],
    ['w', trans.__('spaces')],
    ['c', trans.__('colour by')],
    ['i', trans.__('inspector')],
    ['/', trans.__('find text or id')],
    ['?', trans.__('these keys')],
    ['Esc', trans.__('back to the cell')]
  ];
  return h(
    'dl',
    { class: 'wb-keys', 'aria-label': trans.__('Keys') },
    ...rows.map(([keys, what]) => h('div', {}, h('dt', {}, h('span', { class: 'wb-kbd' }, keys)), h('dd', {}, what)))
  );
}
