/** A card as an anywidget: shows the trait `payload`, and carries the card's questions to Python as messages. */
import { REQUEST_EVENT } from '../components/askKernel';
import type { RequestDetail } from '../components/askKernel';
import { english } from '../components/component';
import type { Component, Trans } from '../components/component';
import { escapeLeaves } from '../components/tokenKeys';
import { parseEnvelope } from '../wire';
import { listenTo } from './afm';
import type { RenderContext, WidgetModel, WidgetModule } from './afm';

function isRequest(event: Event): event is CustomEvent<RequestDetail> {
  return event instanceof CustomEvent && event.type === REQUEST_EVENT;
}

/** Questions go to Python as messages; answers come back by their id. */
function answerRequests(el: HTMLElement, model: WidgetModel): () => void {
  const waiting = new Map<number, RequestDetail>();
  let lastId = 0;
  const ask = (event: Event): void => {
    if (isRequest(event)) {
      event.preventDefault();
      event.stopPropagation();
      lastId += 1;
      waiting.set(lastId, event.detail);
      model.send({ id: lastId, handle: event.detail.handle, ...event.detail.message });
    }
  };
  el.addEventListener(REQUEST_EVENT, ask);
  const stop = listenTo(model, 'msg:custom', message => {
    const { id } = parseEnvelope(message);
    waiting.get(id)?.resolve(message);
    waiting.delete(id);
  });
  return () => {
    el.removeEventListener(REQUEST_EVENT, ask);
    stop();
    waiting.forEach(detail => detail.reject(new Error('The view was closed.')));
  };
}

/** The module of a card whose component takes a whole payload. */
export function cardModule<T>(
  parse: (value: unknown) => T,
  make: (payload: T, trans: Trans) => Component<T>
): WidgetModule {
  return {
    render: ({ model, el }: RenderContext) => {
      const card = make(parse(model.get('payload')), english);
      el.append(card.node);
      const stopAnswers = answerRequests(el, model);
      const stopKeys = escapeLeaves(el);
      const stopChanges = listenTo(model, 'change:payload', () => card.update(parse(model.get('payload'))));
      return () => {
        stopChanges();
        stopAnswers();
        stopKeys();
        card.dispose();
      };
    }
  };
}
