/** A bar that goes through numbered things: previous, number, next, next problem, keys. */
import { formatNumber, h, icon, on } from './component';
import type { Child, Component, Trans } from './component';

export interface StepState {
  readonly position: number;
  readonly count: number;
  readonly busy: boolean;
}

export interface StepWords {
  /** What is counted: `Pair`, `Group`. */
  readonly one: string;
  readonly previous: string;
  readonly next: string;
}

export interface StepProps {
  readonly words: StepWords;
  readonly more: readonly Child[];
  step(by: 1 | -1): void;
  goTo(position: number): void;
  nextProblem(): void;
  keys(): void;
}

export function stepBar(props: StepProps, trans: Trans): Component<StepState> {
  const { words } = props;
  const listeners = new AbortController();
  const button = (label: string, name: 'previous' | 'next'): HTMLButtonElement =>
    h('button', { class: 'wb-btn wb-quiet wb-icon', type: 'button', 'aria-label': label, title: label }, icon(name));
  const previous = button(words.previous, 'previous');
  const next = button(words.next, 'next');
  const number = h('input', { class: 'wb-input wb-rowno', inputmode: 'numeric', 'aria-label': words.one });
  const count = h('span', { class: 'wb-sub' });
  const problem = h('button', { class: 'wb-btn wb-nextp', type: 'button' }, icon('warning'), trans.__('Next problem'));
  const keys = h('button', { class: 'wb-btn wb-quiet', type: 'button' }, trans.__('Keys'));
  const { signal } = listeners;
  on(previous, 'click', () => props.step(-1), signal);
  on(next, 'click', () => props.step(1), signal);
  on(problem, 'click', () => props.nextProblem(), signal);
  on(keys, 'click', () => props.keys(), signal);
  on(number, 'change', () => props.goTo(Number.parseInt(number.value, 10)), signal);
  const node = h(
    'div',
    { class: 'wb-bar' },
    h('span', { class: 'wb-rowpick' }, previous, h('span', { class: 'wb-label' }, words.one), number, count, next),
    problem,
    ...props.more,
    h('span', { class: 'wb-spring' }),
    keys
  );
  return {
    node,
    update: ({ position, count: total, busy }) => {
      number.value = String(position);
      count.textContent = trans.__('of %1', formatNumber(total));
      previous.disabled = busy || position <= 0;
      next.disabled = busy || position >= total - 1;
      number.disabled = busy || total <= 1;
      problem.disabled = busy;
      node.setAttribute('aria-busy', String(busy));
    },
    dispose: () => listeners.abort()
  };
}
