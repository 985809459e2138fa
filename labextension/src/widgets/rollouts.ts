/** The rollouts card as an anywidget, for hosts that render widgets but not our mime type. */
import { rolloutsCard } from '../components/rolloutsCard';
import { parseRollouts } from '../wire';
import { cardModule } from './card';

export default cardModule(parseRollouts, (payload, trans) => rolloutsCard({ payload }, trans));
