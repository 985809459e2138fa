/** Title, margin and verdict of a pair; keys of the card. */
import type { Pair, PairsPayload } from '../wire';
import { formatNumber, h, icon } from './component';
import type { Child, Trans } from './component';
import { agreementBadge } from './tokenHeader';
import type { BrowserWords } from './positionBrowser';

function problemBadge(pair: Pair, trans: Trans): HTMLElement {
  const serious = pair.findings.filter(item => item.severity !== 'info');
  if (serious.length === 0) {
    return h('span', { class: 'wb-badge wb-ok' }, icon('check'), trans.__('no problems'));
  }
  const words = trans._n('%1 problem', '%1 problems', serious.length);
  return serious.some(item => item.severity === 'error')
    ? h('span', { class: 'wb-badge wb-bad' }, icon('cross'), words)
    : h('span', { class: 'wb-badge wb-warn' }, icon('warning'), words);
}

/** Fill `node` with what there is to say about the pair. */
export function drawPairHeader(node: HTMLElement, payload: PairsPayload, pair: Pair, trans: Trans): void {
  const about = [payload.title, pair.type, payload.subtitle].filter(part => part !== '');
  node.replaceChildren(
    h('h3', { class: 'wb-title' }, pair.title),
    h('span', { class: 'wb-sub', dir: 'auto' }, about.join(', ')),
    h('span', { class: 'wb-spring' }),
    pair.margin === null
      ? ''
      : h('span', { class: 'wb-badge' }, icon('info'), trans.__('margin %1', formatNumber(pair.margin))),
    payload.badge === null ? '' : agreementBadge(payload.badge, trans),
    problemBadge(pair, trans)
  );
}

function sample(names: string, ...children: Child[]): HTMLElement {
  return h('span', { class: `wb-tok ${names}` }, ...children);
}

/** What the drawing means, and the keys used most. */
export function pairLegend(trans: Trans): HTMLElement {
  const key = (text: string): Child => h('span', { class: 'wb-kbd' }, text);
  const entry = (...children: Child[]): HTMLElement => h('span', { class: 'wb-leg' }, ...children);
  return h(
    'footer',
    { class: 'wb-foot' },
    entry(sample('wb-trained', trans.__('trained')), trans.__('fill and underline')),
    entry(sample('wb-masked', trans.__('masked')), trans.__('plain')),
    entry(sample('wb-parting', icon('differs')), trans.__('first difference')),
    entry(sample('wb-special', trans.__('special'))),
    h('span', { class: 'wb-spring' }),
    entry(key('↑'), key('↓'), trans.__('side'), key('d'), trans.__('difference'), key('?'), trans.__('all keys'))
  );
}

/** Every key of the pair card with what it does. */
export function pairKeyHelp(trans: Trans): HTMLElement {
  const rows: readonly (readonly [string, string])[] = [
    ['← →', trans.__('token')],
    ['⇧ ← →', trans.__('message')],
    ['Home End', trans.__('first, last token')],
    ['↑ ↓ Tab', trans.__('prompt, chosen, rejected')],
    ['d', trans.__('first difference')],
    ['j k', trans.__('next, previous pair')],
    ['n', trans.__('next pair with a problem')],
    ['w', trans.__('spaces')],
    ['i', trans.__('inspector')],
    ['?', trans.__('these keys')],
    ['Esc', trans.__('back to the cell')]
  ];
  return h(
    'dl',
    { class: 'wb-keys', 'aria-label': trans.__('Keys') },
    ...rows.map(([keys, what]) => h('div', {}, h('dt', {}, h('span', { class: 'wb-kbd' }, keys)), h('dd', {}, what)))
  );
}

/** What going from pair to pair can say. */
export function pairBrowserWords(trans: Trans): BrowserWords {
  return {
    empty: trans.__('the payload has no pair'),
    onlySaved: trans.__('Only the pairs saved in this output can be shown. Run the cell again to see others.'),
    noProblem: trans.__('No pair has a problem.'),
    onlyProblem: trans.__('This is the only pair with a problem.')
  };
}
