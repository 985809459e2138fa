/** Everything known about one token, and the rule that decided its label. */
import type { TokensPayload } from '../wire';
import { hiddenNames } from './characters';
import { formatNumber, h } from './component';
import type { Child, Component, Trans } from './component';
import { fieldOf, lineOf, reasonOf, roleOf } from './rowModel';
import type { RowModel } from './rowModel';
import { tokenElement } from './tokenElement';
import { mediumFigure, spokenMedium } from './tokenMedia';
import { paddingEnd, shapeOf } from './tokenLayout';

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
      return trans.__('bytes %1, part of a character, %2', tokens.bytes[token] ?? '', label);
    case 'special':
      return trans.__('special token %1, %2', tokens.text[token] ?? '', label);
    case 'plain': {
      const hidden = hiddenNames(tokens.text[token] ?? '');
      const text = trans.__('“%1”, %2', (tokens.text[token] ?? '').replace(/\n/g, '↵'), label);
      return hidden.length === 0 ? text : `${text}, ${hidden.join(', ')}`;
    }
  }
}

function kindWords(model: RowModel, token: number, trans: Trans): string {
  const label = model.row.tokens.trained[token] === 1 ? trans.__('trained') : trans.__('masked');
  const shape = shapeOf(model, token);
  const kind = {
    plain: '',
    special: trans.__('special token'),
    bytes: trans.__('part of a character'),
    padding: trans.__('padding'),
    media: trans.__('image')
  }[shape];
  return kind === '' ? label : `${label}, ${kind}`;
}

function facts(value: Inspected, trans: Trans): readonly (readonly [string, Child])[] {
  const { model, token } = value;
  const { tokens, documents } = model.row;
  const id = tokens.id[token] ?? 0;
  const position = tokens.position[token] ?? token;
  const code = (text: string): Child => h('code', {}, text);
  const hidden = hiddenNames(tokens.text[token] ?? '');
  const document = documents.find(item => token >= item.start && token < item.end);
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
    ...(document === undefined ? [] : [[trans.__('Data row'), formatNumber(document.row)] as const])
  ];
}

function origin(value: Inspected, trans: Trans): readonly (readonly [string, Child])[] {
  const { model, token, payload } = value;
  const block = model.blocks[model.blockOf(token)];
  const role = roleOf(model.row, token) ?? block?.role ?? null;
  const message = block?.message ?? null;
  const field = fieldOf(model.row, token);
  const line = lineOf(model.row, token);
  const roleText =
    role === null ? trans.__('none') : message === null ? role : trans.__('%1, message %2', role, message);
  return [
    [trans.__('Role'), roleText],
    [trans.__('Field'), field === null ? trans.__('none: template text') : h('code', {}, field)],
    ...(payload.template === null || line === null
      ? []
      : [[trans.__('Template'), trans.__('%1, line %2', payload.template.name, line)] as const])
  ];
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
      const { model, token, payload } = value;
      const glyph = tokenElement(model, token, { skip: 0, keep: Infinity }, trans);
      glyph.removeAttribute('role');
      delete glyph.dataset['i'];
      const line = lineOf(model.row, token) ?? 0;
      const source = payload.template?.lines[line - 1] ?? model.row.lines[line];
      node.replaceChildren(
        h('div', { class: 'wb-glyph' }, glyph, h('span', { class: 'wb-sub' }, kindWords(model, token, trans))),
        mediumFigure(model, token, trans) ?? '',
        h('dl', {}, ...list(facts(value, trans)), h('div', { class: 'wb-gap' }), ...list(origin(value, trans))),
        ...(source === undefined || lineOf(model.row, token) === null
          ? []
          : [h('code', { class: 'wb-tl' }, source.trim())]),
        rule(value, trans)
      );
    },
    dispose: () => node.replaceChildren()
  };
}
