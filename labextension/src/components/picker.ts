/**
 * Did it understand my data? Type with its evidence, rows that do not fit, roles, lengths, template, and the code for it.
 *
 * The picker decides nothing: a change goes out by `onChange`, and a new state comes back.
 */
import type { PickerChange, PickerScan, PickerState } from '../wire';
import { codeLine, insertCode } from './codeLine';
import { h, icon, liveRegion, on } from './component';
import type { Component, Trans } from './component';
import { lengthHistogram } from './lengthHistogram';
import { about, typeBadge, typeChoices } from './pickerHead';
import { applyOnEnter, keepKeys } from './pickerKeys';
import { misfitCard } from './pickerMisfit';
import { more } from './pickerMore';
import { renderedRow, templateChoices, xrayCode } from './pickerRendered';
import { speakers } from './pickerSpeakers';
import { roleTable } from './pickerTable';
import { absentRoles, why } from './pickerWhy';
import { redraw, sentence } from './pickerWords';

/** A change with its number; the state that answers it carries the number back. */
export type NumberedChange = PickerChange & { readonly turn: number };

export interface PickerProps {
  readonly state: PickerState;
  onChange(change: NumberedChange): void;
}

export interface Picker extends Component<PickerState> {
  /** Say that the last change was refused, and show the state as it was. */
  fail(message: string): void;
  /** Say how far the whole file has been read. */
  scanned(scan: PickerScan): void;
}

/** Run a change of the DOM and give the focus back to the control that had it, or to one that stands for it. */
function keepFocus(root: HTMLElement, change: () => void): void {
  const active = document.activeElement;
  const isInside = active instanceof HTMLElement && root.contains(active);
  const key = isInside ? active.dataset['key'] : undefined;
  change();
  if (key === undefined || (isInside && root.contains(active))) {
    return;
  }
  const nodes = [...root.querySelectorAll<HTMLElement>('[data-key]')].filter(node => node.offsetParent !== null);
  const same = nodes.find(node => node.dataset['key'] === key);
  const near = nodes.find(node => node.dataset['key']?.startsWith('take-back') === true);
  (same ?? near ?? nodes.find(node => node.dataset['key'] === 'type'))?.focus();
}

class PickerCard {
  readonly node = h('section', { class: 'wb-card wb-pick' });
  private readonly listeners = new AbortController();
  private readonly live = liveRegion();
  private readonly title = h('h3', { class: 'wb-title', dir: 'auto' });
  private readonly about = h('span', { class: 'wb-sub' });
  private readonly type = h('select', { class: 'wb-select', 'data-key': 'type' });
  private readonly badge = h('span', { class: 'wb-badgebox' });
  private readonly busy = h('span', { class: 'wb-sub wb-busy', hidden: true });
  private readonly failure = h('div', { class: 'wb-finding wb-error', role: 'alert', hidden: true });
  private readonly why = h('div', { class: 'wb-because' });
  private readonly absent = h('div');
  private readonly table = h('div');
  private readonly speakers = h('div');
  private readonly template = h('select', { class: 'wb-select', 'data-key': 'template' });
  private readonly templateBox = h('label', { class: 'wb-tpl' });
  private readonly rendered = h('div', { class: 'wb-rend' });
  private readonly misfit;
  private readonly more;
  private readonly lengths;
  private readonly code;
  private scan: PickerScan = null;
  private turn: number;

  constructor(
    private state: PickerState,
    private readonly props: PickerProps,
    private readonly trans: Trans
  ) {
    this.turn = state.turn;
    this.misfit = misfitCard(
      {
        state,
        onLeaveOut: row => this.change({ kind: 'leave_out', value: row }),
        onTakeBack: row => this.change({ kind: 'take_back', value: row }),
        onRow: row => this.change({ kind: 'row', value: row })
      },
      trans
    );
    this.more = more({ state, onOption: value => this.change({ kind: 'option', value }) }, trans);
    const onMaxLength = (value: number | null): void => this.change({ kind: 'max_length', value });
    this.lengths = lengthHistogram({ state, onMaxLength }, trans);
    this.code = codeLine({ code: state.code }, trans);
    this.lay();
    this.listen();
    this.draw();
  }

  update(state: PickerState): void {
    const before = this.state;
    this.state = state;
    this.failure.hidden = true;
    this.settle();
    this.draw();
    this.announce(before);
  }

  fail(message: string): void {
    this.turn = this.state.turn;
    this.settle();
    this.failure.replaceChildren(icon('cross'), h('div', { dir: 'auto' }, ...sentence(message)));
    this.failure.hidden = false;
    for (const host of [this.table, this.speakers, this.more.node]) {
      delete host.dataset['shown'];
      host.querySelectorAll<HTMLElement>('[data-shown]').forEach(node => delete node.dataset['shown']);
    }
    this.draw();
    this.more.update(this.state);
  }

  scanned(scan: PickerScan): void {
    this.scan = scan;
    this.about.replaceChildren(...about(this.state, scan, this.trans).filter(child => child !== null));
  }

  dispose(): void {
    this.listeners.abort();
    for (const part of [this.misfit, this.more, this.lengths, this.code]) {
      part.dispose();
    }
  }

