/** The fit bar as an anywidget, for hosts that render widgets but not our mime type. */
import { fitBar } from '../components/fitBar';
import { parseFit } from '../wire';
import { cardModule } from './card';

export default cardModule(parseFit, (payload, trans) => fitBar({ payload }, trans));
