/** A finding: sign, code, what is wrong, what to do about it. */
import type { Finding } from '../wire';
import { h, icon } from './component';
import type { Child, IconName, Trans } from './component';

const SIGNS: Readonly<Record<Finding['severity'], { readonly icon: IconName; readonly class: string }>> = {
  error: { icon: 'cross', class: 'wb-error' },
  warning: { icon: 'warning', class: 'wb-warning' },
  info: { icon: 'info', class: 'wb-note' }
};

function severityWord(severity: Finding['severity'], trans: Trans): string {
  switch (severity) {
    case 'error':
      return trans.__('Error');
    case 'warning':
      return trans.__('Warning');
    case 'info':
      return trans.__('Note');
  }
}

function place(finding: Finding, besideRow: boolean, trans: Trans): Child {
  const parts = [
    finding.row === null || besideRow ? null : trans.__('row %1', finding.row),
    finding.line === null ? null : trans.__('line %1 of the file', finding.line)
  ].filter(part => part !== null);
  const field = finding.field === null ? null : h('code', {}, finding.field);
  if (parts.length === 0 && field === null) {
    return null;
  }
  return h('span', { class: 'wb-sub' }, field, field !== null && parts.length > 0 ? ', ' : '', parts.join(', '));
}

/** `besideRow`: the card stands beside the row that it is about, which then needs no number. */
export function findingCard(finding: Finding, trans: Trans, besideRow = false): HTMLElement {
  const sign = SIGNS[finding.severity];
  return h(
    'div',
    { class: `wb-finding ${sign.class}` },
    icon(sign.icon),
    h(
      'div',
      { dir: 'auto' },
      h('span', { class: 'wb-code-no' }, finding.code),
      h('span', { class: 'wb-vh' }, `${severityWord(finding.severity, trans)}: `),
      h('b', { class: 'wb-h' }, finding.message),
      ' ',
      place(finding, besideRow, trans),
      finding.remedy === '' ? null : h('p', {}, finding.remedy)
    )
  );
}
