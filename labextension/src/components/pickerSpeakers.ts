/** Who speaks in the conversations: every spelling of a role with its count, and which role it means. */
import type { PickerState } from '../wire';
import { formatNumber, h, icon } from './component';
import type { Child, Trans } from './component';

type Speaker = PickerState['speakers']['found'][number];

function speakerItem(speaker: Speaker, roles: readonly string[], trans: Trans): HTMLElement {
  const isUnknown = speaker.role === null;
  const select = h('select', {
    class: 'wb-select',
    'data-speaker': speaker.spelling,
    'data-key': `speaker-${speaker.spelling}`,
    'aria-label': trans.__('Role of speaker %1', speaker.spelling)
  });
  select.append(
    ...(isUnknown ? [h('option', { value: '', selected: true, disabled: true }, trans.__('choose'))] : []),
    ...roles.map(role => h('option', { value: role, selected: role === speaker.role }, role))
  );
  return h(
    'li',
    { class: isUnknown ? 'wb-speaker wb-unknown' : 'wb-speaker' },
    isUnknown ? icon('unknown') : null,
    h('code', { dir: 'auto' }, speaker.spelling),
    h('span', { class: 'wb-sub' }, trans._n('%2 message', '%2 messages', speaker.count, formatNumber(speaker.count))),
    h('span', { class: 'wb-arr', 'aria-hidden': 'true' }, '→'),
    select,
    isUnknown ? h('span', { class: 'wb-sub' }, trans.__('unknown')) : null
  );
}

/** The strip; nothing where the rows are no conversations. */
export function speakers(state: PickerState, trans: Trans): Child[] {
  const { found, roles } = state.speakers;
  if (found.length === 0) {
    return [];
  }
  return [
    h(
      'div',
      { class: 'wb-bar wb-speakers' },
      h('h4', { class: 'wb-h' }, trans.__('Who speaks')),
      h('ul', {}, ...found.map(item => speakerItem(item, roles, trans)))
    )
  ];
}
