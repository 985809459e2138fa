/** Why this type and not the next: evidence by column, what the neighbour would lose, and a question where two fit. */
import type { PickerState } from '../wire';
import { formatNumber, h, icon } from './component';
import type { Child, Trans } from './component';
import { findingCard } from './findingCard';
import { chosenType, names, sentence } from './pickerWords';
import type { TypeMatch } from './pickerWords';

const NEAREST = 2;

/** A type as a button that chooses it; `data-type` names it. */
function typeButton(match: TypeMatch, looks: 'wb-link' | 'wb-btn'): HTMLElement {
  return h(
    'button',
    { class: looks, type: 'button', title: match.label, 'data-type': match.name, 'data-key': `type-${match.name}` },
    match.name
  );
}

function evidenceItem(item: TypeMatch['evidence'][number]): HTMLElement {
  const role = item.role === null ? [] : [h('span', { class: 'wb-arr' }, ' → '), h('b', {}, item.role)];
  return h('li', { class: 'wb-for' }, icon('check'), h('span', { dir: 'auto' }, ...sentence(item.text), ...role));
}

function lacks(match: TypeMatch, trans: Trans): Child[] {
  return match.missing.length === 0
    ? []
    : [trans.__('; it lacks '), ...match.missing.flatMap((item, i) => [i === 0 ? '' : ', ', ...sentence(item)])];
}

/** The neighbour as a sentence that says what choosing it costs. */
function neighbour(match: TypeMatch, lead: string, trans: Trans): HTMLElement {
  const fits = match.rows > 0 ? trans.__(', %1 of %2 rows', formatNumber(match.rows), formatNumber(match.total)) : null;
  const loses = match.loses.length === 0 ? [] : [trans.__(', which would lose '), ...names(match.loses)];
  return h(
    'li',
    { class: 'wb-next' },
    icon('dash'),
    h('span', {}, lead, ' ', typeButton(match, 'wb-link'), fits, ...loses, ...lacks(match, trans))
  );
}

/** Two types fit alike: the reader is asked, and each answer says what it takes and leaves. */
function question(state: PickerState, asked: NonNullable<PickerState['question']>, trans: Trans): HTMLElement {
  const choices = asked.choices.flatMap(name => state.types.find(item => item.name === name) ?? []);
  const lines = choices.map(item => h('li', {}, h('code', {}, item.name), `: ${item.label}`, ...lacks(item, trans)));
  return h(
    'div',
    { class: 'wb-finding wb-which', role: 'group', 'aria-label': trans.__('Which type is it?') },
    icon('unknown'),
    h(
      'div',
      { dir: 'auto' },
      h('span', { class: 'wb-code-no' }, asked.finding.code),
      h('b', { class: 'wb-h' }, trans.__('Which type is it?')),
      h('p', {}, ...sentence(asked.finding.message)),
      h('ul', {}, ...lines),
      h('div', { class: 'wb-acts' }, ...choices.map(item => typeButton(item, 'wb-btn')))
    )
  );
}

/** Required roles that no column has, in words. */
export function absentRoles(state: PickerState, trans: Trans): HTMLElement | null {
  if (state.absent.length === 0) {
    return null;
  }
  const words = trans._n('No column is ', 'No columns are ', state.absent.length);
  return h(
    'div',
    { class: 'wb-finding wb-error wb-absent' },
    icon('cross'),
    h('div', {}, words, ...names(state.absent), trans.__(', which this type needs. Choose in the header of a column.'))
  );
}

/** Evidence for the chosen type and its neighbour; where nothing was detected, the nearest two. */
export function why(state: PickerState, trans: Trans): Child[] {
  const chosen = chosenType(state);
  const others = state.types.filter(item => item.name !== state.type);
  const near = others.filter(item => item.total > 0);
  const list =
    chosen === null
      ? near.slice(0, NEAREST).map(item => neighbour(item, trans.__('Nearest:'), trans))
      : [
          ...chosen.evidence.map(evidenceItem),
          ...chosen.missing.map(item =>
            h('li', { class: 'wb-against' }, icon('cross'), h('span', {}, ...sentence(item)))
          ),
          ...near.slice(0, 1).map(item => neighbour(item, trans.__('Next nearest:'), trans))
        ];
  const head = chosen === null ? trans.__('No type fits') : trans.__('Why %1', chosen.name);
  return [
    h('h4', { class: 'wb-h' }, head),
    chosen === null
      ? h('p', { class: 'wb-sub' }, trans.__('Choose a type and say which column is what.'))
      : h('p', { class: 'wb-sub', dir: 'auto' }, chosen.label),
    h('ul', {}, ...list),
    state.question === null ? null : question(state, state.question, trans),
    ...state.notices.map(item => findingCard(item, trans))
  ];
}
