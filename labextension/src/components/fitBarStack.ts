/** The stacked bar: kinds of memory over what a card has free, the part that is over it hatched. */
import { FIT_KINDS } from '../memory/fitModel';
import type { FitKind } from '../memory/fitModel';
import { h } from './component';
import type { Trans } from './component';
import { kindWord } from './fitBarWords';
import type { Unit } from './fitBarWords';

export type Kinds = Readonly<Record<FitKind, number>>;

export interface StackProps {
  readonly label: string;
  /** Percent of the width that a character of a name needs. */
  readonly each: number;
  /** Names of kinds where they mean something else. */
  readonly names?: Readonly<Partial<Record<FitKind, string>>>;
}

const TICKS = 8;

export interface Stack {
  readonly node: HTMLElement;
  draw(kinds: Kinds, room: number | null, top: number): void;
}

export const slug = (kind: FitKind): string => kind.replace(' ', '-');

const setWidth = (node: HTMLElement, percent: number): void => {
  const width = `${percent.toFixed(3)}%`;
  if (node.style.width !== width) {
    node.style.width = width;
  }
};

const setLeft = (node: HTMLElement, percent: number): void => {
  node.style.left = `${percent.toFixed(3)}%`;
};

/** Put a name behind the mark that would strike it through, where there is room; all in percent of the bar's width. */
function setStart(name: HTMLElement, mark: number | null, width: number, needed: number): void {
  const struck = mark !== null && mark > 0 && mark < needed && mark + needed < width;
  const left = struck ? `${((100 * mark) / width + 1).toFixed(2)}%` : '';
  if (name.style.left !== left) {
    name.style.left = left;
  }
}

/** Kinds side by side, to scale; `top` is the number of bytes at the right end. */
export function fitStack(props: StackProps, unit: Unit, trans: Trans): Stack {
  const word = (kind: FitKind): string => props.names?.[kind] ?? kindWord(kind, trans, unit.of);
  const segments = FIT_KINDS.map(kind => {
    const name = h('span', { class: 'wb-lb' }, word(kind));
    return { kind, name, node: h('div', { class: `wb-s wb-k-${slug(kind)}`, 'data-k': kind }, name) };
  });
  const over = h('div', { class: 'wb-overlay' });
  const limit = h('div', { class: 'wb-limit' });
  const node = h('div', { class: 'wb-stack', role: 'img' }, ...segments.map(item => item.node), over, limit);
  return {
    node,
    draw: (kinds, room, top) => {
      let sum = 0;
      const said: string[] = [];
      const mark = room === null ? null : (100 * room) / top;
      for (const { kind, node: segment, name } of segments) {
        const percent = (100 * kinds[kind]) / top;
        setStart(name, mark === null ? null : mark - (100 * sum) / top, percent, props.each * (2 + word(kind).length));
        sum += kinds[kind];
        segment.hidden = kinds[kind] <= 0;
        setWidth(segment, percent);
        segment.classList.toggle('wb-tiny', percent < props.each * (2 + word(kind).length));
        if (kinds[kind] > 0) {
          said.push(`${word(kind)} ${unit.text(kinds[kind])}`);
        }
      }
      limit.hidden = room === null;
      over.hidden = room === null || sum <= room;
      if (room !== null) {
        setLeft(limit, (100 * room) / top);
        setLeft(over, (100 * room) / top);
        setWidth(over, (100 * Math.max(0, sum - room)) / top);
      }
      node.setAttribute('aria-label', trans.__('%1, %2: %3', props.label, unit.name, said.join(', ')));
    }
  };
}

/** 1, 2 or 5 times a power of ten, so that there are at most TICKS of them. */
function stepOf(top: number): number {
  const rough = top / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find(factor => factor * power >= rough) ?? 10) * power || 1;
}

/** Numbers under the bar, and how much the card has free. */
export function fitScale(
  unit: Unit,
  trans: Trans
): { readonly node: HTMLElement; draw(room: number | null, top: number): void } {
  const node = h('div', { class: 'wb-scale', 'aria-hidden': 'true' });
  let drawn = '';
  return {
    node,
    draw: (room, top) => {
      const key = `${room} ${top}`;
      if (key === drawn) {
        return;
      }
      drawn = key;
      const step = stepOf(top / unit.bytes);
      const digits = step < 1 ? Math.ceil(-Math.log10(step)) : 0;
      const ticks: HTMLElement[] = [];
      for (let value = 0; value * unit.bytes < top * 0.985; value += step) {
        const percent = (100 * value * unit.bytes) / top;
        if (room === null || value === 0 || Math.abs(percent - (100 * room) / top) > 8) {
          const tick = h('span', { class: value === 0 ? 'wb-nought' : '' }, unit.text(value * unit.bytes, digits));
          setLeft(tick, percent);
          ticks.push(tick);
        }
      }
      if (room !== null) {
        const mark = h('span', { class: 'wb-lim' }, trans.__('%1 %2 free', unit.text(room, 1), unit.name));
        setLeft(mark, Math.max(6, Math.min(93, (100 * room) / top)));
        ticks.push(mark);
      }
      node.replaceChildren(...ticks);
    }
  };
}
