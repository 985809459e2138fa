/** The data picker as an anywidget: a change goes to Python as a message, the new state comes back as a trait. */
import { english } from '../components/component';
import { picker } from '../components/picker';
import { members, nullable, string } from '../parse';
import { parsePicker, parseScan } from '../wire';
import { listenTo } from './afm';
import type { RenderContext, WidgetModule } from './afm';

const module: WidgetModule = {
  render: ({ model, el }: RenderContext) => {
    const card = picker({ state: parsePicker(model.get('state')), onChange: change => model.send(change) }, english);
    card.scanned(parseScan(model.get('scan')));
    el.append(card.node);
    const stops = [
      listenTo(model, 'change:state', () => card.update(parsePicker(model.get('state')))),
      listenTo(model, 'change:scan', () => card.scanned(parseScan(model.get('scan')))),
      listenTo(model, 'msg:custom', message => {
        const error = nullable(string)(members(message, 'message')['error'], 'message.error');
        if (error !== null) {
          card.fail(error);
        }
      })
    ];
    return () => {
      stops.forEach(stop => stop());
      card.dispose();
    };
  }
};

export default module;
