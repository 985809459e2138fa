/** Title, counts and verdicts of the row that the viewer shows. */
import type { TokensPayload } from '../wire';
import { formatNumber, formatShare, h, icon } from './component';
import type { Child, Trans } from './component';
import type { RowModel } from './rowModel';

type Badge = NonNullable<TokensPayload['badge']>;

function differenceWords(badge: Badge, trans: Trans): string {
  const { difference } = badge;
  if (difference === null) {
    return '';
  }
  const side = (value: number | null): string => (value === null ? trans.__('nothing') : formatNumber(value));
  return trans.__(
    'First difference: %1[%2], ours %3, received %4',
    difference.key,
    difference.index.join(', '),
    side(difference.ours),
    side(difference.theirs)
  );
}

/** Whether the batch that `forward()` received is this one; always a sign and words. */
export function agreementBadge(badge: Badge, trans: Trans): HTMLElement {
  switch (badge.state) {
    case 'agrees':
      return h(
        'span',
        { class: 'wb-badge wb-ok' },
        icon('check'),
        badge.step === null ? trans.__('Agrees') : trans.__('Agrees with step %1', badge.step)
      );
    case 'differs':
      return h(
        'span',
        { class: 'wb-badge wb-bad', title: differenceWords(badge, trans) },
        icon('cross'),
        badge.step === null ? trans.__('Differs') : trans.__('Differs from step %1', badge.step)
      );
    case 'unchecked':
      return h('span', { class: 'wb-badge wb-none' }, icon('unknown'), trans.__('Not checked'));
  }
}

export function differenceLine(payload: Pick<TokensPayload, 'badge'>, trans: Trans): HTMLElement | null {
  const words = payload.badge?.state === 'differs' ? differenceWords(payload.badge, trans) : '';
  return words === '' ? null : h('div', { class: 'wb-finding wb-error' }, icon('cross'), h('div', {}, words));
}

function problemBadge(model: RowModel, trans: Trans): HTMLElement {
  const { findings } = model.row;
  const count = findings.length;
  if (count === 0) {
    return h('span', { class: 'wb-badge wb-ok' }, icon('check'), trans.__('no problems'));
  }
  const words = trans._n('%1 problem', '%1 problems', count);
  return findings.some(finding => finding.severity === 'error')
    ? h('span', { class: 'wb-badge wb-bad' }, icon('cross'), words)
    : h('span', { class: 'wb-badge wb-warn' }, icon('warning'), words);
}

/** Label of a KTO row. */
function desirableBadge(model: RowModel, trans: Trans): HTMLElement | null {
  const { desirable } = model.row;
  return desirable === null
    ? null
    : h(
        'span',
        { class: `wb-badge ${desirable ? 'wb-ok' : 'wb-bad'}` },
        icon(desirable ? 'check' : 'cross'),
        desirable ? trans.__('wanted answer') : trans.__('unwanted answer')
      );
}

function counts(model: RowModel, trans: Trans): HTMLElement {
  const { row } = model;
  const bold = (value: number): Child => h('b', {}, formatNumber(value));
  const dot = (): Child => h('span', { class: 'wb-sep' }, '·');
  return h(
    'span',
    { class: 'wb-counts wb-sub' },
    bold(model.length),
    ` ${trans._n('token', 'tokens', model.length)}`,
    dot(),
    bold(model.trained),
    ` ${trans.__('trained (%1)', formatShare(model.trained, model.length))}`,
    dot(),
    bold(row.characters),
    ` ${trans._n('character', 'characters', row.characters)}`,
    dot(),
    row.truncated === 0
      ? trans.__('none truncated')
      : h('b', { class: 'wb-cutoff' }, trans.__('%1 truncated', formatNumber(row.truncated)))
  );
}

function totals(payload: TokensPayload, trans: Trans): HTMLElement | null {
  const all = payload.totals;
  if (all === null || all.rows <= 1) {
    return null;
  }
  const parts = [
    trans.__('All %1 rows: %2 tokens', formatNumber(all.rows), formatNumber(all.tokens)),
    trans.__('%1 trained', formatShare(all.trained, all.tokens)),
    all.truncated > 0 ? trans._n('%1 truncated row', '%1 truncated rows', all.truncated) : null,
    all.errors > 0 ? trans._n('%1 error', '%1 errors', all.errors) : null,
    all.warnings > 0 ? trans._n('%1 warning', '%1 warnings', all.warnings) : null
  ];
  return h('div', { class: 'wb-totals wb-sub' }, parts.filter(part => part !== null).join(' · '));
}

/** Fill `node` with what there is to say about the row. */
export function drawHeader(node: HTMLElement, payload: TokensPayload, model: RowModel, trans: Trans): void {
  const { row } = model;
  const documents = row.documents.length > 0 ? trans._n('%1 document', '%1 documents', row.documents.length) : null;
  const about = [
    payload.title,
    row.type === '' || payload.subtitle.includes(row.type) ? null : row.type,
    documents,
    payload.subtitle === '' ? null : payload.subtitle
  ];
  node.replaceChildren(
    h('h3', { class: 'wb-title' }, row.title),
    h('span', { class: 'wb-sub', dir: 'auto' }, about.filter(part => part !== null).join(', ')),
    h('span', { class: 'wb-spring' }),
    desirableBadge(model, trans) ?? '',
    counts(model, trans),
    payload.badge === null ? '' : agreementBadge(payload.badge, trans),
    problemBadge(model, trans),
    totals(payload, trans) ?? ''
  );
}
