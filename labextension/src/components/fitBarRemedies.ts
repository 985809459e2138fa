/** What would make it fit: one change a line, with its saving, its cost, its code, and a button that applies it. */
import { changedArguments, changedFields, shareCut } from '../memory/fitChoice';
import type { FitChoice } from '../memory/fitChoice';
import type { FitWord } from '../memory/fitModel';
import type { Remedy, RemedyName, Together } from '../memory/remedies';
import type { FitTried } from '../wire/fit';
import { h, icon, on } from './component';
import type { Trans } from './component';
import { costWord, remedyWord, shortWord, WORD_CLASS, WORD_ICON } from './fitBarWords';
import type { Unit } from './fitBarWords';

/** Lines that are shown. */
const MOST = 5;

export interface Remedies {
  readonly node: HTMLElement;
  /** `together` are the fewest changes that fit, where no single one does. */
  draw(now: FitChoice, found: readonly Remedy[], word: FitWord | null, together: Together | null): void;
}

export interface RemediesProps {
  readonly tried: FitTried;
  readonly unit: Unit;
  /** Whether the figures above come from the closed form too. */
  readonly isFormula: boolean;
}

interface Line {
  readonly node: HTMLElement;
  /** `names`: of several changes at once. */
  draw(now: FitChoice, remedy: Remedy, largest: number, names?: readonly RemedyName[]): void;
}

const codeOfChange = (now: FitChoice, next: FitChoice): string =>
  [...changedFields(now, next), ...changedArguments(now, next)].map(([name, value]) => `${name}=${value}`).join(', ');

function line(
  tried: FitTried,
  unit: Unit,
  apply: (choice: FitChoice) => void,
  trans: Trans,
  signal: AbortSignal
): Line {
  const [name, cost, code, saving, result] = [
    h('span'),
    h('span', { class: 'wb-label' }),
    h('code'),
    h('span'),
    h('span')
  ];
  const bar = h('i', { 'aria-hidden': 'true' });
  const button = h('button', { class: 'wb-btn', type: 'button' }, trans.__('Apply'));
  const node = h(
    'li',
    { class: 'wb-fix' },
    h('div', {}, name, ', ', cost, h('span', { class: 'wb-sub' }, code)),
    h('div', { class: 'wb-save' }, saving, bar),
    result,
    button
  );
  let next: FitChoice | null = null;
  let word: FitWord | null | undefined;
  on(button, 'click', () => next !== null && apply(next), signal);
  return {
    node,
    draw: (now, remedy, largest, names) => {
      next = remedy.choice;
      name.textContent = (names ?? [remedy.name]).map(one => remedyWord({ ...remedy, name: one }, trans)).join(' + ');
      const cut = remedy.name === 'length' ? shareCut(tried, next.length) : null;
      cost.textContent = names === undefined ? costWord(remedy, cut, trans) : trans.__('together, the fewest that fit');
      code.textContent = codeOfChange(now, next);
      saving.textContent = `−${unit.text(remedy.saved, 1)} ${unit.name}`;
      bar.style.width = `${((100 * remedy.saved) / largest).toFixed(1)}%`;
      button.setAttribute('aria-label', trans.__('Apply: %1', name.textContent));
      const told = remedy.word === null ? '' : ` ${shortWord(remedy.word, trans)}`;
      if (word !== remedy.word) {
        result.className = `wb-to ${remedy.word === null ? '' : WORD_CLASS[remedy.word]}`.trim();
        result.replaceChildren(...(remedy.word === null ? [] : [icon(WORD_ICON[remedy.word])]), '');
        word = remedy.word;
      }
      const last = result.lastChild;
      if (last instanceof Text) {
        last.data = unit.text(remedy.shown, 1) + told;
      } else {
        result.append(unit.text(remedy.shown, 1) + told);
      }
    }
  };
}

export function fitRemedies(
  props: RemediesProps,
  apply: (choice: FitChoice) => void,
  trans: Trans,
  signal: AbortSignal
): Remedies {
  const { isFormula, tried, unit } = props;
  const heading = document.createTextNode('');
  const aside = h(
    'span',
    {},
    isFormula
      ? trans.__('one change each, largest saving first')
      : trans.__('one change each, by the closed form, largest saving first')
  );
  const none = h('p', { class: 'wb-none-needed' });
  const lines = Array.from({ length: MOST }, () => line(tried, unit, apply, trans, signal));
  const all = line(tried, unit, apply, trans, signal);
  const list = h('ul', { class: 'wb-list' }, ...lines.map(item => item.node), all.node);
  const node = h('div', { class: 'wb-fixes' }, h('h4', { class: 'wb-h' }, heading, aside), none, list);
  return {
    node,
    draw: (now, found, word, together) => {
      const isNeeded = word === 'no' || word === 'tight';
      heading.data = isNeeded ? trans.__('What would make it fit') : trans.__('What would free more');
      none.hidden = isNeeded && found.length > 0;
      none.textContent =
        found.length === 0
          ? trans.__('No single change here saves more.')
          : trans.__('Nothing needed. These would free more:');
      const largest = Math.max(1, found[0]?.saved ?? 0, together?.remedy.saved ?? 0);
      all.node.hidden = together === null;
      if (together !== null) {
        all.draw(now, together.remedy, largest, together.names);
      }
      lines.forEach((item, index) => {
        const remedy = found[index];
        item.node.hidden = remedy === undefined;
        if (remedy !== undefined) {
          item.draw(now, remedy, largest);
        }
      });
    }
  };
}
