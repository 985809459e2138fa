/** First line of the picker: which file, how much of it is read, which type, how sure. */
import type { PickerScan, PickerState } from '../wire';
import { formatBytes, formatNumber, h, icon } from './component';
import type { Child, Trans } from './component';
import { chosenType } from './pickerWords';

/** Share of rows from which a detected type needs no warning; rows that do not fit are shown anyway. */
const ENOUGH = 0.99;

function readWords(state: PickerState, scan: PickerScan, trans: Trans): string {
  const { source } = state;
  if (scan?.running === true) {
    return trans.__('first %1 read, the rest is being read', formatNumber(scan.done));
  }
  if (scan !== null && scan.done < source.rows) {
    return trans.__('first %1 read', formatNumber(scan.done));
  }
  switch (source.read) {
    case 'limited':
      return trans.__('only these were asked for');
    case 'first':
      return scan === null ? trans.__('first %1 read', formatNumber(source.rows)) : trans.__('all read');
    case 'all':
      return trans.__('all read');
  }
}

/** Rows, columns, size, and how much was read. */
export function about(state: PickerState, scan: PickerScan, trans: Trans): Child[] {
  const { source } = state;
  const size = source.bytes === null ? [] : [formatBytes(source.bytes)];
  const rest = [trans._n('%1 column', '%1 columns', source.columns), ...size, readWords(state, scan, trans)];
  return [h('b', {}, formatNumber(source.rows)), ` ${trans._n('row', 'rows', source.rows)}, ${rest.join(', ')}`];
}

/** The verdict: detected, chosen by hand, or nothing fits; and how many rows fit. */
export function typeBadge(state: PickerState, trans: Trans): HTMLElement {
  if (chosenType(state) === null) {
    return h('span', { class: 'wb-badge wb-bad' }, icon('cross'), trans.__('Not detected'));
  }
  const { fit } = state;
  const rows = trans.__('%1 of %2 rows', formatNumber(fit.rows), formatNumber(fit.total));
  if (state.chosen_by === 'you') {
    return h('span', { class: 'wb-badge wb-info' }, icon('check'), trans.__('You chose, %1', rows));
  }
  const fits = fit.rows >= fit.total * ENOUGH && state.question === null;
  return h(
    'span',
    { class: fits ? 'wb-badge wb-ok' : 'wb-badge wb-warn' },
    icon(fits ? 'check' : 'warning'),
    trans.__('Detected, %1', rows)
  );
}

/** The types, those that fit rows of this data first. */
export function typeChoices(state: PickerState, trans: Trans): Child[] {
  const near = state.types.filter(item => item.rows > 0 || item.name === state.type);
  const far = state.types.filter(item => !near.includes(item));
  const option = (item: PickerState['types'][number]): HTMLElement =>
    h('option', { value: item.name, title: item.label, selected: item.name === state.type }, item.name);
  return [
    state.type === null ? h('option', { value: '', selected: true, disabled: true }, trans.__('choose')) : null,
    near.length === 0 ? null : h('optgroup', { label: trans.__('Rows fit') }, ...near.map(option)),
    far.length === 0 ? null : h('optgroup', { label: trans.__('Other types') }, ...far.map(option))
  ];
}
