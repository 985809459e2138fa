/** Try another mask: what is trained, which stop tokens are; nothing is encoded anew until the code is run. */
import { h, on } from './component';
import type { Trans } from './component';
import { selector } from './tokenControls';
import type { Policy } from './tokenRows';

const TRAIN_ON = ['assistant', 'last_assistant', 'completion', 'all'] as const;
const TRAIN_ON_EOS = ['turn', 'all', 'last', 'none'] as const;

export interface PolicyBar {
  readonly node: HTMLElement;
  update(state: { readonly policy: Policy | null; readonly isTrying: boolean; readonly busy: boolean }): void;
  changed(words: string): void;
}

export function policyBar(choose: (policy: Policy | null) => void, trans: Trans, signal: AbortSignal): PolicyBar {
  let policy: Policy | null = null;
  const pick = (part: Partial<Policy>): void => {
    if (policy !== null) {
      choose({ ...policy, ...part });
    }
  };
  const trained = selector('train_on', train_on => pick({ train_on }), signal);
  const stops = selector('train_on_eos', train_on_eos => pick({ train_on_eos }), signal);
  const back = h('button', { class: 'wb-btn', type: 'button', hidden: true }, trans.__('Back to what is encoded'));
  const said = h('span', { class: 'wb-sub wb-said', role: 'status' });
  on(
    back,
    'click',
    () => {
      choose(null);
      trained.select.focus();
    },
    signal
  );
  const node = h('span', { class: 'wb-grp wb-policy' }, trained.node, stops.node, back, said);
  const options = (values: readonly string[]): { value: string; words: string }[] =>
    values.map(value => ({ value, words: value }));
  return {
    node,
    update: state => {
      policy = state.policy;
      node.hidden = policy === null;
      back.hidden = !state.isTrying;
      if (policy === null) {
        return;
      }
      trained.update(options(TRAIN_ON), policy.train_on);
      stops.update(options(TRAIN_ON_EOS), policy.train_on_eos);
    },
    changed: words => {
      said.textContent = words;
    }
  };
}
