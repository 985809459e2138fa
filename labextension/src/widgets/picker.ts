/** The data picker as an anywidget: a change goes to Python as a message, the new state comes back as a trait. */
import { english } from '../components/component';
import { picker } from '../components/picker';
import { members, nullable, string } from '../parse';
import { parsePicker } from '../wire';
import { listenTo } from './afm';
import type { RenderContext, WidgetModule } from './afm';

const module: WidgetModule = {
  render: ({ model, el }: RenderContext) => {
    const card = picker({ state: parsePicker(model.get('state')), onChange: change => model.send(change) }, english);
    el.append(card.node);
    const stopChanges = listenTo(model, 'change:state', () => card.update(parsePicker(model.get('state'))));
    const stopRefusals = listenTo(model, 'msg:custom', message => {
      const error = nullable(string)(members(message, 'message')['error'], 'message.error');
      if (error !== null) {
        card.fail(error);
      }
    });
    return () => {
      stopChanges();
      stopRefusals();
      card.dispose();
    };
  }
};

export default module;
