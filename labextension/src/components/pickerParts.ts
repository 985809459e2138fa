/** Parts of the data picker that show and do not listen: evidence, table of roles, first row rendered. */
import type { PickerState } from '../wire';
import { formatNumber, h, icon } from './component';
import type { Child, Trans } from './component';
import { findingCard } from './findingCard';

const MOST_COUNTER_EXAMPLES = 2;
/** Share of rows from which a detected type needs no warning; rows that do not fit are shown anyway. */
const ENOUGH = 0.99;

type TypeMatch = PickerState['types'][number];

/** Evidence is a sentence with column names in backticks. */
export function sentence(text: string): Child[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part));
}

function evidenceItem(text: string): HTMLElement {
  return h('li', {}, icon('check'), h('span', { dir: 'auto' }, ...sentence(text)));
}

/** A type that could be meant, as a button that chooses it; `data-type` names it. */
function alternative(match: TypeMatch, lead: string, trans: Trans): HTMLElement {
  const link = h(
    'button',
    { class: 'wb-link', type: 'button', 'data-type': match.name, 'data-key': `type-${match.name}` },
    match.label
  );
  const fits = trans.__('%1 of %2 rows', formatNumber(match.rows), formatNumber(match.total));
  const missing = match.missing.flatMap((item, index) => [index === 0 ? '; ' : ', ', ...sentence(item)]);
  return h('li', {}, icon('dash'), h('span', {}, lead, ' ', link, `, ${fits}`, ...missing));
}

/** The best type beside the chosen one; where nothing was detected, the nearest two. */
export function evidence(state: PickerState, trans: Trans): HTMLElement {
  const chosen = state.types.find(item => item.name === state.type) ?? null;
  const others = state.types.filter(item => item.name !== state.type);
  const examples = state.counter_examples.slice(0, MOST_COUNTER_EXAMPLES);
  const list =
    chosen === null
      ? others.slice(0, 2).map(item => alternative(item, trans.__('Nearest:'), trans))
      : [
          ...chosen.evidence.map(evidenceItem),
          ...chosen.missing.map(item => h('li', {}, icon('cross'), h('span', {}, ...sentence(item)))),
          ...others.slice(0, 1).map(item => alternative(item, trans.__('Next nearest:'), trans))
        ];
  return h(
    'div',
    { class: examples.length > 0 ? 'wb-why wb-whytwo' : 'wb-why' },
    h(
      'div',
      {},
      h('h4', { class: 'wb-h' }, chosen === null ? trans.__('No type fits') : trans.__('Why %1', chosen.label)),
      h('ul', {}, ...list)
    ),
    examples.length === 0 ? null : h('div', {}, ...examples.map(item => findingCard(item, trans)))
  );
}

export function typeBadge(state: PickerState, trans: Trans): HTMLElement {
  const chosen = state.types.find(item => item.name === state.type);
  if (chosen === undefined) {
    return h('span', { class: 'wb-badge wb-bad' }, icon('cross'), trans.__('Not detected'));
  }
  const rows = trans.__('%1 of %2 rows', formatNumber(chosen.rows), formatNumber(chosen.total));
  if (state.chosen_by === 'you') {
    return h('span', { class: 'wb-badge wb-info' }, icon('check'), trans.__('You chose, %1', rows));
  }
  const fits = chosen.rows >= chosen.total * ENOUGH;
  return h(
    'span',
    { class: fits ? 'wb-badge wb-ok' : 'wb-badge wb-warn' },
    icon(fits ? 'check' : 'warning'),
    trans.__('Detected, %1', rows)
  );
}

function roleSelect(column: PickerState['columns'][number], roles: readonly string[], trans: Trans): HTMLSelectElement {
  const select = h('select', {
    class: 'wb-select',
    'data-column': column.name,
    'data-key': `role-${column.name}`,
    'aria-label': trans.__('Role of column %1', column.name)
  });
  const known = column.role === null || roles.includes(column.role) ? roles : [...roles, column.role];
  select.append(
    ...known.map(role => h('option', { value: role, selected: role === column.role }, role)),
    h('option', { value: '', selected: column.role === null }, trans.__('not used'))
  );
  return select;
}

/** First rows with a selector of the role in each header. */
export function roleTable(state: PickerState, trans: Trans): HTMLElement {
  const used = (index: number): string => (state.columns[index]?.role == null ? 'wb-unused' : 'wb-used');
  const heads = state.columns.map((column, index) =>
    h(
      'th',
      { scope: 'col', class: used(index) },
      roleSelect(column, state.roles, trans),
      h('b', { dir: 'auto' }, column.name),
      h('span', { class: 'wb-sub' }, column.kind)
    )
  );
  const cell = (value: string | null, index: number): HTMLElement =>
    h(
      'td',
      { class: used(index) },
      value === null || value === ''
        ? h('p', { class: 'wb-empty' }, value === null ? trans.__('null') : trans.__('empty'))
        : h('p', { dir: 'auto' }, value)
    );
  const rows = state.preview.map((cells, index) =>
    h('tr', {}, h('th', { scope: 'row' }, formatNumber(state.row_numbers[index] ?? index)), ...cells.map(cell))
  );
  return h(
    'div',
    { class: 'wb-tscroll wb-sec', tabindex: 0, role: 'region', 'aria-label': trans.__('First rows') },
    h(
      'table',
      { class: 'wb-tab' },
      h('caption', { class: 'wb-vh' }, trans.__('First rows; each column has a role')),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, h('span', { class: 'wb-vh' }, trans.__('Row'))), ...heads)),
      h('tbody', {}, ...rows)
    )
  );
}

/** The first row as the template renders it; what is trained is marked. */
export function renderedRow(state: PickerState, trans: Trans): HTMLElement {
  if (state.rendered === null) {
    return h('p', { class: 'wb-sub' }, trans.__('Choose a type and a template to see a row rendered.'));
  }
  const pieces = state.rendered.pieces.map(piece => h(piece.trained ? 'mark' : 'span', {}, piece.text));
  const label = trans.__('Row %1 rendered', formatNumber(state.row_numbers[0] ?? 0));
  return h(
    'div',
    {},
    h('pre', { class: 'wb-prev', tabindex: 0, dir: 'auto', 'aria-label': label }, ...pieces),
    h(
      'span',
      { class: 'wb-sub' },
      trans.__('Row %1; ', formatNumber(state.row_numbers[0] ?? 0)),
      h('u', {}, trans.__('underlined')),
      trans.__(' is trained.')
    )
  );
}
