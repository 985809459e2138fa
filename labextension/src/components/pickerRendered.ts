/** The chat template, and the first row as it renders it; what is trained is marked. A pair is shown side by side. */
import type { PickerState } from '../wire';
import { h, icon } from './component';
import type { Child, Trans } from './component';
import { findingCard } from './findingCard';
import { rowName } from './pickerWords';

type Rendered = NonNullable<PickerState['rendered']>;
type Part = Rendered['parts'][number];

function groupLabel(of: PickerState['template']['groups'][number]['of'], trans: Trans): string {
  switch (of) {
    case 'tokenizer':
      return trans.__('From the tokenizer');
    case 'type':
      return trans.__('Wording of this type');
    case 'chosen':
      return trans.__('Chosen');
    case 'shipped':
      return trans.__('Shipped');
  }
}

/** Choices of the template, the tokenizer's own first. */
export function templateChoices(state: PickerState, trans: Trans): Child[] {
  const { name, groups } = state.template;
  const none = name === null ? [h('option', { value: '', selected: true, disabled: true }, '–')] : [];
  return [
    ...none,
    ...groups.map(group =>
      h(
        'optgroup',
        { label: groupLabel(group.of, trans) },
        ...group.names.map(item => h('option', { value: item, selected: item === name }, item))
      )
    )
  ];
}

function partName(name: Part['name'], trans: Trans): string {
  switch (name) {
    case 'row':
      return '';
    case 'prompt':
      return trans.__('Shared prompt');
    case 'chosen':
      return trans.__('Chosen');
    case 'rejected':
      return trans.__('Rejected');
  }
}

function piece(item: Part['pieces'][number], trans: Trans): HTMLElement {
  const made = h(item.trained ? 'mark' : 'span', {}, item.text);
  if (item.differs) {
    made.classList.add('wb-differs');
    made.title = trans.__('First difference');
  }
  return made;
}

function part(shown: Part, row: number, trans: Trans): HTMLElement {
  const name = partName(shown.name, trans);
  const label = name === '' ? trans.__('%1 rendered', rowName(row, trans)) : name;
  const text = h(
    'pre',
    { class: 'wb-prev', tabindex: 0, dir: 'auto', role: 'group', 'aria-label': label },
    ...shown.pieces.map(item => piece(item, trans))
  );
  return h(
    'div',
    { class: `wb-part wb-${shown.name}` },
    name === '' ? null : h('span', { class: 'wb-label' }, name),
    text
  );
}

function verdict(rendered: Rendered, trans: Trans): Child {
  return rendered.desirable === null
    ? null
    : h(
        'p',
        { class: 'wb-verdict' },
        icon(rendered.desirable ? 'check' : 'cross'),
        rendered.desirable ? trans.__('Wanted answer') : trans.__('Unwanted answer')
      );
}

/** Python that shows which template line wrote what of the row that is shown. */
export function xrayCode(state: PickerState): string {
  return `${state.code}\nenc[${state.rendered?.row ?? 0}].xray()`;
}

/** The first row; or why the template refuses it; or what to do to see one. */
export function renderedRow(state: PickerState, trans: Trans): Child[] {
  const { rendered, template } = state;
  if (template.refusal !== null) {
    return [findingCard(template.refusal, trans)];
  }
  if (rendered === null) {
    return [h('p', { class: 'wb-sub' }, trans.__('Once rows fit the type, the first one is shown here.'))];
  }
  const isPair = rendered.parts.some(item => item.name === 'chosen');
  const differs = rendered.parts.some(item => item.pieces.some(one => one.differs));
  const words = isPair
    ? differs
      ? trans.__(', the first difference framed.')
      : trans.__(', and chosen is equal to rejected.')
    : trans.__(' is trained.');
  return [
    verdict(rendered, trans),
    h('div', { class: isPair ? 'wb-pair' : '' }, ...rendered.parts.map(item => part(item, rendered.row, trans))),
    h(
      'span',
      { class: 'wb-sub' },
      `${rowName(rendered.row, trans)}; `,
      h('u', {}, isPair ? trans.__('compared') : trans.__('underlined')),
      words,
      template.name === null
        ? null
        : h(
            'button',
            { class: 'wb-link wb-xraylink', type: 'button', 'data-xray': rendered.row, title: xrayCode(state) },
            trans.__('X-ray')
          )
    )
  ];
}
