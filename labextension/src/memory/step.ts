/** One training step, as the closed form sees it: the twin of workbench/memory/step.py. */
import { applied, mlpTemporaries } from './fused';
import type { Coefficients } from './saved';
import { adaptsExperts } from './saved';
import type { Part, Settings, Shapes } from './shapes';
import { adapterBytes, computeBytes, outputBytes, restBytes, tokensOf, trainsAll } from './shapes';
import { gradientBytes, targetsOf, trainedParameters } from './statics';

/** Everything the parts are computed from; sizes in bytes. */
export interface Step {
  readonly shapes: Shapes;
  readonly settings: Settings;
  readonly saved: Coefficients;
  readonly tokens: number;
  readonly full: boolean;
  readonly trained: number;
  readonly gradients: number;
  readonly headElements: number;
}

export function stepOf(shapes: Shapes, settings: Settings, saved: Coefficients): Step {
  const trained = trainedParameters(shapes, settings);
  return {
    shapes,
    settings,
    saved,
    tokens: tokensOf(settings),
    full: trainsAll(settings),
    trained,
    gradients: gradientBytes(shapes, settings),
    headElements: shapes.vocab * shapes.hidden
  };
}

export function part(
  name: string,
  bytes: number,
  formula: string,
  inputs: Readonly<Record<string, number>>,
  source: string
): Part {
  return { name, bytes, formula, inputs, source };
}

/** What the temporaries of a layer's MLP depend on. */
interface Widths {
  readonly compute: number;
  readonly out: number;
  readonly rest: number;
  readonly adapter: number;
  readonly wide: number;
  readonly adapted: boolean;
}

function widthsOf({ settings, shapes }: Step): Widths {
  return {
    compute: computeBytes(settings),
    out: outputBytes(settings),
    rest: restBytes(settings),
    adapter: adapterBytes(settings),
    wide: shapes.experts ? shapes.experts.chosen * shapes.experts.intermediate : shapes.intermediate,
    adapted: targetsOf(shapes, settings).some(item => item.reads === 'product')
  };
}

/** Bytes above what a layer saves at the highest moment of its MLP in forward. */
export function layerForward(step: Step): number {
  const { settings, shapes, tokens } = step;
  const fused = applied(shapes, settings);
  if (fused.mlp) {
    return mlpTemporaries(shapes, settings, fused)[0];
  }
  const widths = widthsOf(step);
  const { compute, out, wide, adapted } = widths;
  const cast = adapted && out === 2 && widths.adapter === 4 && settings.autocast ? 4 : 0;
  const streams = settings.checkpointing ? (settings.autocast ? 5 : 4) : 7;
  const outputs = streams * compute * shapes.hidden;
  const copy = settings.checkpointing ? cast : out;
  const dropped = settings.dropout && cast ? copy * wide * tokens : 0;
  const unit = settings.adapter === 'dora' && adapted ? (settings.autocast ? 6 : 4) * shapes.intermediate ** 2 : 0;
  return ((product(step, widths) + cast) * wide + outputs) * tokens + dropped + unit;
}

/** Bytes a feature of the MLP's product, where nothing keeps it anyway. */
function product({ full, settings }: Step, { adapted, adapter, out }: Widths): number {
  const own = adapted && out === adapter && (out === 2 || !settings.autocast);
  return full || own || settings.quantisation === 'int8' ? 0 : out;
}

/** Bytes above what a layer saves at the highest moment of its MLP in backward. */
export function layerBackward(step: Step): number {
  const { settings, shapes, tokens } = step;
  const fused = applied(shapes, settings);
  if (fused.mlp) {
    return mlpTemporaries(shapes, settings, fused)[1];
  }
  const { compute, out, rest, adapter, wide, adapted } = widthsOf(step);
  const matrix = shapes.hidden * shapes.intermediate;
  const dequantised = settings.quantisation === 'nf4' ? compute * matrix : 0;
  const gathered = shapes.experts && adaptsExperts(shapes, settings);
  const width = gathered ? Math.max(wide, (shapes.experts?.chosen ?? 0) * shapes.hidden) : wide;
  const steps = gathered ? 3 * compute : fused.glu ? out : activationSteps(step, out);
  const freed = gathered ? 0 : freedInput(step, adapted, compute);
  const copied = adapted && out === 2 && adapter === 4 ? (4 + out) * width + 2 * rest * shapes.hidden : 0;
  const int8 = settings.quantisation === 'int8' ? rest * matrix + 2 * (out * width + rest * shapes.hidden) * tokens : 0;
  return Math.max(
    ((steps - freed) * width + rest * shapes.hidden) * tokens,
    copied * tokens,
    dequantised + out * width * tokens,
    int8
  );
}

function activationSteps({ settings, shapes }: Step, out: number): number {
  if (shapes.gated || shapes.gelu !== 'steps') {
    return (shapes.gated ? 3 : shapes.gelu === 'quick' ? 4 : 2) * out;
  }
  return settings.autocast ? 14 : 5 * out;
}

function freedInput({ full, settings, shapes }: Step, adapted: boolean, compute: number): number {
  if (adapted) {
    return settings.autocast ? 2 : 4;
  }
  return full && shapes.gated ? compute : 0;
}
