/**
 * What every component is made of: plain DOM, no framework, no Jupyter.
 *
 * A component is a function `(props, trans) => { node, update, dispose }`. Text reaches the page through text nodes only,
 * because the text of a dataset is hostile.
 */

export interface Component<T> {
  readonly node: HTMLElement;
  /** Show another value; keeps focus and scroll where the value allows it. */
  update(value: T): void;
  /** Remove every listener and observer. */
  dispose(): void;
}

/** The part of JupyterLab's `TranslationBundle` that components use; placeholders are `%1`, `%2`, … */
export interface Trans {
  __(msgid: string, ...args: (string | number)[]): string;
  _n(msgid: string, plural: string, n: number, ...args: (string | number)[]): string;
}

function fill(text: string, args: readonly (string | number)[]): string {
  return text.replace(/%(\d+)/g, (whole, digits: string) => {
    const value = args[Number(digits) - 1];
    return value === undefined ? whole : String(value);
  });
}

/** English, for hosts without a translator. `%1` of a plural is its number. */
export const english: Trans = {
  __: (msgid, ...args) => fill(msgid, args),
  _n: (msgid, plural, n, ...args) => fill(n === 1 ? msgid : plural, [n, ...args])
};

export type Child = Node | string | null;

export interface Attributes {
  readonly class?: string;
  readonly [name: string]: string | number | boolean | undefined;
}

function setAttributes(node: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) {
      continue;
    }
    node.setAttribute(name, value === true ? '' : String(value));
  }
}

/** Make an element; strings become text nodes. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  node.append(...children.filter(child => child !== null));
  return node;
}

/** Make an SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(node, attributes);
  node.append(...children.filter(child => child !== null));
  return node;
}

const ICONS = {
  check: 'M2.5 7.2l3 3 6-6.6',
  cross: 'M3.5 3.5l7 7M10.5 3.5l-7 7',
  warning: 'M7 1.8l5.6 10H1.4zM7 5.6v3M7 10.2v.1',
  info: 'M7 1.5a5.5 5.5 0 1 0 .01 0M7 6.4v4M7 3.9v.1',
  dash: 'M3 7h8',
  differs: 'M2.5 5h9M2.5 9h9M9.5 2l-5 10',
  unknown: 'M4.8 5a2.3 2.3 0 1 1 3.3 2.1c-.8.4-1.1.8-1.1 1.6M7 11.2v.1',
  previous: 'M9 3L4.5 7 9 11',
  next: 'M5 3l4.5 4L5 11',
  code: 'M4.5 3.5L1.5 7l3 3.5M9.5 3.5l3 3.5-3 3.5'
} as const;

export type IconName = keyof typeof ICONS;

/** A decorative icon; the word beside it carries the meaning. */
export function icon(name: IconName, extra = ''): SVGSVGElement {
  return svg(
    'svg',
    { class: `wb-ico ${extra}`.trim(), viewBox: '0 0 14 14', 'aria-hidden': 'true' },
    svg('path', { d: ICONS[name] })
  );
}

/** Listen until the signal aborts. */
export function on<K extends keyof HTMLElementEventMap>(
  node: HTMLElement,
  type: K,
  listener: (event: HTMLElementEventMap[K]) => void,
  signal: AbortSignal
): void {
  node.addEventListener(type, listener, { signal });
}

/** A number as the reader's language writes it. */
export function formatNumber(value: number, digits?: number): string {
  return new Intl.NumberFormat(
    undefined,
    digits === undefined ? {} : { minimumFractionDigits: digits, maximumFractionDigits: digits }
  ).format(value);
}

/** `71 %`; below one percent with a decimal, so that a small share is not shown as none. */
export function formatShare(part: number, whole: number): string {
  const share = whole === 0 ? 0 : part / whole;
  return new Intl.NumberFormat(undefined, {
    style: 'percent',
    maximumFractionDigits: share > 0 && share < 0.01 ? 1 : 0
  }).format(share);
}

/** Bytes in decimal units, as file managers and disks count. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${formatNumber(value, unit === 0 || value >= 100 ? 0 : 1)} ${units[unit] ?? 'B'}`;
}

/** A polite live region that readers hear and nobody sees. */
export function liveRegion(): { readonly node: HTMLElement; say(text: string): void } {
  const node = h('div', { class: 'wb-vh', role: 'status', 'aria-live': 'polite' });
  return {
    node,
    say: text => {
      node.textContent = text;
    }
  };
}

let lastId = 0;

/** An id that is unique in the page, for `aria-controls`, `for` and SVG references. */
export function uniqueId(prefix: string): string {
  lastId += 1;
  return `${prefix}-${lastId}-${Math.random().toString(36).slice(2, 7)}`;
}

/** DOM nodes of a part of the page: elements and texts, itself included. */
export function nodesIn(node: Node): number {
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_ALL);
  let count = 1;
  while (walker.nextNode() !== null) {
    count += 1;
  }
  return count;
}
