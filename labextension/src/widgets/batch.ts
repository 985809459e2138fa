/** A batch as an anywidget, for hosts that render widgets but not our mime type. */
import { batchCard } from '../components/batchCard';
import { parseBatch } from '../wire';
import { cardModule } from './card';

export default cardModule(parseBatch, (payload, trans) => batchCard({ payload }, trans));
