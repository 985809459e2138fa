/** The pair card as an anywidget, for hosts that render widgets but not our mime type. */
import { pairCard } from '../components/pairCard';
import { parsePairs } from '../wire';
import { cardModule } from './card';

export default cardModule(parsePairs, (payload, trans) => pairCard({ payload }, trans));
