/** Four figures and the verdict: what must fit, what is expected, what nvidia-smi will show, what is left. */
import { highest, middle, shownBytes, verdictOf } from '../memory/fitModel';
import type { Breakdown, FitWord, Span } from '../memory/fitModel';
import { h, icon } from './component';
import type { Trans } from './component';
import { momentWord, verdictWord, WORD_CLASS, WORD_ICON } from './fitBarWords';
import type { Unit } from './fitBarWords';

export interface Figures {
  readonly node: HTMLElement;
  draw(made: Breakdown, room: number | null): void;
}

interface Figure {
  readonly node: HTMLElement;
  draw(bytes: number, words: string, isOver: boolean): void;
}

function figure(unit: Unit): Figure {
  const value = document.createTextNode('');
  const words = h('span');
  const node = h('div', { class: 'wb-fig' }, h('b', {}, value, h('small', {}, unit.name)), words);
  return {
    node,
    draw: (bytes, text, isOver) => {
      value.data = unit.text(bytes, 1);
      words.textContent = text;
      node.classList.toggle('wb-over', isOver);
    }
  };
}

const between = (span: Span, unit: Unit): string =>
  span.low === span.high ? '' : ` (${unit.text(span.low, 1)}–${unit.text(span.high, 1)})`;

/** What is left of the card, or missing. */
function leftWords(word: FitWord, left: number, room: number, unit: Unit, trans: Trans): string {
  const free = unit.text(room, 1);
  if (left >= 0) {
    return trans.__('left of %1 free', free);
  }
  return word === 'no' ? trans.__('too much for the %1 free', free) : trans.__('over the %1 free, if kept', free);
}

/** The figures of a GPU, or of host memory, where nothing comes on top of what is alive. */
export function fitFigures(of: 'gpu' | 'host', unit: Unit, trans: Trans): Figures {
  const [live, expected, shown, left] = [figure(unit), figure(unit), figure(unit), figure(unit)];
  const node = h('div', { class: 'wb-figs' }, live.node, expected.node, shown.node, left.node);
  const isHost = of === 'host';
  expected.node.hidden = isHost;
  return {
    node,
    draw: (made, room) => {
      shown.node.hidden = isHost && made.context.high === 0;
      const at = momentWord(highest(made)?.name ?? '', trans);
      const context = made.context.high;
      live.draw(
        made.live,
        isHost ? trans.__('tensors alive, highest at: %1', at) : trans.__('hard minimum, at: %1', at),
        room !== null && made.live + context > room
      );
      const reserved = middle(made.reserved);
      expected.draw(
        reserved,
        trans.__('expected to reserve%1', between(made.reserved, unit)),
        room !== null && reserved > room
      );
      const smi = shownBytes(made);
      const span = { low: made.reserved.low + made.context.low, high: made.reserved.high + made.context.high };
      const told = between(span, unit);
      shown.draw(
        smi,
        isHost ? trans.__('the process will hold%1', told) : trans.__('nvidia-smi will show%1', told),
        room !== null && smi > room
      );
      left.node.hidden = room === null;
      if (room !== null) {
        const over = room - smi;
        left.draw(Math.abs(over), leftWords(verdictOf(made, room), over, room, unit, trans), over < 0);
      }
    }
  };
}

/** Icon and word of a verdict; a dashed badge where no card is known. */
export function verdictBadge(word: FitWord | null, trans: Trans): HTMLElement {
  return word === null
    ? h('span', { class: 'wb-badge wb-none' }, icon('unknown'), trans.__('no card chosen'))
    : h('span', { class: `wb-badge ${WORD_CLASS[word]}` }, icon(WORD_ICON[word]), verdictWord(word, trans));
}
