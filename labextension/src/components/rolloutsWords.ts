/** Numbers, verdicts and keys of the rollouts card, in words. */
import type { Completion, RolloutGroup, RolloutsPayload } from '../wire';
import { formatNumber, h, icon } from './component';
import type { Child, Trans } from './component';
import type { BrowserWords } from './positionBrowser';

/** `+0.84`, `−1.20`, `0.00`: the sign is always there but for nothing. */
export function signed(value: number | null): string {
  if (value === null) {
    return '–';
  }
  const rounded = formatNumber(Math.abs(value), 2);
  return Math.abs(value) < 0.005 ? rounded : `${value > 0 ? '+' : '−'}${rounded}`;
}

export function reward(value: number | null): string {
  return value === null ? '–' : new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 }).format(value);
}

export type Sign = 'plus' | 'minus' | 'zero';

export function signOf(value: number | null): Sign {
  return value === null || Math.abs(value) < 0.005 ? 'zero' : value > 0 ? 'plus' : 'minus';
}

/** What the advantage does to the tokens of a completion. */
export function advantageWords(value: number | null, trans: Trans): string {
  switch (signOf(value)) {
    case 'plus':
      return trans.__('made likelier');
    case 'minus':
      return trans.__('made less likely');
    case 'zero':
      return value === null ? trans.__('no advantage') : trans.__('left as it is');
  }
}

export function endedNode(completion: Completion, trans: Trans): HTMLElement {
  switch (completion.ended) {
    case 'stop':
      return h('span', { class: 'wb-ended' }, icon('check', 'wb-good-ico'), trans.__('stop token'));
    case 'cut':
      return h(
        'span',
        { class: 'wb-ended wb-cutoff' },
        icon('warning'),
        completion.trained === 0 ? trans.__('cut, left out') : trans.__('cut')
      );
    case 'unknown':
      return h('span', { class: 'wb-ended' }, icon('unknown'), trans.__('not known'));
  }
}

export function textOf(completion: Completion): string {
  const { text, bytes } = completion.row.tokens;
  return text.map((piece, index) => (bytes[index] === null ? piece : `[${bytes[index] ?? ''}]`)).join('');
}

function badge(state: string, name: 'check' | 'warning', words: string): HTMLElement {
  return h('span', { class: `wb-badge ${state}` }, icon(name), words);
}

/** Fill `node` with what there is to say about all groups. */
export function drawRolloutsHeader(node: HTMLElement, payload: RolloutsPayload, trans: Trans): void {
  const { totals } = payload;
  const bold = (value: number): Child => h('b', {}, formatNumber(value));
  const dot = (): Child => h('span', { class: 'wb-sep' }, '·');
  const generated = totals.completions > 0;
  node.replaceChildren(
    h('h3', { class: 'wb-title' }, payload.title),
    h('span', { class: 'wb-sub', dir: 'auto' }, payload.subtitle),
    h('span', { class: 'wb-spring' }),
    h(
      'span',
      { class: 'wb-counts wb-sub' },
      bold(totals.groups),
      ` ${trans._n('prompt', 'prompts', totals.groups)}`,
      dot(),
      bold(totals.completions),
      ` ${trans._n('completion', 'completions', totals.completions)}`,
      dot(),
      bold(totals.tokens),
      ` ${trans._n('token', 'tokens', totals.tokens)}`
    ),
    totals.flat > 0
      ? badge('wb-warn', 'warning', trans._n('%1 group of equal rewards', '%1 groups of equal rewards', totals.flat))
      : '',
    totals.cut > 0 ? badge('wb-warn', 'warning', trans.__('%1 cut', formatNumber(totals.cut))) : '',
    generated && totals.flat + totals.cut === 0 ? badge('wb-ok', 'check', trans.__('no problems')) : ''
  );
}

/** Mean and spread of the rewards of a group. */
export function groupWords(group: RolloutGroup, trans: Trans): string {
  if (group.completions.length === 0) {
    return trans._n('%1 completion will be generated', '%1 completions will be generated', group.planned);
  }
  const count = trans._n('%1 completion', '%1 completions', group.completions.length);
  return group.mean === null
    ? count
    : trans.__('%1, reward %2 ± %3 (mean, standard deviation)', count, reward(group.mean), reward(group.std));
}

export function rolloutsLegend(trans: Trans): HTMLElement {
  const key = (text: string): Child => h('span', { class: 'wb-kbd' }, text);
  const entry = (...children: Child[]): HTMLElement => h('span', { class: 'wb-leg' }, ...children);
  const bar = (sign: Sign, text: string): Child => h('span', { class: `wb-adv wb-adv-${sign}` }, text);
  return h(
    'footer',
    { class: 'wb-foot' },
    entry(bar('plus', '+'), trans.__('made likelier')),
    entry(bar('minus', '−'), trans.__('made less likely')),
    entry(bar('zero', '0'), trans.__('nothing learned')),
    h('span', { class: 'wb-spring' }),
    entry(key('↑'), key('↓'), trans.__('completion'), key('j'), trans.__('next prompt'), key('?'), trans.__('all keys'))
  );
}

export function rolloutsKeyHelp(trans: Trans): HTMLElement {
  const rows: readonly (readonly [string, string])[] = [
    ['↑ ↓', trans.__('completion')],
    ['← →', trans.__('token')],
    ['Home End', trans.__('first, last')],
    ['Enter', trans.__('to the tokens of the completion')],
    ['j k', trans.__('next, previous prompt')],
    ['n', trans.__('next prompt with a problem')],
    ['s', trans.__('by advantage, as generated')],
    ['w', trans.__('spaces')],
    ['i', trans.__('inspector')],
    ['?', trans.__('these keys')],
    ['Esc', trans.__('from tokens to the list, then to the cell')]
  ];
  return h(
    'dl',
    { class: 'wb-keys', 'aria-label': trans.__('Keys') },
    ...rows.map(([keys, what]) => h('div', {}, h('dt', {}, h('span', { class: 'wb-kbd' }, keys)), h('dd', {}, what)))
  );
}

/** What going from prompt to prompt can say. */
export function rolloutsBrowserWords(trans: Trans): BrowserWords {
  return {
    empty: trans.__('the payload has no prompt'),
    onlySaved: trans.__('Only the prompts saved in this output can be shown. Run the cell again to see others.'),
    noProblem: trans.__('No prompt has a problem.'),
    onlyProblem: trans.__('This is the only prompt with a problem.')
  };
}
