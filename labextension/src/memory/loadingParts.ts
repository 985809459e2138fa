/** What quantising on load needs: the twin of workbench/memory/loading_parts.py. */
import type { Part, Peak, Settings } from './shapes';
import { restBytes, sum } from './shapes';
import { quantisedModules } from './statics';
import type { Step } from './step';
import { part } from './step';

const TEMPORARIES = 'loading temporaries';

/** Whether loading is a moment of its own: weights are quantised on one device. */
function loadsApart({ device, quantisation, sharding }: Settings): boolean {
  return quantisation !== 'none' && device === 'cuda' && ['none', 'ddp'].includes(sharding ?? 'none');
}

/** Bytes above the weights at the highest moment of loading; none where weights are not quantised. */
export function loadingParts({ settings, shapes }: Step): readonly Part[] {
  if (!loadsApart(settings)) {
    return [];
  }
  const quantised = quantisedModules(shapes);
  const largest = Math.max(0, ...quantised.map(item => item.inputs * item.outputs));
  const load = settings.weight_bytes;
  const once = load * largest + (settings.quantisation === 'int8' ? 2 * largest : 8 * Math.ceil(largest / 64));
  const rest = shapes.total - sum(quantised.map(item => item.copies * item.inputs * item.outputs));
  const cast = restBytes(settings) - load;
  const head = cast ? load * shapes.vocab * shapes.hidden : 0;
  return [
    part(
      TEMPORARIES,
      Math.max(once - cast * rest, head, 0),
      'largest quantised weight whole, with its scales; or w V H while the head is cast to float32',
      { largest, bytes: load, vocab: shapes.vocab, hidden: shapes.hidden },
      'weights reach the device in their own type and are quantised there, one after the other'
    )
  ];
}

/** The moment of loading, where there is one. */
export function loadingMoment({ settings }: Step, size: ReadonlyMap<string, number>): readonly Peak[] {
  if (!loadsApart(settings)) {
    return [];
  }
  const found = ['weights', TEMPORARIES].map(name => [name, size.get(name) ?? 0] as const).filter(([, bytes]) => bytes);
  return [{ name: 'loading', parts: Object.fromEntries(found), bytes: sum(found.map(([, bytes]) => bytes)) }];
}
