/** Everything known about one token, and the rule that decided its label. */
import type { TokensPayload } from '../wire';
import { groupOf } from './byteGroups';
import { hiddenNames, visiblePieces } from './characters';
import { formatNumber, h } from './component';
import type { Child, Component, Trans } from './component';
import { fieldOf, lineOf, reasonOf, roleOf } from './rowModel';
import type { RowModel } from './rowModel';
import { COLOURS, colourName, formatValue, isMeasure, valueOf } from './tokenColours';
import { tokenElement } from './tokenElement';
import { mediumFigure, spokenMedium } from './tokenMedia';
import { paddingEnd, shapeOf } from './tokenLayout';
import { originsOf, straddles, writtenBy } from './tokenOrigin';

export interface Inspected {
  readonly model: RowModel;
  readonly token: number;
  /** What the payload says about all rows. */
  readonly payload: Pick<TokensPayload, 'template' | 'reasons'>;
}

const encoder = new TextEncoder();

/** Bytes of the token in hexadecimal; part of a character has its own, a longer text is cut. */
export function bytesOf(model: RowModel, token: number): string {
  const own = model.row.tokens.bytes[token];
  if (own !== null && own !== undefined) {
    return own;
  }
  const bytes = encoder.encode(model.row.tokens.text[token] ?? '');
  const shown = [...bytes.subarray(0, 64)].map(byte => byte.toString(16).padStart(2, '0')).join(' ');
  return bytes.length > 64 ? `${shown} … (${bytes.length})` : shown;
}

/** What a token is called in a sentence: its text in quotes, or its bytes. */
export function spokenToken(model: RowModel, token: number, trans: Trans): string {
  const { tokens } = model.row;
  const state = tokens.trained[token] === 1 ? trans.__('trained') : trans.__('masked');
  const label = model.parting === token ? trans.__('%1, first difference', state) : state;
  switch (shapeOf(model, token)) {
    case 'padding':
      return trans.__('%1 padding tokens', paddingEnd(model, token) - token);
    case 'media':
      return spokenMedium(model, token, trans);
    case 'bytes':
      return trans.__('bytes %1, %2, %3', tokens.bytes[token] ?? '', partWords(model, token, trans), label);
    case 'special':
      return trans.__('special token %1, %2', tokens.text[token] ?? '', label);
    case 'plain': {
      const hidden = hiddenNames(tokens.text[token] ?? '');
      const text = trans.__('“%1”, %2', (tokens.text[token] ?? '').replace(/\n/g, '↵'), label);
      return hidden.length === 0 ? text : `${text}, ${hidden.join(', ')}`;
    }
  }
}

/** Which part of which character a token is: `part 1 of 2 of “👩”`. */
function partWords(model: RowModel, token: number, trans: Trans): string {
  const group = groupOf(model.row, token);
  if (group === null) {
    return trans.__('part of a character');
  }
  const count = group.end - group.start;
  const part = token - group.start + 1;
  if (group.text === null) {
    return trans.__('part %1 of %2 of a character that is not complete', part, count);
  }
  const shown = visiblePieces(group.text.trim() === '' ? group.text : group.text.trim())
    .map(piece => piece.shown)
    .join('');
  return trans.__('part %1 of %2 of “%3”', part, count, shown);
}

function kindWords(model: RowModel, token: number, trans: Trans): string {
  const label = model.row.tokens.trained[token] === 1 ? trans.__('trained') : trans.__('masked');
  const shape = shapeOf(model, token);
  const kind = {
    plain: '',
    special: trans.__('special token'),
    bytes: shape === 'bytes' ? partWords(model, token, trans) : '',
    padding: trans.__('padding'),
    media: trans.__('image')
  }[shape];
  return kind === '' ? label : `${label}, ${kind}`;
}

type Fact = readonly [string, Child];

const code = (text: string): Child => h('code', {}, text);

function facts(value: Inspected, trans: Trans): readonly Fact[] {
  const { model, token } = value;
  const { tokens, documents, truncated } = model.row;
  const id = tokens.id[token] ?? 0;
  const position = tokens.position[token] ?? token;
  const hidden = hiddenNames(tokens.text[token] ?? '');
  const document = documents.find(item => token >= item.start && token < item.end);
  const isLast = truncated > 0 && token === model.length - 1;
  return [
    [trans.__('Id'), formatNumber(id)],
    [trans.__('Bytes'), code(bytesOf(model, token))],
    ...(hidden.length === 0 ? [] : [[trans.__('Hidden'), hidden.join(', ')] as const]),
    [
      trans.__('Characters'),
      trans.__('%1 to %2', formatNumber(tokens.start[token] ?? 0), formatNumber(tokens.end[token] ?? 0))
    ],
    [trans.__('Index'), trans.__('%1 of %2', formatNumber(token), formatNumber(model.length))],
    [
      trans.__('Position'),
      position === 0 && documents.length > 0 ? trans.__('0, restarts here') : formatNumber(position)
    ],
    [trans.__('Label'), tokens.trained[token] === 1 ? formatNumber(id) : trans.__('−100 (ignored)')],
    ...(document === undefined ? [] : documentFacts(documents.indexOf(document), document.row, trans)),
    ...(isLast
      ? [[trans.__('Cut'), trans.__('%1 tokens behind it are cut off', formatNumber(truncated))] as const]
      : []),
    ...measures(value, trans)
  ];
}

