/** The template card as an anywidget, for hosts that render widgets but not our mime type. */
import { xray } from '../components/xray';
import { parseTemplate } from '../wire';
import { cardModule } from './card';

export default cardModule(parseTemplate, xray);
