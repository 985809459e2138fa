/**
 * Did it understand my data? Type with its evidence, roles of columns, lengths, template.
 *
 * The picker decides nothing: a change goes out by `onChange`, and a new state comes back.
 */
import type { PickerChange, PickerState } from '../wire';
import { codeLine } from './codeLine';
import { formatBytes, formatNumber, h, icon, liveRegion, on } from './component';
import type { Component, Trans } from './component';
import { lengthHistogram } from './lengthHistogram';
import { evidence, renderedRow, roleTable, typeBadge } from './pickerParts';

export interface PickerProps {
  readonly state: PickerState;
  onChange(change: PickerChange): void;
}

export interface Picker extends Component<PickerState> {
  /** Say that the last change was refused, and show the state as it was. */
  fail(message: string): void;
}

function options(
  select: HTMLSelectElement,
  choices: readonly (readonly [string, string])[],
  chosen: string | null
): void {
  const known =
    chosen === null || choices.some(([value]) => value === chosen) ? choices : [[chosen, chosen] as const, ...choices];
  const empty = chosen === null ? [h('option', { value: '', selected: true, disabled: true }, '–')] : [];
  select.replaceChildren(
    ...empty,
    ...known.map(([value, label]) => h('option', { value, selected: value === chosen }, label))
  );
}

/** Run a change of the DOM and give the focus back to the control that had it. */
function keepFocus(root: HTMLElement, change: () => void): void {
  const active = document.activeElement;
  const key = active instanceof HTMLElement && root.contains(active) ? active.dataset['key'] : undefined;
  change();
  if (key !== undefined) {
    [...root.querySelectorAll<HTMLElement>('[data-key]')].find(node => node.dataset['key'] === key)?.focus();
  }
}

class PickerCard {
  readonly node = h('section', { class: 'wb-card wb-pick' });
  private readonly listeners = new AbortController();
  private readonly live = liveRegion();
  private readonly title = h('h3', { class: 'wb-title', dir: 'auto' });
  private readonly about = h('span', { class: 'wb-sub' });
  private readonly type = h('select', { class: 'wb-select' });
  private readonly badge = h('span', { class: 'wb-badgebox' });
  private readonly failure = h('div', { class: 'wb-finding wb-error', hidden: true });
  private readonly middle = h('div', { class: 'wb-mid' });
  private readonly template = h('select', { class: 'wb-select' });
  private readonly rendered = h('div', { class: 'wb-rend' });
  private readonly lengths;
  private readonly code;

  constructor(
    private state: PickerState,
    private readonly props: PickerProps,
    private readonly trans: Trans
  ) {
    this.lengths = lengthHistogram(
      { state, onMaxLength: value => props.onChange({ kind: 'max_length', value }) },
      trans
    );
    this.code = codeLine({ code: state.code }, trans);
    this.lay();
    this.listen();
    this.draw();
  }

  update(state: PickerState): void {
    this.state = state;
    this.failure.hidden = true;
    this.draw();
    this.live.say(this.badge.textContent ?? '');
  }

  fail(message: string): void {
    this.failure.replaceChildren(icon('cross'), h('div', { dir: 'auto' }, message));
    this.failure.hidden = false;
    this.draw();
    this.live.say(message);
  }

  dispose(): void {
    this.listeners.abort();
    this.lengths.dispose();
    this.code.dispose();
  }

  private lay(): void {
    const { trans } = this;
    this.node.setAttribute('aria-label', trans.__('Data'));
    const typeLabel = h('label', { class: 'wb-label' }, trans.__('Type'), ' ', this.type);
    const templateLabel = h(
      'label',
      { class: 'wb-tpl' },
      h('span', { class: 'wb-h' }, trans.__('Chat template')),
      this.template
    );
    this.node.append(
      h(
        'header',
        { class: 'wb-head' },
        this.title,
        this.about,
        h('span', { class: 'wb-spring' }),
        typeLabel,
        this.badge
      ),
      this.failure,
      this.middle,
      h(
        'div',
        { class: 'wb-low wb-sec' },
        this.lengths.node,
        h('div', { class: 'wb-tp' }, templateLabel, this.rendered)
      ),
      this.code.node,
      this.live.node
    );
  }

  private listen(): void {
    const { signal } = this.listeners;
    on(this.type, 'change', () => this.props.onChange({ kind: 'type', value: this.type.value }), signal);
    on(this.template, 'change', () => this.props.onChange({ kind: 'template', value: this.template.value }), signal);
    on(
      this.middle,
      'change',
      event => {
        const select = event.target;
        const column = select instanceof HTMLSelectElement ? select.dataset['column'] : undefined;
        if (select instanceof HTMLSelectElement && column !== undefined) {
          this.props.onChange({ kind: 'role', value: { column, role: select.value === '' ? null : select.value } });
        }
      },
      signal
    );
    on(
      this.middle,
      'click',
      event => {
        const link = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-type]') : null;
        const type = link?.dataset['type'];
        if (type !== undefined) {
          this.props.onChange({ kind: 'type', value: type });
        }
      },
      signal
    );
  }

  private draw(): void {
    const { state, trans } = this;
    const { source } = state;
    const size = source.bytes === null ? '' : `, ${formatBytes(source.bytes)}`;
    this.title.textContent = source.title;
    this.about.replaceChildren(
      h('b', {}, formatNumber(source.rows)),
      ` ${trans._n('row', 'rows', source.rows)}, ${trans._n('%1 column', '%1 columns', source.columns)}${size}`
    );
    options(
      this.type,
      state.types.map(item => [item.name, item.label] as const),
      state.type
    );
    options(
      this.template,
      state.template.choices.map(name => [name, name] as const),
      state.template.name
    );
    this.badge.replaceChildren(typeBadge(state, trans));
    keepFocus(this.node, () => this.middle.replaceChildren(evidence(state, trans), roleTable(state, trans)));
    this.lengths.update(state);
    this.rendered.replaceChildren(renderedRow(state, trans));
    this.code.update(state.code);
  }
}

export function picker(props: PickerProps, trans: Trans): Picker {
  const card = new PickerCard(props.state, props, trans);
  return {
    node: card.node,
    update: state => card.update(state),
    fail: message => card.fail(message),
    dispose: () => card.dispose()
  };
}
