/** What the template can be relied on for, failing properties first; each opens what shows that it does not hold. */
import type { TemplateProperty } from '../wire';
import { formatNumber, h, icon, on, uniqueId } from './component';
import type { Child, Component, IconName, Trans } from './component';
import { drawText } from './xrayText';

type State = TemplateProperty['state'];
type Counter = NonNullable<TemplateProperty['counter']>;

const SIGNS: Readonly<Record<State, { readonly icon: IconName; readonly class: string }>> = {
  fails: { icon: 'cross', class: 'wb-bad' },
  lacks: { icon: 'dash', class: 'wb-none' },
  unknown: { icon: 'unknown', class: 'wb-none' },
  holds: { icon: 'check', class: 'wb-ok' }
};

/** Characters around the first difference. */
const BEFORE = 24;
const BEHIND = 90;

function words(name: string, state: State, trans: Trans): string {
  const said: Readonly<Record<string, readonly [string, string]>> = {
    prefix_preserving: [trans.__('Prefix-preserving'), trans.__('Not prefix-preserving')],
    prompt_is_prefix: [trans.__('Prompt agrees'), trans.__('Prompt differs from training')],
    stop: [trans.__('Stop trained'), trans.__('Stop not trained')],
    generation: [trans.__('Markers'), trans.__('No markers')],
    system: [trans.__('System role'), trans.__('No system role')],
    tools: [trans.__('Tools'), trans.__('No tools')],
    same_as_plain: [trans.__('Same as plain'), trans.__('Differs from plain')]
  };
  const [holds, not] = said[name] ?? [name, name];
  switch (state) {
    case 'holds':
      return holds;
    case 'unknown':
      return trans.__('%1: not seen', holds);
    default:
      return name === 'prompt_is_prefix' && state === 'lacks' ? trans.__('No generation prompt') : not;
  }
}

function snippet(text: string, at: number | null): HTMLElement {
  const shown = h('code', { dir: 'auto' });
  if (at === null) {
    drawText(text.length > BEHIND * 4 ? `${text.slice(0, BEHIND * 4)}…` : text, shown, '');
    return shown;
  }
  const points = [...text];
  const from = Math.max(0, at - BEFORE);
  const before = h('span', {});
  drawText(`${from > 0 ? '…' : ''}${points.slice(from, at).join('')}`, before, '');
  const mark = h('mark', {});
  const end = at + BEHIND;
  drawText(`${points.slice(at, end).join('')}${points.length > end ? '…' : ''}`, mark, '');
  if (points.length <= at) {
    mark.append('∎');
  }
  shown.append(before, mark);
  return shown;
}

function place(counter: Counter, onLine: (line: number) => void, signal: AbortSignal, trans: Trans): Child {
  const { line, at } = counter;
  if (line === null) {
    return at === null ? null : h('span', {}, trans.__('First difference at character %1. ', formatNumber(at)));
  }
  const link = h('button', { class: 'wb-link', type: 'button' }, trans.__('line %1', line));
  on(link, 'click', () => onLine(line), signal);
  const lead =
    at === null ? trans.__('Made by ') : trans.__('First difference at character %1, made by ', formatNumber(at));
  return h('span', {}, lead, link, '. ');
}

function example(
  property: TemplateProperty,
  onLine: (line: number) => void,
  signal: AbortSignal,
  trans: Trans
): HTMLElement {
  const { counter } = property;
  const row = (name: string, text: string): HTMLElement =>
    h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, snippet(text, counter?.at ?? null)));
  return h(
    'div',
    { class: `wb-ce wb-ce-${property.state}` },
    h('p', {}, h('b', { class: 'wb-h' }, property.says)),
    counter === null
      ? null
      : h(
          'table',
          {},
          h('caption', { class: 'wb-vh' }, trans.__('Counter-example')),
          row(counter.first, counter.first_text),
          row(counter.second, counter.second_text)
        ),
    counter === null ? null : h('p', { class: 'wb-ce-n' }, place(counter, onLine, signal, trans), counter.means)
  );
}

export function xrayBadges(
  props: { readonly properties: readonly TemplateProperty[]; onLine(line: number): void },
  trans: Trans
): Component<readonly TemplateProperty[]> {
  const listeners = new AbortController();
  const { signal } = listeners;
  const row = h('div', { class: 'wb-props', role: 'group', 'aria-label': trans.__('Properties of the template') });
  const details = h('div', { id: uniqueId('wb-ce') });
  const node = h('div', {}, row, details);
  let open: string | null = null;
  let shown: readonly TemplateProperty[] = [];
  const draw = (): void => {
    row.replaceChildren(
      ...shown.map(property => {
        const sign = SIGNS[property.state];
        const isOpen = open === property.name;
        const badge = h(
          'button',
          {
            class: `wb-badge ${sign.class}`,
            type: 'button',
            'aria-expanded': String(isOpen),
            'aria-controls': details.id,
            title: property.says,
            'data-property': property.name
          },
          icon(sign.icon),
          words(property.name, property.state, trans)
        );
        on(badge, 'click', () => toggle(property.name), signal);
        return badge;
      })
    );
    const property = shown.find(item => item.name === open);
    details.replaceChildren(...(property === undefined ? [] : [example(property, props.onLine, signal, trans)]));
    node.hidden = shown.length === 0;
  };
  const toggle = (name: string): void => {
    open = open === name ? null : name;
    draw();
    row.querySelector<HTMLElement>(`[data-property="${name}"]`)?.focus();
  };
  const update = (properties: readonly TemplateProperty[]): void => {
    shown = properties;
    draw();
  };
  open = props.properties.find(property => property.state === 'fails')?.name ?? null;
  update(props.properties);
  return { node, update, dispose: () => listeners.abort() };
}
