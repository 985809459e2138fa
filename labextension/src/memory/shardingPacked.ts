/** Quantised weights over several devices: the twin of workbench/memory/sharding_packed.py, with the sources. */
import type { Linear, Settings, Shapes } from './shapes';
import { computeBytes, sum, UnknownError } from './shapes';
import { packedBytes } from './statics';

const STORAGES: Readonly<Record<string, number>> = { uint8: 1, bfloat16: 2, float16: 2, float32: 4 };

function storageSize(settings: Settings): number {
  return STORAGES[settings.bnb_4bit_quant_storage ?? 'uint8'] ?? 1;
}

/** Whether the module's weight is quantised; stacked experts are not. */
export function isPacked(item: Linear, settings: Settings): boolean {
  return settings.quantisation !== 'none' && item.reads !== 'expert';
}

/** Rows, columns and bytes of an element of a quantised weight. */
export function packedShape(item: Linear, settings: Settings): readonly [number, number, number] {
  if (settings.quantisation === 'int8') {
    return [item.outputs, item.inputs, 1];
  }
  const size = storageSize(settings);
  return [Math.floor((item.inputs * item.outputs + 1) / (2 * size)), 1, size];
}

/** Bytes of scales and code books of all quantised weights. */
export function quantStateBytes(shapes: Shapes, settings: Settings): number {
  const packed = shapes.modules.filter(item => isPacked(item, settings));
  return sum(
    packed.map(item => {
      const count = item.inputs * item.outputs;
      const values = settings.quantisation === 'int8' ? count : Math.floor((count + 1) / 2);
      return item.copies * (packedBytes(item, settings.quantisation) - values);
    })
  );
}

/** Whether the packed weights are cut: FSDP2 leaves those alone that are no floating numbers. */
export function isCut(settings: Settings, strategy: string): boolean {
  return strategy !== 'fsdp' || storageSize(settings) > 1;
}

/** Throws for quantised weights that cannot be cut in this way. */
export function requireCuttable(settings: Settings, strategy: string): void {
  if (settings.quantisation === 'none' || strategy !== 'fsdp') {
    return;
  }
  if (settings.quantisation === 'int8') {
    throw new UnknownError('8-bit weights cannot be cut by fsdp.');
  }
  const size = storageSize(settings);
  if (size > 1 && size !== computeBytes(settings)) {
    throw new UnknownError('4-bit weights would be cast when fsdp gathers them.');
  }
}
