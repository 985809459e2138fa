/** Samples, prompt by step: the first column is the base model, what is new since the column before is underlined. */

import { formatShare, h, on } from './component';
import type { Trans } from './component';
import { runIcon, setText } from './runCardParts';
import type { RunModel, Sample } from '../runs/state';
import { compareWords, repeats } from './sampleGridWords';
import type { Comparison } from './sampleGridWords';

/** Columns beside the base while the grid is folded. */
const FOLDED_COLUMNS = 3;

export interface SampleGrid {
  readonly node: HTMLElement;
  update(model: RunModel): void;
  dispose(): void;
}

interface Cell {
  readonly node: HTMLTableCellElement;
  update(sample: Sample | null, before: Sample | null): void;
}

/** Make the grid; it hides itself while there is no sample. */
export function sampleGrid(trans: Trans): SampleGrid {
  const abort = new AbortController();
  const caption = h('caption', { class: 'wb-vh' }, trans.__('Samples, prompt by step'));
  const head = h('thead');
  const body = h('tbody');
  const scroll = h(
    'div',
    { class: 'wb-gscroll', tabindex: '0' },
    h('table', { class: 'wb-grid' }, caption, head, body)
  );
  const all = h('button', { class: 'wb-link', type: 'button', 'aria-pressed': 'false' });
  const cells = new Map<string, Cell>();
  let unfolded = false;
  let structure = '';
  let model: RunModel | null = null;

  const node = h('div', { class: 'wb-sec wb-samples' }, header(trans, all), scroll);
  node.hidden = true;

  const update = (next: RunModel): void => {
    model = next;
    const steps = [...new Set(next.samples.map(sample => sample.step))].sort((a, b) => a - b);
    node.hidden = steps.length === 0;
    const shown = unfolded ? steps : folded(steps);
    all.hidden = steps.length === folded(steps).length;
    setText(all, unfolded ? trans.__('Fewer steps') : trans.__('All %1 steps', steps.length));
    const prompts = [...new Set(next.samples.map(sample => sample.prompt ?? 0))].sort((a, b) => a - b);
    const wanted = `${shown.join()}|${prompts.join()}`;
    if (wanted !== structure) {
      structure = wanted;
      node.style.setProperty('--wb-columns', String(shown.length));
      build(shown, prompts, next);
    }
    fill(next, shown, prompts);
  };

  /** Lay out head and rows; cells that stay are moved, not made again. */
  const build = (steps: readonly number[], prompts: readonly number[], of: RunModel): void => {
    head.replaceChildren(
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, trans.__('Prompt')),
        ...steps.map((step, i) => columnHead(step, i === steps.length - 1, trans))
      )
    );
    body.replaceChildren(
      ...prompts.map(prompt => {
        const title = of.prompts[prompt] ?? trans.__('Prompt %1', prompt + 1);
        const row = h('tr', {}, h('th', { scope: 'row', dir: 'auto' }, title));
        row.append(...steps.map(step => cellAt(prompt, step).node));
        return row;
      })
    );
  };

  const cellAt = (prompt: number, step: number): Cell => {
    const key = `${prompt}:${step}`;
    const known = cells.get(key) ?? sampleCell(trans);
    cells.set(key, known);
    return known;
  };

  const fill = (of: RunModel, steps: readonly number[], prompts: readonly number[]): void => {
    const find = (prompt: number, step: number | undefined): Sample | null =>
      of.samples.find(sample => sample.prompt === prompt && sample.step === step) ?? null;
    for (const prompt of prompts) {
      steps.forEach((step, index) => {
        const cell = cellAt(prompt, step);
        cell.node.classList.toggle('wb-newest', index === steps.length - 1 && steps.length > 1);
        cell.update(find(prompt, step), index === 0 ? null : find(prompt, steps[index - 1]));
      });
    }
  };

  on(
    all,
    'click',
    () => {
      unfolded = !unfolded;
      all.setAttribute('aria-pressed', String(unfolded));
      if (model !== null) {
        update(model);
      }
    },
    abort.signal
  );
  on(body, 'keydown', event => moveFocus(event, body), abort.signal);
  return { node, update, dispose: () => abort.abort() };
}

function header(trans: Trans, all: HTMLElement): HTMLElement {
  const legend = h(
    'span',
    { class: 'wb-sub' },
    h('ins', {}, trans.__('underlined')),
    ' ',
    trans.__('is new since the column before')
  );
  return h(
    'div',
    { class: 'wb-chead wb-gh' },
    h('h4', { class: 'wb-h' }, trans.__('Samples')),
    legend,
    h('span', { class: 'wb-spring' }),
    all
  );
}

