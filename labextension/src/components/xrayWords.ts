/** The status line of the X-ray: what is pointed at, in words, down to the field of the data. */
import { NoKernelError } from './askKernel';
import { hiddenNames } from './characters';
import { formatNumber, h } from './component';
import type { Child, Trans } from './component';
import type { Target, XrayModel } from './xrayModel';

function counted(model: XrayModel, start: number, end: number, trans: Trans): string {
  let count = 0;
  for (let token = model.tokenAt(start); token < model.tokenCount && model.tokenSpan(token)[0] < end; token += 1) {
    count += 1;
  }
  return model.tokenCount === 0 ? '' : trans._n('%1 token', '%1 tokens', count);
}

function characters(start: number, end: number, trans: Trans): string {
  return trans.__('characters %1 to %2', formatNumber(start), formatNumber(end));
}

/** Where characters `start` to `end` of the text come from: `messages[1].content, characters 4 to 9`. */
function origin(model: XrayModel, start: number, end: number, trans: Trans): Child[] {
  const data = model.runsOver(start, end).filter(run => model.fieldOfRun(run) !== null);
  const first = data[0];
  if (first === undefined) {
    return [trans.__('template text')];
  }
  const field = model.fieldOfRun(first);
  const last = data.filter(run => model.fieldOfRun(run) === field).at(-1) ?? first;
  const fieldStart = (run: number): number => model.rendering?.runs.start[run] ?? 0;
  const from = fieldStart(first) + Math.max(0, start - model.runStart(first));
  const to = fieldStart(last) + Math.min(end, model.runEnd(last)) - model.runStart(last);
  return [h('code', {}, field), ', ', characters(from, to, trans)];
}

function list(parts: readonly string[]): string {
  return parts.filter(part => part !== '').join(', ');
}

function ofLine(model: XrayModel, line: number, trans: Trans): Child[] {
  const made = model.made(line);
  const name = h('b', {}, trans.__('Line %1', line));
  const places = trans._n('%1 place', '%1 places', made.places);
  const wrote =
    made.characters === 0
      ? ''
      : list([
          trans.__('made %1 characters in %2', formatNumber(made.characters), places),
          made.tokens === 0 ? '' : trans._n('%1 token', '%1 tokens', made.tokens)
        ]);
  if (made.removed > 0) {
    const fields = [...new Set(model.cuts.filter(cut => cut.line === line).map(cut => cut.field))];
    const where = fields.length === 1 ? (fields[0] ?? '') : trans._n('%1 field', '%1 fields', fields.length);
    const left = trans.__('left out %1 characters of %2', formatNumber(made.removed), where);
    return [name, ` ${[wrote, left].filter(part => part !== '').join('; ')}`];
  }
  return [name, ` ${wrote === '' ? trans.__('writes nothing itself') : wrote}`];
}

function ofRun(model: XrayModel, run: number, trans: Trans): Child[] {
  const start = model.runStart(run);
  const end = model.runEnd(run);
  const line = model.lineOfRun(run);
  const hidden = hiddenNames(model.slice(start, Math.min(end, start + 2000)));
  return [
    ...origin(model, start, end, trans),
    `; ${list([
      line === 0 ? '' : trans.__('written by line %1', line),
      trans._n('%1 character', '%1 characters', end - start),
      counted(model, start, end, trans),
      hidden.length === 0 ? '' : trans.__('hidden: %1', hidden.join(', '))
    ])}`
  ];
}

function ofToken(model: XrayModel, token: number, trans: Trans): Child[] {
  const tokens = model.rendering?.tokens;
  const [start, end] = model.tokenSpan(token);
  const text = model.slice(start, end).replace(/\n/g, '↵').replace(/ /g, '·');
  const bytes = tokens?.bytes[token] ?? null;
  const lines = model.linesOfToken(token);
  const shown = bytes === null ? text : trans.__('bytes %1', bytes);
  return [
    h('b', {}, trans.__('Token %1', formatNumber(token))),
    ' ',
    h('code', { dir: 'auto' }, h('bdi', {}, shown)),
    ` (${trans.__('id %1', String(tokens?.id[token] ?? 0))}): `,
    ...origin(model, start, end, trans),
    `; ${list([
      lines.length === 0 ? '' : trans._n('written by line %2', 'written by lines %2', lines.length, lines.join(', ')),
      tokens?.trained[token] === 1 ? trans.__('trained') : trans.__('masked')
    ])}`
  ];
}

function ofCut(model: XrayModel, index: number, trans: Trans): Child[] {
  const cut = model.cuts[index];
  if (cut === undefined) {
    return [];
  }
  const words =
    cut.line === null
      ? trans.__('are not in the text: no line writes them')
      : trans.__('are not in the text: line %1 left them out last', cut.line);
  return [h('code', {}, cut.field), `, ${characters(cut.start, cut.end, trans)} ${words}`];
}

export function wordsOf(model: XrayModel, target: Target, trans: Trans): readonly Child[] {
  switch (target.kind) {
    case 'line':
      return ofLine(model, target.line, trans);
    case 'run':
      return ofRun(model, target.run, trans);
    case 'token':
      return ofToken(model, target.token, trans);
    case 'cut':
      return ofCut(model, target.cut, trans);
  }
}

/** `59 characters removed` */
export function removedWords(count: number, trans: Trans): string {
  return trans._n('%1 character removed', '%1 characters removed', count);
}

/** Why the kernel gave no answer. */
export function failureWords(error: unknown, trans: Trans): string {
  if (error instanceof NoKernelError) {
    return trans.__('This needs the kernel: run the cell again.');
  }
  return error instanceof Error ? error.message : String(error);
}
