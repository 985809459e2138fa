/** The key of the bar: every kind with its pattern and size; the one pointed at shows its formula below. */
import { FIT_KINDS, partsOf } from '../memory/fitModel';
import type { Breakdown, FitKind, FitPart } from '../memory/fitModel';
import { formatNumber, h, on } from './component';
import type { Trans } from './component';
import { kindWord, size } from './fitBarWords';
import type { Unit } from './fitBarWords';
import { slug } from './fitBarStack';
import type { Kinds } from './fitBarStack';

/** Parts of a kind that are told in full; what is left is told by name and size. */
const TOLD = 1;

export interface Keys {
  readonly nodes: readonly HTMLElement[];
  draw(made: Breakdown, kinds: Kinds): void;
  /** Tell of a kind. */
  show(kind: FitKind): void;
}

function isKind(name: string | undefined): name is FitKind {
  return FIT_KINDS.some(kind => kind === name);
}

const inputs = (part: FitPart): string =>
  Object.entries(part.inputs)
    .map(([name, value]) => `${name} ${formatNumber(value)}`)
    .join(', ');

/** `12 V tokens = 5.9 GiB · vocab 128,256, tokens 4,096 · log_softmax in float32 …`. */
function told(part: FitPart): string {
  const formula = part.formula.replaceAll(' x ', ' × ');
  return [`${formula} = ${size(part.bytes)}`, inputs(part), part.source].filter(text => text !== '').join(' · ');
}

export function fitKeys(root: HTMLElement, unit: Unit, trans: Trans, signal: AbortSignal): Keys {
  const entries = FIT_KINDS.map(kind => {
    const value = h('b');
    const swatch = h('i', { class: `wb-k-${slug(kind)}`, 'aria-hidden': 'true' });
    const node = h(
      'button',
      { class: 'wb-key', type: 'button', 'data-k': kind, hidden: true },
      swatch,
      h('span', {}, kindWord(kind, trans, unit.of)),
      value
    );
    return { kind, node, value };
  });
  const list = h('div', { class: 'wb-keys', role: 'group', 'aria-label': trans.__('Kinds of memory, %1', unit.name) });
  list.append(...entries.map(entry => entry.node));
  const name = h('b');
  const words = document.createTextNode('');
  const formula = h('p', { class: 'wb-formula' }, name, words);
  let made: Breakdown | null = null;
  let kinds: Kinds | null = null;
  let shown: FitKind | null = null;

  const describe = (kind: FitKind): string => {
    if (kind === 'allocator') {
      return trans.__('blocks that the caching allocator holds beyond what is alive; middle of its interval');
    }
    if (kind === 'context') {
      return unit.of === 'host'
        ? trans.__('what the process holds beside tensors; middle of what was seen on this machine')
        : trans.__('driver and libraries, outside the allocator; middle of its interval');
    }
    const largest = made === null ? [] : partsOf(made, kind);
    if (largest.length === 0) {
      return trans.__('nothing at the highest moment');
    }
    const rest = largest.slice(TOLD).map(part => `${part.name} ${size(part.bytes)}`);
    return [...largest.slice(0, TOLD).map(told), ...rest].join(' · ');
  };
  const draw = (): void => {
    if (made === null || kinds === null) {
      return;
    }
    const there = kinds;
    shown ??= [...FIT_KINDS].sort((a, b) => there[b] - there[a])[0] ?? 'weights';
    name.textContent = `${kindWord(shown, trans, unit.of)}: `;
    words.data = describe(shown);
    entries.forEach(entry => entry.node.setAttribute('aria-pressed', String(entry.kind === shown)));
  };
  const point = (event: Event): void => {
    const found = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-k]') : null;
    const kind = found?.dataset['k'];
    if (isKind(kind) && kind !== shown) {
      shown = kind;
      draw();
    }
  };
  on(root, 'mouseover', point, signal);
  on(root, 'focusin', point, signal);
  on(root, 'click', point, signal);
  return {
    nodes: [list, formula],
    draw: (next, sizes) => {
      made = next;
      kinds = sizes;
      for (const { kind, node, value } of entries) {
        // what was there once stays, so that nothing jumps while a slider moves
        node.hidden = node.hidden && sizes[kind] <= 0;
        value.textContent = unit.text(sizes[kind]);
      }
      draw();
    },
    show: kind => {
      shown = kind;
      draw();
    }
  };
}
