/** The token-mask viewer as an anywidget, for hosts that render widgets but not our mime type. */
import { tokenViewer } from '../components/tokenViewer';
import { parseTokens } from '../wire';
import { cardModule } from './card';

export default cardModule(parseTokens, (payload, trans) => tokenViewer({ payload }, trans));