  private change(change: PickerChange): void {
    this.turn += 1;
    this.busy.hidden = false;
    this.node.setAttribute('aria-busy', 'true');
    this.props.onChange({ ...change, turn: this.turn });
  }

  /** Whether every change that went out has been answered. */
  private get settled(): boolean {
    return this.state.turn >= this.turn;
  }

  private settle(): void {
    this.busy.hidden = this.settled;
    this.node.toggleAttribute('aria-busy', false);
    if (!this.settled) {
      this.node.setAttribute('aria-busy', 'true');
    }
  }

  /** Say what the last change led to; the line of max_length says it itself. */
  private announce(before: PickerState): void {
    const { state } = this;
    const parts = [this.badge.textContent ?? '', this.absent.textContent ?? '', this.lengths.words()];
    const isQuiet = state.max_length !== before.max_length || state.shown_row?.row !== before.shown_row?.row;
    if (!isQuiet) {
      this.live.say(parts.filter(part => part !== '').join('. '));
    }
  }

  private lay(): void {
    const { trans } = this;
    this.node.setAttribute('aria-label', trans.__('Data'));
    this.type.setAttribute('aria-label', trans.__('Type'));
    this.template.setAttribute('aria-label', trans.__('Chat template'));
    this.busy.textContent = trans.__('reading …');
    this.templateBox.append(h('span', { class: 'wb-h' }, trans.__('Chat template')), this.template);
    const typeLabel = h('label', { class: 'wb-label' }, trans.__('Type'), ' ', this.type);
    this.node.append(
      h(
        'header',
        { class: 'wb-head' },
        this.title,
        this.about,
        h('span', { class: 'wb-spring' }),
        this.busy,
        typeLabel,
        this.badge
      ),
      this.failure,
      h('div', { class: 'wb-why' }, this.why, this.misfit.node),
      this.absent,
      this.table,
      this.speakers,
      h(
        'div',
        { class: 'wb-low wb-sec' },
        this.lengths.node,
        h('div', { class: 'wb-tp' }, this.templateBox, this.rendered)
      ),
      this.more.node,
      this.code.node,
      this.live.node
    );
  }

  private listen(): void {
    const { signal } = this.listeners;
    const hint = this.trans.__('Enter applies it, Escape takes it back.');
    applyOnEnter(this.node, () => this.live.say(hint), signal);
    keepKeys(this.node, signal);
    on(this.type, 'change', () => this.change({ kind: 'type', value: this.type.value }), signal);
    on(this.template, 'change', () => this.change({ kind: 'template', value: this.template.value }), signal);
    on(this.node, 'change', event => this.selected(event.target), signal);
    on(this.why, 'click', event => this.clicked(event.target), signal);
    on(this.rendered, 'click', event => this.showXray(event.target), signal);
  }

  /** A role was chosen, of a column or of a speaker. */
  private selected(target: EventTarget | null): void {
    if (!(target instanceof HTMLSelectElement)) {
      return;
    }
    const { column, speaker } = target.dataset;
    const role = target.value === '' ? null : target.value;
    if (column !== undefined) {
      this.change({ kind: 'role', value: { column, role } });
    } else if (speaker !== undefined) {
      this.change({ kind: 'speaker', value: { spelling: speaker, role } });
    }
  }

  private clicked(target: EventTarget | null): void {
    const type = target instanceof Element ? target.closest<HTMLElement>('[data-type]')?.dataset['type'] : undefined;
    if (type !== undefined) {
      this.change({ kind: 'type', value: type });
    }
  }

  /** The X-ray of the row that is shown is a cell below, like every other line of Python here. */
  private showXray(target: EventTarget | null): void {
    const link = target instanceof Element ? target.closest<HTMLElement>('[data-xray]') : null;
    if (link !== null) {
      void insertCode(link, xrayCode(this.state), this.trans).then(said => this.live.say(said));
    }
  }

  private draw(): void {
    const { state, trans } = this;
    this.title.textContent = state.source.title;
    this.scanned(this.scan);
    this.type.replaceChildren(...typeChoices(state, trans).filter(child => child !== null));
    this.template.replaceChildren(...templateChoices(state, trans).filter(child => child !== null));
    this.templateBox.hidden = state.template.groups.length === 0;
    this.badge.replaceChildren(typeBadge(state, trans));
    keepFocus(this.node, () => this.drawParts());
    this.lengths.update({ state, settled: this.settled });
    this.code.update(state.code);
  }

  private drawParts(): void {
    const { state, trans } = this;
    const { type, types, question, notices, absent, columns, roles, preview } = state;
    redraw(this.why, [type, types, question, notices], () => why(state, trans));
    this.misfit.update(state);
    redraw(this.absent, absent, () => [absentRoles(state, trans)]);
    redraw(this.table, [columns, roles, preview], () => roleTable(state, trans));
    redraw(this.speakers, state.speakers, () => speakers(state, trans));
    this.more.update(state);
    redraw(this.rendered, [state.rendered, state.template, state.code], () => renderedRow(state, trans));
  }
}

export function picker(props: PickerProps, trans: Trans): Picker {
  const card = new PickerCard(props.state, props, trans);
  return {
    node: card.node,
    update: state => card.update(state),
    fail: message => card.fail(message),
    scanned: scan => card.scanned(scan),
    dispose: () => card.dispose()
  };
}
