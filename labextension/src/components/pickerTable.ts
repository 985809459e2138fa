/** The first rows, with a selector of the role in the header of each column. */
import type { PickerState } from '../wire';
import { formatNumber, h } from './component';
import type { Child, Trans } from './component';
import { cellNode } from './pickerWords';

function roleSelect(column: PickerState['columns'][number], state: PickerState, trans: Trans): HTMLSelectElement {
  const select = h('select', {
    class: 'wb-select',
    'data-column': column.name,
    'data-key': `role-${column.name}`,
    'aria-label': trans.__('Role of column %1', column.name)
  });
  const roles = state.roles.map(role => role.name);
  const known = column.role === null || roles.includes(column.role) ? roles : [...roles, column.role];
  select.append(
    ...known.map(role => h('option', { value: role, selected: role === column.role }, role)),
    h('option', { value: '', selected: column.role === null }, trans.__('not used'))
  );
  return select;
}

/** First rows; a used column has a bar and a solid frame, an unused one a dashed frame. */
export function roleTable(state: PickerState, trans: Trans): Child[] {
  const used = (index: number): string => (state.columns[index]?.role == null ? 'wb-unused' : 'wb-used');
  const heads = state.columns.map((column, index) =>
    h(
      'th',
      { scope: 'col', class: used(index) },
      state.roles.length === 0 ? null : roleSelect(column, state, trans),
      h('b', { dir: 'auto' }, column.name),
      h('span', { class: 'wb-sub' }, column.kind)
    )
  );
  const rows = state.preview.map((cells, index) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, formatNumber(state.row_numbers[index] ?? index)),
      ...cells.map((cell, column) => h('td', { class: used(column) }, cellNode(cell, trans)))
    )
  );
  return [
    h(
      'div',
      { class: 'wb-tscroll wb-sec', tabindex: 0, role: 'region', 'aria-label': trans.__('First rows') },
      h(
        'table',
        { class: 'wb-tab' },
        h('caption', { class: 'wb-vh' }, trans.__('First rows; each column has a role')),
        h(
          'thead',
          {},
          h('tr', {}, h('th', { scope: 'col' }, h('span', { class: 'wb-vh' }, trans.__('Row'))), ...heads)
        ),
        h('tbody', {}, ...rows)
      )
    )
  ];
}
