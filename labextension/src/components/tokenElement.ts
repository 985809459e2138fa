/** One token as a span, or the part of it that stands on one line. */
import { h, icon } from './component';
import type { Trans } from './component';
import { groupOf } from './byteGroups';
import { direction } from './characters';
import { fieldOf } from './rowModel';
import type { RowModel } from './rowModel';
import { drawMedium } from './tokenMedia';
import { completedBy, hasSpaceMark, isRun, paddingEnd, partsOf, runEnd, shapeOf } from './tokenLayout';
import type { Line, Part } from './tokenLayout';

function classesOf(model: RowModel, token: number, problem: boolean): string {
  const shape = shapeOf(model, token);
  return [
    'wb-tok',
    model.row.tokens.trained[token] === 1 ? 'wb-trained' : 'wb-masked',
    shape === 'plain' ? '' : `wb-${shape}`,
    fieldOf(model.row, token) === null ? 'wb-tmpl' : '',
    problem ? 'wb-problem' : '',
    model.parting === token ? 'wb-parting' : '',
    model.colouring.classOf(token),
    shape === 'bytes' ? placeInGroup(model, token) : ''
  ]
    .filter(name => name !== '')
    .join(' ');
}

/** Chips of one character touch, so that they are seen to be one. */
function placeInGroup(model: RowModel, token: number): string {
  const group = groupOf(model.row, token);
  if (group === null || group.end - group.start < 2) {
    return '';
  }
  return group.start === token ? 'wb-b-first' : group.end === token + 1 ? 'wb-b-last' : 'wb-b-mid';
}

function drawPart(part: Part): Node {
  switch (part.kind) {
    case 'text':
      return document.createTextNode(part.shown);
    case 'hidden':
      return h('span', { class: 'wb-hid' }, part.shown);
    default:
      return h('span', { class: 'wb-ws' }, part.shown);
  }
}

/** Draw parts `skip` to `keep` of a token. */
export function tokenElement(
  model: RowModel,
  token: number,
  span: { readonly skip: number; readonly keep: number },
  trans: Trans
): HTMLElement {
  const node = h('span', { class: classesOf(model, token, model.isProblem(token)), role: 'gridcell' });
  node.dataset['i'] = String(token);
  if (shapeOf(model, token) === 'padding') {
    node.textContent = trans.__('%1 padding', paddingEnd(model, token) - token);
    return node;
  }
  if (shapeOf(model, token) === 'media') {
    return drawMedium(node, model, token, trans);
  }
  const parts = partsOf(model, token);
  if (span.skip === 0 && span.keep >= parts.length && hasSpaceMark(parts)) {
    node.classList.add('wb-sp');
    node.textContent = parts[1]?.shown ?? '';
  } else {
    node.append(...parts.slice(span.skip, span.keep).map(drawPart));
  }
  const mark = model.colouring.markOf(token);
  if (mark !== null && span.skip === 0) {
    node.prepend(h('sup', { class: 'wb-mk', 'aria-hidden': 'true' }, mark));
  }
  const char = completedBy(model, token);
  if (char !== '') {
    node.append(h('span', { class: 'wb-char', 'aria-hidden': 'true' }, char));
  }
  if (model.isProblem(token)) {
    node.append(icon('warning', 'wb-in'));
  } else if (model.parting === token) {
    node.append(icon('differs', 'wb-in'));
  }
  return node;
}

/** Draw these tokens of a line anew; the current one keeps its place in the order of keys. */
export function patchLine(
  model: RowModel,
  line: Line,
  node: HTMLElement,
  tokens: ReadonlySet<number>,
  trans: Trans
): void {
  for (const old of node.querySelectorAll<HTMLElement>('[data-i]')) {
    const token = Number(old.dataset['i']);
    if (tokens.has(token)) {
      const skip = token === line.from ? line.skip : 0;
      const keep = token === line.to - 1 ? line.keep : Infinity;
      const made = tokenElement(model, token, { skip, keep }, trans);
      old.className = made.className;
      old.replaceChildren(...made.childNodes);
    }
  }
}

function directionOf(model: RowModel, from: number, to: number): 'ltr' | 'rtl' {
  return direction(model.row.tokens.text.slice(from, to).join('')) ?? 'ltr';
}

/**
 * One line. Text of the data and text of the template are isolated from each other, so that a right-to-left answer does
 * not move the marks around it; an isolate costs a node only where the text runs right to left.
 */
export function lineElement(model: RowModel, line: Line, trans: Trans): HTMLElement {
  const node = h('div', { class: 'wb-tline', role: 'presentation' });
  let isolate: { readonly field: string | null; readonly node: HTMLElement } | null = null;
  for (let token = line.from; token < line.to; token += 1) {
    const skip = token === line.from ? line.skip : 0;
    const keep = token === line.to - 1 ? line.keep : Infinity;
    const element = tokenElement(model, token, { skip, keep }, trans);
    const field = fieldOf(model.row, token);
    if (isolate === null || isolate.field !== field) {
      isolate = { field, node: openIsolate(model, line, token, field, node) };
    }
    isolate.node.append(element);
    if (isRun(shapeOf(model, token))) {
      token = runEnd(model, token) - 1;
    }
  }
  return node;
}

function openIsolate(
  model: RowModel,
  line: Line,
  token: number,
  field: string | null,
  parent: HTMLElement
): HTMLElement {
  let end = token;
  while (end < line.to && fieldOf(model.row, end) === field) {
    end += 1;
  }
  const text = model.row.tokens.text.slice(token, end).join('');
  if (field === null || !/[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/.test(text)) {
    return parent;
  }
  const whole = model.blocks[line.block];
  const wrapper = h('bdi', {
    role: 'presentation',
    dir: whole === undefined ? 'auto' : directionOf(model, firstOfField(model, token, field, whole.start), whole.end)
  });
  parent.append(wrapper);
  return wrapper;
}

/** First token of the same field in the block: its first letter decides the direction of the whole text. */
function firstOfField(model: RowModel, token: number, field: string, start: number): number {
  let first = token;
  while (first > start && fieldOf(model.row, first - 1) === field) {
    first -= 1;
  }
  return first;
}
