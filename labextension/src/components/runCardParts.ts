/** Small pieces that the parts of the run card share. */

import { formatNumber, h, on, svg } from './component';
import type { Trans } from './component';
import type { FeedView } from '../runs/feed';
import type { StateName } from '../runs/state';

/** What a part of the card draws: the run, and how the card hears of it. */
export interface CardView extends Omit<FeedView, 'connection'> {
  /** `saved`: only the notebook's own copy is shown. */
  readonly connection: FeedView['connection'] | 'saved';
}

/** A part of the card; `update` changes text and attributes, never rebuilds what did not change. */
export interface Part {
  readonly node: HTMLElement;
  update(view: CardView): void;
}

const PATHS = {
  play: 'M4 2.5v9l7.5-4.5z',
  pause: 'M4.5 3v8M9.5 3v8',
  stop: 'M3.5 3.5h7v7h-7z',
  save: 'M2.5 2.5h7l2 2v7h-9zM4.5 2.5v3h4v-3M4.5 11.5v-3h5v3',
  sample: 'M7 1.5v3M7 9.5v3M1.5 7h3M9.5 7h3M3.2 3.2l2 2M8.8 8.8l2 2M3.2 10.8l2-2M8.8 5.2l2-2',
  open: 'M3 5l4 4.5L11 5',
  closed: 'M5 3l4.5 4L5 11',
  check: 'M2.5 7.2l3 3 6-6.6',
  cross: 'M3.2 3.2l7.6 7.6M10.8 3.2l-7.6 7.6',
  clock: 'M7 1.7a5.3 5.3 0 1 0 .01 0M7 4v3.2l2.2 1.4',
  warning: 'M7 1.8l5.6 10H1.4zM7 5.6v3M7 10.2v.1',
  code: 'M4.5 3.5L1.5 7l3 3.5M9.5 3.5l3 3.5-3 3.5'
} as const;

export type RunIcon = keyof typeof PATHS;

/** A decorative icon whose shape can change without a new element. */
export function runIcon(name: RunIcon): { node: SVGSVGElement; set(name: RunIcon): void } {
  const path = svg('path', { d: PATHS[name] });
  const node = svg('svg', { class: 'wb-ico', viewBox: '0 0 14 14', 'aria-hidden': 'true' }, path);
  return { node, set: next => setAttribute(path, 'd', PATHS[next]) };
}

/** A real button with an icon and a word. */
export function iconButton(
  name: RunIcon,
  label: string,
  press: () => void,
  signal: AbortSignal,
  extra = ''
): HTMLButtonElement {
  const node = h('button', { class: `wb-btn ${extra}`.trim(), type: 'button' }, runIcon(name).node, label);
  on(node, 'click', press, signal);
  return node;
}

/** A real button with a word. */
export function textButton(
  label: string,
  press: () => void,
  signal: AbortSignal,
  className = 'wb-btn'
): HTMLButtonElement {
  const node = h('button', { class: className, type: 'button' }, label);
  on(node, 'click', press, signal);
  return node;
}

/** Write only what changed: an untouched text node keeps a reader's selection. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/** Write only what changed. */
export function setAttribute(node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) {
    node.setAttribute(name, value);
  }
}

/** `1.42`; small and large values with three significant digits. */
export function formatLoss(value: number | null): string {
  if (value === null) {
    return '–';
  }
  const size = Math.abs(value);
  return size >= 0.1 && size < 1000
    ? formatNumber(value, size < 10 ? 2 : 1)
    : new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3, notation: 'scientific' })
        .format(value)
        .toLowerCase();
}

/** `1.9e-4`. */
export function formatRate(value: number): string {
  return value === 0
    ? '0'
    : new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2, notation: 'scientific' })
        .format(value)
        .toLowerCase();
}

/** `5.3 k`. */
export function formatCount(value: number): string {
  return value < 1000 ? formatNumber(value, value < 10 ? 1 : 0) : `${formatNumber(value / 1000, 1)} k`;
}

/** Bytes in GiB, the unit of graphics cards. */
export function formatGib(bytes: number): string {
  return formatNumber(bytes / 2 ** 30, bytes < 2 ** 30 ? 2 : 1);
}

/** `9 min 41 s`, `2 h 5 min`. */
export function formatDuration(seconds: number, trans: Trans): string {
  const whole = Math.round(seconds);
  if (whole < 60) {
    return trans.__('%1 s', whole);
  }
  if (whole < 3600) {
    return trans.__('%1 min %2 s', Math.floor(whole / 60), whole % 60);
  }
  return trans.__('%1 h %2 min', Math.floor(whole / 3600), Math.floor((whole % 3600) / 60));
}

/** `3 min left`; coarse, because it is an estimate. */
export function formatLeft(seconds: number, trans: Trans): string {
  if (seconds < 60) {
    return trans.__('%1 s left', Math.max(1, Math.round(seconds)));
  }
  if (seconds < 5400) {
    return trans.__('%1 min left', Math.round(seconds / 60));
  }
  return trans.__('%1 h left', formatNumber(seconds / 3600, 1));
}

export interface StateWords {
  readonly word: string;
  readonly icon: RunIcon;
  readonly tone: 'run' | 'wait' | 'ok' | 'bad';
}

/** The state as an icon and a word. */
export function stateWords(state: StateName, step: number, trans: Trans): StateWords {
  switch (state) {
    case 'queued':
      return { word: trans.__('Queued'), icon: 'clock', tone: 'wait' };
    case 'starting':
      return { word: trans.__('Starting'), icon: 'clock', tone: 'run' };
    case 'running':
      return { word: trans.__('Running'), icon: 'play', tone: 'run' };
    case 'pausing':
      return { word: trans.__('Pausing'), icon: 'pause', tone: 'wait' };
    case 'paused':
      return { word: trans.__('Paused'), icon: 'pause', tone: 'wait' };
    case 'stopping':
      return { word: trans.__('Stopping'), icon: 'stop', tone: 'wait' };
    case 'stopped':
      return { word: trans.__('Stopped at step %1', step), icon: 'stop', tone: 'wait' };
    case 'completed':
      return { word: trans.__('Finished'), icon: 'check', tone: 'ok' };
    case 'failed':
      return { word: trans.__('Failed at step %1', step), icon: 'cross', tone: 'bad' };
    case 'died':
      return { word: trans.__('Died at step %1', step), icon: 'cross', tone: 'bad' };
  }
}

/** Python string literal; JSON's escapes are Python's too, but for text outside the BMP, which JSON leaves as it is. */
export function pythonString(text: string): string {
  return JSON.stringify(text);
}
