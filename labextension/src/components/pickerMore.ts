/** Options that few need, behind one word; only those that have an effect on rows of this type are there. */
import type { PickerChange, PickerState } from '../wire';
import { h, on } from './component';
import type { Component, Trans } from './component';
import { redraw } from './pickerWords';

type Option = PickerState['options'][number];

function labels(trans: Trans): Readonly<Record<string, string>> {
  return {
    train_on: trans.__('Trained'),
    train_on_eos: trans.__('Stop tokens trained'),
    train_on_inputs: trans.__('Train what every role says'),
    split_thinking: trans.__('Take <think> blocks out of the answer'),
    drop_system_message: trans.__('Leave system messages out'),
    default_system_message: trans.__('System message where there is none'),
    pieces: trans.__('Prompt and answer are tokenized'),
    long_text: trans.__('Text longer than max_length'),
    train_on_last_step_only: trans.__('Label the last step only')
  };
}

function choiceWords(trans: Trans): Readonly<Record<string, string>> {
  return {
    'train_on:assistant': trans.__('every answer'),
    'train_on:last_assistant': trans.__('the last answer'),
    'train_on:completion': trans.__('the completion'),
    'train_on:all': trans.__('everything'),
    'train_on_eos:turn': trans.__('of trained turns'),
    'train_on_eos:all': trans.__('of all turns'),
    'train_on_eos:last': trans.__('of the last turn'),
    'train_on_eos:none': trans.__('none'),
    'pieces:joined': trans.__('as one text'),
    'pieces:separate': trans.__('one by one'),
    'long_text:chunk': trans.__('goes on in a next row'),
    'long_text:cut': trans.__('is cut')
  };
}

function control(option: Option, label: string, words: Readonly<Record<string, string>>): HTMLElement {
  const key = { 'data-option': option.name, 'data-key': `option-${option.name}`, 'aria-label': label };
  switch (option.kind) {
    case 'flag':
      return h('input', { ...key, type: 'checkbox', checked: option.value === true });
    case 'text':
      return h('input', { ...key, type: 'text', class: 'wb-input', value: String(option.value ?? '') });
    case 'choice':
      return h(
        'select',
        { ...key, class: 'wb-select' },
        ...option.choices.map(choice =>
          h('option', { value: choice, selected: choice === option.value }, words[`${option.name}:${choice}`] ?? choice)
        )
      );
  }
}

export interface MoreProps {
  readonly state: PickerState;
  onOption(value: Extract<PickerChange, { kind: 'option' }>['value']): void;
}

export function more(props: MoreProps, trans: Trans): Component<PickerState> {
  const listeners = new AbortController();
  const body = h('div', { class: 'wb-opts' });
  const node = h(
    'details',
    { class: 'wb-further wb-sec' },
    h('summary', { 'data-key': 'more' }, h('span', { class: 'wb-h' }, trans.__('More'))),
    body
  );
  let shown: readonly Option[] = [];
  const sent = new Map<string, string | boolean | null>();
  const update = (state: PickerState): void => {
    shown = state.options;
    sent.clear();
    node.hidden = state.options.length === 0;
    redraw(body, state.options, () =>
      state.options.map(option => {
        const label = labels(trans)[option.name] ?? option.name;
        const made = control(option, label, choiceWords(trans));
        const parts = option.kind === 'flag' ? [made, ' ', label] : [label, ' ', made];
        return h('label', { class: 'wb-opt', title: option.name }, ...parts);
      })
    );
  };
  on(
    body,
    'change',
    event => {
      const target = event.target;
      const name = target instanceof HTMLElement ? target.dataset['option'] : undefined;
      if (name === undefined) {
        return;
      }
      if (target instanceof HTMLInputElement) {
        const text = target.value === '' ? null : target.value;
        const value = target.type === 'checkbox' ? target.checked : text;
        if (value !== (sent.get(name) ?? shown.find(option => option.name === name)?.value ?? null)) {
          sent.set(name, value);
          props.onOption({ name, value });
        }
      } else if (target instanceof HTMLSelectElement) {
        props.onOption({ name, value: target.value });
      }
    },
    listeners.signal
  );
  update(props.state);
  return { node, update, dispose: () => listeners.abort() };
}