function documentFacts(index: number, row: number, trans: Trans): readonly Fact[] {
  return [
    [trans.__('Document'), formatNumber(index + 1)],
    [trans.__('Data row'), formatNumber(row)]
  ];
}

function measures(value: Inspected, trans: Trans): readonly Fact[] {
  return COLOURS.filter(isMeasure).flatMap(by => {
    const number = valueOf(value.model.row, by, value.token);
    return number === null ? [] : [[colourName(by, trans), formatValue(by, number, trans)] as const];
  });
}

/** `messages[1].content, characters 4 to 9`; a token of several origins names each with its text. */
function fieldFact(model: RowModel, token: number, trans: Trans): Child {
  const { row } = model;
  const parts = originsOf(row, token);
  const field = fieldOf(row, token);
  if (parts.length === 0) {
    return field === null ? trans.__('none: template text') : code(field);
  }
  const said = parts.map(part =>
    part.field === null
      ? trans.__('template text')
      : trans.__('%1, characters %2 to %3', part.field, formatNumber(part.from), formatNumber(part.to))
  );
  if (!straddles(row, token)) {
    return field === null ? trans.__('none: template text') : code(said[0] ?? field);
  }
  const items = said.map(text => h('li', {}, code(text)));
  return h('div', { class: 'wb-straddle' }, trans.__('Straddles, in this order:'), h('ol', {}, ...items));
}

function origin(value: Inspected, trans: Trans): readonly Fact[] {
  const { model, token, payload } = value;
  const block = model.blocks[model.blockOf(token)];
  const role = roleOf(model.row, token) ?? block?.role ?? null;
  const message = block?.message ?? null;
  const line = lineOf(model.row, token);
  const roleText =
    role === null ? trans.__('none') : message === null ? role : trans.__('%1, message %2', role, message);
  return [
    [trans.__('Role'), roleText],
    [trans.__('Field'), fieldFact(model, token, trans)],
    ...(payload.template === null || line === null
      ? []
      : [[trans.__('Template'), trans.__('%1, line %2', payload.template.name, line)] as const])
  ];
}

/** The template's line, with the part of it that wrote the token marked where that is certain. */
function templateLine(value: Inspected): HTMLElement | null {
  const { model, token, payload } = value;
  const line = lineOf(model.row, token);
  const source = line === null ? undefined : (payload.template?.lines[line - 1] ?? model.row.lines[line]);
  if (source === undefined) {
    return null;
  }
  const text = source.trim();
  const span = writtenBy(text, model.row, token);
  return span === null
    ? h('code', { class: 'wb-tl' }, text)
    : h(
        'code',
        { class: 'wb-tl' },
        text.slice(0, span[0]),
        h('mark', { class: 'wb-wrote' }, text.slice(...span)),
        text.slice(span[1])
      );
}

/** The heading has said the verdict already. */
function sentenceOf(text: string): string {
  const bare = text.replace(/^(?:trained|masked):\s*/i, '');
  return bare.charAt(0).toUpperCase() + bare.slice(1);
}

function rule(value: Inspected, trans: Trans): HTMLElement {
  const { model, token, payload } = value;
  const trained = model.row.tokens.trained[token] === 1;
  const reason = reasonOf(model.row, token);
  const state = trained ? 'wb-yes' : model.isProblem(token) ? 'wb-no' : '';
  return h(
    'div',
    { class: `wb-rule ${state}`.trim() },
    h('b', { class: 'wb-h' }, trained ? trans.__('Trained') : trans.__('Masked')),
    sentenceOf(payload.reasons[reason] ?? model.row.reasons[reason] ?? trans.__('Rule: %1', reason))
  );
}

export function tokenInspector(trans: Trans): Component<Inspected | null> {
  const node = h('aside', { class: 'wb-insp', 'aria-label': trans.__('Inspector') });
  const list = (rows: readonly (readonly [string, Child])[]): Node[] =>
    rows.flatMap(([name, value]) => [h('dt', {}, name), h('dd', { dir: 'auto' }, value)]);
  return {
    node,
    update: value => {
      if (value === null || value.model.length === 0) {
        node.replaceChildren(h('p', { class: 'wb-sub' }, trans.__('No token.')));
        return;
      }
      const { model, token } = value;
      const glyph = tokenElement(model, token, { skip: 0, keep: Infinity }, trans);
      glyph.removeAttribute('role');
      delete glyph.dataset['i'];
      node.replaceChildren(
        h('div', { class: 'wb-glyph' }, glyph, h('span', { class: 'wb-sub' }, kindWords(model, token, trans))),
        mediumFigure(model, token, trans) ?? '',
        h('dl', {}, ...list(facts(value, trans)), h('div', { class: 'wb-gap' }), ...list(origin(value, trans))),
        templateLine(value) ?? '',
        rule(value, trans)
      );
    },
    dispose: () => node.replaceChildren()
  };
}
