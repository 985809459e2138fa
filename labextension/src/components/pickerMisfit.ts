/** Rows that do not fit, one at a time: its values, the offending one marked, and what to do with it. */
import type { PickerState } from '../wire';
import { formatNumber, h, icon, on } from './component';
import type { Component, Trans } from './component';
import { cellNode, redraw, rowName, sentence } from './pickerWords';

type Misfit = PickerState['misfits']['rows'][number];

export interface MisfitProps {
  onLeaveOut(row: number): void;
  onTakeBack(row: number): void;
  /** Show a row whole, or none. */
  onRow(row: number | null): void;
}

function valueTerms(values: Misfit['values'], trans: Trans): HTMLElement {
  return h(
    'dl',
    { class: 'wb-values' },
    ...values.flatMap(item => [
      h('dt', { dir: 'auto' }, item.name),
      item.bad ? h('dd', {}, h('mark', {}, cellNode(item.cell, trans))) : h('dd', {}, cellNode(item.cell, trans))
    ])
  );
}

class MisfitCard {
  readonly node = h('div', { class: 'wb-misfit' });
  private readonly card = h('div');
  private readonly leftOut = h('div', { class: 'wb-left' });
  private row: number | null = null;

  constructor(
    private state: PickerState,
    private readonly props: MisfitProps,
    private readonly trans: Trans,
    signal: AbortSignal
  ) {
    this.node.append(this.card, this.leftOut);
    on(this.node, 'click', event => this.click(event), signal);
    this.update(state);
  }

  update(state: PickerState): void {
    this.state = state;
    const misfit = this.current();
    this.row = misfit?.row ?? null;
    this.node.hidden = misfit === null && state.left_out.length === 0;
    redraw(this.card, [misfit, state.shown_row, state.misfits.total], () =>
      misfit === null ? [] : [this.drawn(misfit)]
    );
    redraw(this.leftOut, state.left_out, () => (state.left_out.length === 0 ? [] : [this.leftOutRows()]));
  }

  private current(): Misfit | null {
    const { rows } = this.state.misfits;
    return (
      rows.find(item => item.row === this.row) ?? rows.find(item => item.row > (this.row ?? -1)) ?? rows[0] ?? null
    );
  }

  private click(event: MouseEvent): void {
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-do]') : null;
    const row = Number(button?.dataset['row'] ?? Number.NaN);
    const { props } = this;
    const actions: Readonly<Record<string, () => void>> = {
      'leave-out': () => props.onLeaveOut(row),
      'take-back': () => props.onTakeBack(row),
      row: () => props.onRow(this.state.shown_row?.row === row ? null : row),
      previous: () => this.step(-1),
      next: () => this.step(1)
    };
    actions[button?.dataset['do'] ?? '']?.();
  }

  private step(by: number): void {
    const { rows } = this.state.misfits;
    const at = rows.findIndex(item => item.row === this.row);
    this.row = rows[(at + by + rows.length) % rows.length]?.row ?? null;
    const active = document.activeElement;
    const key = active instanceof HTMLElement ? active.dataset['do'] : undefined;
    this.update(this.state);
    if (key !== undefined) {
      this.card.querySelector<HTMLElement>(`[data-do="${key}"]`)?.focus();
    }
  }

  private drawn(misfit: Misfit): HTMLElement {
    const { trans, state } = this;
    const { finding, row } = misfit;
    const whole = state.shown_row?.row === row ? state.shown_row.values : null;
    return h(
      'div',
      {
        class: `wb-finding ${finding.severity === 'error' ? '' : 'wb-warning'}`.trim(),
        role: 'group',
        'aria-label': trans.__('A row that does not fit')
      },
      icon('warning'),
      h(
        'div',
        {},
        h(
          'div',
          { class: 'wb-lh' },
          h('span', {}, h('span', { class: 'wb-code-no' }, finding.code), this.title(row)),
          h('span', { class: 'wb-spring' }),
          this.walk(row)
        ),
        h('div', whole === null ? {} : { class: 'wb-whole', tabindex: 0 }, valueTerms(whole ?? misfit.values, trans)),
        h('p', { dir: 'auto' }, ...sentence(finding.message), ' ', ...sentence(finding.remedy)),
        h('div', { class: 'wb-acts' }, this.action('leave-out', row), this.action('row', row))
      )
    );
  }

  private title(row: number): HTMLElement {
    return h('b', { class: 'wb-h' }, this.trans.__('Row %1 does not fit.', formatNumber(row)));
  }

  private action(what: 'leave-out' | 'row', row: number): HTMLElement {
    const { trans, state } = this;
    if (what === 'leave-out') {
      return h(
        'button',
        { class: 'wb-btn', type: 'button', 'data-do': what, 'data-key': what, 'data-row': row },
        trans.__('Leave it out')
      );
    }
    const isOpen = state.shown_row?.row === row;
    return h(
      'button',
      {
        class: 'wb-btn wb-quiet',
        type: 'button',
        'data-do': what,
        'data-key': 'show-row',
        'data-row': row,
        'aria-expanded': String(isOpen)
      },
      isOpen ? trans.__('Hide row') : trans.__('Show row')
    );
  }

  /** Previous and next counter-example, where there are several. */
  private walk(row: number): HTMLElement | null {
    const { rows, total } = this.state.misfits;
    if (rows.length < 2) {
      return null;
    }
    const at = rows.findIndex(item => item.row === row) + 1;
    const words = this.trans.__('%1 of %2', formatNumber(at), formatNumber(total));
    const button = (what: 'previous' | 'next', label: string): HTMLElement =>
      h(
        'button',
        { class: 'wb-btn wb-quiet wb-icon', type: 'button', 'data-do': what, 'data-key': what, 'aria-label': label },
        icon(what)
      );
    return h(
      'span',
      { class: 'wb-walk' },
      button('previous', this.trans.__('Previous row that does not fit')),
      h('span', { class: 'wb-sub wb-num' }, words),
      button('next', this.trans.__('Next row that does not fit'))
    );
  }

  private leftOutRows(): HTMLElement {
    const { trans, state } = this;
    const buttons = state.left_out.map(row =>
      h(
        'button',
        {
          class: 'wb-btn wb-quiet',
          type: 'button',
          'data-do': 'take-back',
          'data-key': `take-back-${row}`,
          'data-row': row,
          'aria-label': trans.__('Take row %1 back', formatNumber(row))
        },
        rowName(row, trans),
        icon('cross')
      )
    );
    return h('div', { class: 'wb-acts' }, h('span', { class: 'wb-label' }, trans.__('Left out:')), ...buttons);
  }
}

export function misfitCard(props: MisfitProps & { readonly state: PickerState }, trans: Trans): Component<PickerState> {
  const listeners = new AbortController();
  const card = new MisfitCard(props.state, props, trans, listeners.signal);
  return { node: card.node, update: state => card.update(state), dispose: () => listeners.abort() };
}