/** The base (or first) column and the newest ones. */
function folded(steps: readonly number[]): readonly number[] {
  return steps.length <= FOLDED_COLUMNS + 1 ? steps : [...steps.slice(0, 1), ...steps.slice(-FOLDED_COLUMNS)];
}

function columnHead(step: number, newest: boolean, trans: Trans): HTMLElement {
  const note = step === 0 ? trans.__('base model') : newest ? trans.__('newest') : '';
  const title = step === 0 ? trans.__('step 0') : String(step);
  return h('th', { scope: 'col', class: newest && step > 0 ? 'wb-newest' : '' }, title, ' ', h('span', {}, note));
}

/** Arrow keys move between cells; Tab leaves the grid as usual. */
function moveFocus(event: KeyboardEvent, body: HTMLElement): void {
  const cell = event.target instanceof HTMLTableCellElement ? event.target : null;
  const row = cell?.parentElement;
  if (cell === null || !(row instanceof HTMLTableRowElement)) {
    return;
  }
  const moves: Readonly<Record<string, [number, number]>> = {
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0]
  };
  const move = moves[event.key];
  if (move === undefined) {
    return;
  }
  const rows = Array.from(body.children);
  const target = rows[rows.indexOf(row) + move[0]]?.children[cell.cellIndex + move[1]];
  if (target instanceof HTMLTableCellElement && target.tagName === 'TD') {
    event.preventDefault();
    event.stopPropagation();
    target.focus();
  }
}

function sampleCell(trans: Trans): Cell {
  const text = h('p', { dir: 'auto' });
  const caret = h('span', { class: 'wb-caret', 'aria-hidden': 'true' });
  const note = h('span', { class: 'wb-d' });
  const node = h('td', { tabindex: '0' }, text, note);
  let shown: Sample | null = null;
  let shownBefore: string | null = null;
  const update = (sample: Sample | null, before: Sample | null): void => {
    const beforeText = before?.done ? before.text : null;
    if (sample === shown && beforeText === shownBefore) {
      return;
    }
    if (sample === null) {
      text.replaceChildren();
      setText(note, '');
    } else if (sample.done) {
      finish(sample, beforeText);
    } else {
      stream(sample);
    }
    shown = sample;
    shownBefore = beforeText;
  };
  /** While it streams, characters are appended to one text node. */
  const stream = (sample: Sample): void => {
    const first = text.firstChild;
    if (first instanceof Text && text.lastChild === caret && sample.text.startsWith(first.data)) {
      first.appendData(sample.text.slice(first.data.length));
    } else {
      text.replaceChildren(document.createTextNode(sample.text), caret);
    }
    setText(note, trans.__('answering'));
  };
  const finish = (sample: Sample, beforeText: string | null): void => {
    if (beforeText === null) {
      setText(text, sample.text);
      const trouble = verdict(sample, trans);
      note.replaceChildren(...(trouble.length > 0 || sample.stopped === true ? trouble : [trans.__('no stop token')]));
      return;
    }
    const compared = compareWords(beforeText, sample.text);
    text.replaceChildren(
      ...compared.pieces.map(piece => (piece.fresh ? h('ins', {}, piece.text) : document.createTextNode(piece.text)))
    );
    const trouble = verdict(sample, trans);
    note.replaceChildren(...(trouble.length > 0 ? trouble : [changeOf(sample, beforeText, compared, trans)]));
  };
  return { node, update };
}

function changeOf(sample: Sample, before: string, compared: Comparison, trans: Trans): string {
  const end = sample.stopped === true ? '' : `, ${trans.__('no stop token')}`;
  if (sample.text === before) {
    return trans.__('same as before') + end;
  }
  return (
    (compared.fresh === 0
      ? trans.__('shorter, nothing new')
      : trans.__('%1 new words', formatShare(compared.fresh, compared.words))) + end
  );
}

/** What is wrong with a finished sample, in words. */
function verdict(sample: Sample, trans: Trans): (Node | string)[] {
  if (sample.text === '') {
    return [h('span', { class: 'wb-dw' }, trans.__('empty answer'))];
  }
  if (sample.stopped !== true && repeats(sample.text)) {
    return [h('span', { class: 'wb-dw' }, runIcon('warning').node, trans.__('repeats, no stop token'))];
  }
  return [];
}
