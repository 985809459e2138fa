/** The token-mask viewer as an anywidget, for hosts that render widgets but not our mime type. */
import { REQUEST_EVENT } from '../components/askKernel';
import type { RequestDetail } from '../components/askKernel';
import { english } from '../components/component';
import { tokenViewer } from '../components/tokenViewer';
import { parseAnswer, parseTokens } from '../wire';
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
    const { id } = parseAnswer(message);
    waiting.get(id)?.resolve(message);
    waiting.delete(id);
  });
  return () => {
    el.removeEventListener(REQUEST_EVENT, ask);
    stop();
    waiting.forEach(detail => detail.reject(new Error('The view was closed.')));
  };
}

const module: WidgetModule = {
  render: ({ model, el }: RenderContext) => {
    const viewer = tokenViewer({ payload: parseTokens(model.get('payload')) }, english);
    el.append(viewer.node);
    const stopAnswers = answerRequests(el, model);
    const stopChanges = listenTo(model, 'change:payload', () => viewer.update(parseTokens(model.get('payload'))));
    return () => {
      stopChanges();
      stopAnswers();
      viewer.dispose();
    };
  }
};

export default module;
