/** Another template over the same conversation, and which template is used and saved. */
import type { TemplateClaim, TemplateDifference, XrayView } from '../wire';
import { formatNumber, h, icon } from './component';
import type { Child, Trans } from './component';
import { drawText } from './xrayText';

type Side = TemplateDifference['sides'][number];

function text(side: Side, differs: boolean): HTMLElement {
  const shown = h('code', { dir: 'auto' });
  if (side.cut_before > 0) {
    shown.append('…');
  }
  drawText(side.before, shown);
  const rest = h(differs ? 'mark' : 'span', {});
  drawText(side.behind, rest);
  if (side.behind === '' && differs) {
    rest.append('∎');
  }
  shown.append(rest);
  if (side.cut_behind > 0) {
    shown.append('…');
  }
  return shown;
}

function madeBy(side: Side, trans: Trans): Child {
  if (side.error !== null) {
    return h('p', { class: 'wb-sub' }, side.error.message);
  }
  if (side.line === null) {
    return null;
  }
  return h('p', { class: 'wb-sub' }, trans.__('line %1: ', side.line), h('code', {}, side.source ?? ''));
}

/** Both sides around their first difference; equal is said in words. */
export function differencePanel(difference: TemplateDifference, trans: Trans): HTMLElement {
  const differs = !difference.equal && difference.at !== null;
  return h(
    'div',
    {
      class: `wb-diff ${difference.equal ? 'wb-same' : 'wb-other'}`,
      role: 'group',
      'aria-label': trans.__('Comparison')
    },
    h(
      'p',
      { class: 'wb-diff-t' },
      icon(difference.equal ? 'check' : 'cross'),
      h('b', { class: 'wb-h' }, difference.says)
    ),
    differs
      ? h('p', { class: 'wb-sub' }, trans.__('First difference at character %1.', formatNumber(difference.at ?? 0)))
      : null,
    difference.equal
      ? null
      : h(
          'div',
          { class: 'wb-sides' },
          ...difference.sides.map(side =>
            h(
              'div',
              { class: 'wb-side' },
              h('span', { class: 'wb-label' }, side.name),
              h('div', { class: 'wb-side-t' }, text(side, differs)),
              madeBy(side, trans)
            )
          )
        )
  );
}

function who(claim: TemplateClaim, trans: Trans): string {
  switch (claim.who) {
    case 'tokenizer':
      return trans.__('Tokenizer says');
    case 'dataset':
      return trans.__('Data says');
    case 'you':
      return trans.__('You say');
  }
}

function verdict(claim: TemplateClaim, trans: Trans): Child {
  if (claim.used) {
    return h(
      'span',
      { class: 'wb-badge wb-info' },
      icon('check'),
      claim.saved ? trans.__('used and saved') : trans.__('used')
    );
  }
  return claim.first_difference === null
    ? trans.__('the same text')
    : trans.__('differs from line %1 on', claim.first_difference);
}

/** Who names which template; which is used, which will be saved with the model. */
export function resolutionPanel(resolution: XrayView['resolution'], trans: Trans): Child[] {
  const { claims, says } = resolution;
  if (claims.length === 0) {
    return [];
  }
  const rows = claims.map(claim =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, who(claim, trans)),
      h('td', {}, claim.name),
      h('td', {}, h('code', { title: claim.sha256 }, claim.sha256.slice(0, 12))),
      h('td', {}, verdict(claim, trans)),
      h('td', { class: 'wb-sub' }, claim.origin)
    )
  );
  return [
    h('table', {}, h('caption', { class: 'wb-vh' }, trans.__('Which template counts')), ...rows),
    ...says.map(sentence => h('p', { class: 'wb-sub' }, sentence))
  ];
}
