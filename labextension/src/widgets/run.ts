/** The run card as an anywidget; Python stands in for the server's routes. */
import { english } from '../components/component';
import { runCard } from '../components/runCard';
import { integer, members, nullable, string } from '../parse';
import { restTransport } from '../runs/transport';
import { parseRun } from '../wire';
import { listenTo } from './afm';
import type { RenderContext, WidgetModel, WidgetModule } from './afm';

/** `{"id","path","method","body"}` to Python, `{"id","status","body"}` back: the routes of docs/wire.md, section 5. */
function request(model: WidgetModel) {
  const waiting = new Map<number, (response: Response) => void>();
  let lastId = 0;
  const stop = listenTo(model, 'msg:custom', message => {
    const answer = members(message, 'answer');
    const id = integer(answer['id'], 'answer.id');
    const status = integer(answer['status'], 'answer.status');
    waiting.get(id)?.(new Response(nullable(string)(answer['body'], 'answer.body'), { status }));
    waiting.delete(id);
  });
  const send = (path: string, init: RequestInit): Promise<Response> =>
    new Promise(resolve => {
      lastId += 1;
      waiting.set(lastId, resolve);
      model.send({
        id: lastId,
        path,
        method: init.method ?? 'GET',
        body: typeof init.body === 'string' ? init.body : null
      });
    });
  return { send, stop };
}

const module: WidgetModule = {
  render: ({ model, el }: RenderContext) => {
    const payload = parseRun(model.get('payload'));
    const { send, stop } = request(model);
    const transport = model.get('inert') === true ? null : restTransport(payload.id, send);
    const card = runCard({ payload, live: payload.live, transport }, english);
    el.append(card.node);
    const stopChanges = listenTo(model, 'change:payload', () => card.update(parseRun(model.get('payload'))));
    return () => {
      stopChanges();
      stop();
      card.dispose();
    };
  }
};

export default module;
