/** The controls of the X-ray: conversation, row, generation prompt, comparison. */
import type { TemplatePayload, XrayAsk } from '../wire';
import { formatNumber, h, on } from './component';
import type { Trans } from './component';

export interface BarActions {
  conversation(name: string, row: number | null): void;
  generationPrompt(on: boolean): void;
  against(name: string | null): void;
}

export interface XrayBar {
  readonly conversation: HTMLElement;
  readonly prompt: HTMLElement;
  readonly against: HTMLElement;
  update(payload: TemplatePayload, ask: XrayAsk): void;
  dispose(): void;
}

const ROW = 'row';

function conversationName(name: string, trans: Trans): string {
  const known: Readonly<Record<string, string>> = {
    one_turn: trans.__('one turn'),
    several_turns: trans.__('several turns'),
    system: trans.__('system message'),
    tool_call: trans.__('tool call'),
    thinking: trans.__('thinking'),
    typed_content: trans.__('typed content'),
    own: trans.__('yours')
  };
  return known[name] ?? name;
}

export function xrayBar(actions: BarActions, trans: Trans): XrayBar {
  const listeners = new AbortController();
  const { signal } = listeners;
  const select = h('select', { class: 'wb-select', 'aria-label': trans.__('Conversation') });
  const row = h('input', {
    class: 'wb-input wb-rowno',
    inputmode: 'numeric',
    'aria-label': trans.__('Data row'),
    size: 4
  });
  const count = h('span', { class: 'wb-sub wb-num' });
  const prompt = h(
    'button',
    { class: 'wb-switch', type: 'button', role: 'switch' },
    h('i'),
    trans.__('Generation prompt')
  );
  const other = h('select', { class: 'wb-select', 'aria-label': trans.__('Compare with') });
  let shown: { readonly payload: TemplatePayload; readonly ask: XrayAsk } | null = null;

  const rowNumber = (): number => Math.max(0, Number(row.value.replace(/\D/g, '')) || 0);
  on(select, 'change', () => actions.conversation(select.value, select.value === ROW ? rowNumber() : null), signal);
  const goToRow = (): void => {
    if (rowNumber() !== shown?.ask.row) {
      actions.conversation(ROW, rowNumber());
    }
  };
  on(row, 'change', goToRow, signal);
  on(prompt, 'click', () => actions.generationPrompt(prompt.getAttribute('aria-checked') !== 'true'), signal);
  on(other, 'change', () => actions.against(other.value === '' ? null : other.value), signal);

  /** A hundred names cost nodes: they are put in when somebody is about to choose. */
  const fill = (): void => {
    if (shown !== null && other.options.length <= 2) {
      const { payload, ask } = shown;
      other.replaceChildren(
        h('option', { value: '' }, trans.__('nothing')),
        ...payload.templates.map(name => h('option', { value: name, selected: name === ask.against }, name))
      );
    }
  };
  on(other, 'focus', fill, signal);
  on(other, 'pointerdown', fill, signal);

  return {
    conversation: h(
      'span',
      { class: 'wb-grp' },
      h('span', { class: 'wb-sub', 'aria-hidden': 'true' }, trans.__('Conversation')),
      select,
      row,
      count
    ),
    prompt,
    against: h(
      'span',
      { class: 'wb-grp' },
      h('span', { class: 'wb-sub', 'aria-hidden': 'true' }, trans.__('Compare with')),
      other
    ),
    update: (payload, ask) => {
      shown = { payload, ask };
      const { rows } = payload;
      select.replaceChildren(
        ...payload.conversations.map(name =>
          h('option', { value: name, selected: name === ask.conversation }, conversationName(name, trans))
        ),
        ...(rows === null
          ? []
          : [h('option', { value: ROW, selected: ask.conversation === ROW }, trans.__('a row of %1', rows.title))])
      );
      row.hidden = count.hidden = ask.conversation !== ROW || rows === null;
      row.value = String(ask.row ?? 0);
      count.textContent = rows === null ? '' : trans.__('of %1', formatNumber(rows.count));
      prompt.setAttribute('aria-checked', String(ask.generation_prompt));
      const chosen = ask.against;
      if (other.options.length <= 2) {
        other.replaceChildren(
          h('option', { value: '', selected: chosen === null }, trans.__('nothing')),
          ...(chosen === null ? [] : [h('option', { value: chosen, selected: true }, chosen)])
        );
      } else {
        other.value = chosen ?? '';
      }
    },
    dispose: () => listeners.abort()
  };
}
