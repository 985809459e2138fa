/** What of a step's kept activations is on the device where they wait in host memory: the twin of offloaded.py. */
import { applied, joined } from './fused';
import type { Fused } from './kernels';
import type { Part, Settings, Shapes } from './shapes';
import { adapterBytes, computeBytes, outputBytes, restBytes, trainsAll } from './shapes';
import { targetsOf } from './statics';
import type { Step } from './step';
import { part } from './step';

/** Kept activations on the device. */
export function offloadedPart({ settings, shapes, tokens }: Step): Part {
  const { layers } = shapes;
  const fused = applied(shapes, settings);
  const passing = fused.mlp ? 2 : 3;
  const { checkpointing } = settings;
  const twice = checkpointing ? 0 : keptTwice(shapes, settings, fused);
  const inputs = restBytes(settings) * shapes.hidden * Math.min(fused.stays, layers);
  const bytes = checkpointing ? inputs : layers * twice + passing * outputBytes(settings) * shapes.intermediate;
  return part(
    'activations',
    bytes * tokens,
    checkpointing ? `${fused.stays} x w H tokens` : `(layers x what two operators keep + ${passing} o I) tokens`,
    { layers, tokens, twice },
    'kept tensors wait in host memory; these are still, or stay, on the device'
  );
}

/** Bytes a token and layer that two operators keep. */
function keptTwice(shapes: Shapes, settings: Settings, fused: Fused): number {
  const { hidden } = shapes;
  const c = computeBytes(settings);
  const query = c * shapes.heads * shapes.head_dim;
  const norms = fused.norms || shapes.norm === 'layer' ? 0 : 4 * shapes.norms * hidden;
  const inside = joined(fused);
  if (trainsAll(settings)) {
    const alike = c === restBytes(settings) && shapes.norm !== 'layer';
    return norms + query + (alike ? 2 * c * hidden : 0);
  }
  const kernels = fused.copies ? (Number(fused.mlp) + Number(fused.qkv)) * restBytes(settings) * hidden : 0;
  return norms + kernels + (inside.has('o_proj') ? query : 0) + readBySeveral(shapes, settings, inside);
}

/** Bytes of activations that several LoRA matrices keep as they are. */
function readBySeveral(shapes: Shapes, settings: Settings, inside: ReadonlySet<string>): number {
  const low = adapterBytes(settings) === 2;
  const rest = restBytes(settings);
  if (!(low ? rest === 2 : !settings.autocast && rest === 4) || settings.dropout) {
    return 0;
  }
  const reads = targetsOf(shapes, settings)
    .filter(item => !inside.has(item.name))
    .map(item => item.reads);
  const count = (word: string): number => reads.filter(item => item === word).length;
  const several = ['attention input', 'mlp input'].filter(word => count(word) > 1).length;
  const output = count('attention output') ? shapes.heads * shapes.head_dim : 0;
  return adapterBytes(settings) * (several * shapes.hidden + output);
}
