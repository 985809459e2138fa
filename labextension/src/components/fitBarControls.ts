/** Sliders and switches: every move is a choice, and nothing is asked of a kernel. */
import { choiceOf, lengthOf, withAdapter, withWorld } from '../memory/fitChoice';
import type { FitChoice } from '../memory/fitChoice';
import type { FitTried } from '../wire/fit';
import { formatNumber, h, on, uniqueId } from './component';
import type { Trans } from './component';

export interface ControlProps {
  readonly tried: FitTried;
  /** While a control moves. */
  onMove(change: Partial<FitChoice>): void;
  /** When it rests: what is worth telling a reader of screens. */
  onSettle(): void;
}

export interface Controls {
  readonly node: HTMLElement;
  draw(choice: FitChoice): void;
}

const BATCHES = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128];
const LENGTHS = [
  128, 256, 384, 512, 768, 1024, 1280, 1536, 2048, 2560, 3072, 4096, 5120, 6144, 8192, 10240, 12288, 16384, 24576,
  32768, 49152, 65536, 98304, 131072
];
const RANKS = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const WORLDS = [1, 2, 3, 4, 6, 8, 16, 32, 64];
/** How far beyond what is set a slider reaches. */
const REACH = 8;

/** Steps of a slider: round numbers, those that are set, none beyond `most`. */
export function stepsOf(round: readonly number[], set: readonly number[], most: number): readonly number[] {
  const all = new Set([...round.filter(value => value <= most), ...set]);
  return [...all].sort((a, b) => a - b);
}

interface Slider {
  readonly node: HTMLElement;
  draw(value: number, disabled: boolean): void;
}

function slider(
  label: string,
  values: readonly number[],
  props: { move(value: number): void; settle(): void },
  signal: AbortSignal
): Slider {
  const id = uniqueId('wb-fit');
  const input = h('input', { class: 'wb-range', type: 'range', id, min: 0, max: values.length - 1, step: 1 });
  const output = h('output', { for: id });
  const node = h('div', { class: 'wb-f' }, h('label', { for: id }, label), input, output);
  on(input, 'input', () => props.move(values[Number(input.value)] ?? values[0] ?? 1), signal);
  on(input, 'change', () => props.settle(), signal);
  return {
    node,
    draw: (value, disabled) => {
      const index = values.findIndex(item => item >= value);
      input.value = String(index < 0 ? values.length - 1 : index);
      const text = formatNumber(value);
      input.setAttribute('aria-valuetext', text);
      input.disabled = disabled;
      output.textContent = disabled ? '–' : text;
    }
  };
}

interface Switch {
  readonly node: HTMLElement;
  draw(checked: boolean, disabled: boolean): void;
}

function toggle(label: string, flip: (checked: boolean) => void, signal: AbortSignal): Switch {
  const node = h('button', { class: 'wb-switch', type: 'button', role: 'switch' }, h('i'), label);
  on(node, 'click', () => flip(node.getAttribute('aria-checked') !== 'true'), signal);
  return {
    node,
    draw: (checked, disabled) => {
      node.setAttribute('aria-checked', String(checked));
      node.disabled = disabled;
    }
  };
}

/** How several GPUs share a run; names as their makers write them. */
const STRATEGIES = [
  ['ddp', 'DDP'],
  ['fsdp', 'FSDP'],
  ['zero1', 'ZeRO 1'],
  ['zero2', 'ZeRO 2'],
  ['zero3', 'ZeRO 3']
] as const;

interface Sharing {
  readonly node: HTMLElement;
  draw(choice: FitChoice): void;
}

function strategies(choose: (sharding: string) => void, trans: Trans, signal: AbortSignal): Sharing {
  const id = uniqueId('wb-fit');
  const options = STRATEGIES.map(([value, name]) => h('option', { value }, name));
  const select = h('select', { class: 'wb-select', id }, ...options);
  on(select, 'change', () => choose(select.value), signal);
  return {
    node: h('div', { class: 'wb-f' }, h('label', { for: id }, trans.__('Sharing')), select),
    draw: ({ sharding, world }) => {
      // several GPUs that share nothing are DDP's
      select.value = sharding !== 'none' ? sharding : world > 1 ? 'ddp' : 'fsdp';
      select.disabled = world === 1;
    }
  };
}

export function fitControls(props: ControlProps, trans: Trans, signal: AbortSignal): Controls {
  const { tried } = props;
  const { settings } = tried;
  const to = (make: (value: number) => Partial<FitChoice>): { move(value: number): void; settle(): void } => ({
    move: value => props.onMove(make(value)),
    settle: () => props.onSettle()
  });
  const flip = (make: (checked: boolean) => Partial<FitChoice>) => (checked: boolean) => {
    props.onMove(make(checked));
    props.onSettle();
  };
  const longest = tried.packed ? Math.max(tried.longest, (tried.max_length ?? tried.longest) * REACH) : tried.longest;
  const limitNow = tried.max_length === null ? tried.longest : Math.min(tried.longest, tried.max_length);
  const batches = stepsOf(BATCHES, [tried.batch], Math.max(16, REACH * tried.batch));
  const lengths = stepsOf(LENGTHS, [limitNow, tried.longest], longest);
  const ranks = stepsOf(RANKS, [settings.rank], Math.max(256, settings.rank));
  const limit = (value: number): Partial<FitChoice> => ({
    length: value >= tried.longest && !tried.packed && tried.max_length === null ? null : value
  });
  let current = choiceOf(tried);
  const now = (): FitChoice => current;
  const sliders = {
    batch: slider(
      trans.__('Batch size'),
      batches,
      to(batch => ({ batch })),
      signal
    ),
    length: slider(trans.__('Max length'), lengths, to(limit), signal),
    world: slider(
      trans.__('GPUs'),
      stepsOf(WORLDS, [settings.world ?? 1], Math.max(64, settings.world ?? 1)),
      to(world => withWorld(world, tried, now())),
      signal
    ),
    rank: slider(
      trans.__('LoRA rank'),
      ranks,
      to(rank => ({ rank })),
      signal
    )
  };
  const sharing = strategies(
    sharding => {
      props.onMove({ sharding });
      props.onSettle();
    },
    trans,
    signal
  );
  const plain = settings.optim.includes('8bit') ? 'adamw_torch' : settings.optim;
  const slow = settings.attention === 'flash_attention_2' ? 'sdpa' : settings.attention;
  const switches = {
    checkpointing: toggle(
      trans.__('Gradient checkpointing'),
      flip(checkpointing => ({ checkpointing })),
      signal
    ),
    lora: toggle(
      trans.__('LoRA (off: all weights train)'),
      flip(lora =>
        withAdapter(now(), lora ? (settings.adapter === 'none' ? 'lora' : settings.adapter) : 'none', tried)
      ),
      signal
    ),
    quantisation: toggle(
      trans.__('4-bit weights (NF4)'),
      flip(on4 => ({ quantisation: on4 ? 'nf4' : settings.quantisation === 'int8' ? 'int8' : 'none' })),
      signal
    ),
    optim: toggle(
      trans.__('8-bit optimizer'),
      flip(on8 => ({ optim: on8 ? 'adamw_8bit' : plain })),
      signal
    ),
    attention: toggle(
      trans.__('Flash attention'),
      flip(flash => ({ attention: flash ? 'flash_attention_2' : slow })),
      signal
    )
  };
  const isHost = settings.device === 'cpu';
  // what these save exists on a GPU only
  const onGpu = [switches.optim, switches.attention, sliders.world, sharing];
  onGpu.forEach(item => (item.node.hidden = isHost));
  switches.quantisation.node.hidden = isHost && settings.quantisation === 'none';
  const node = h(
    'div',
    { class: 'wb-sl' },
    h('h4', { class: 'wb-h' }, trans.__('Try another setting')),
    ...Object.values(sliders).map(item => item.node),
    sharing.node,
    h('div', { class: 'wb-sw' }, ...Object.values(switches).map(item => item.node))
  );
  return {
    node,
    draw: choice => {
      current = choice;
      const full = choice.adapter === 'none';
      sliders.batch.draw(choice.batch, false);
      sliders.length.draw(
        tried.packed ? (choice.length ?? tried.longest) : lengthOf(choice, tried),
        lengths.length < 2
      );
      sliders.rank.draw(choice.rank, full);
      sliders.world.draw(choice.world, false);
      sharing.draw(choice);
      switches.checkpointing.draw(choice.checkpointing, false);
      switches.lora.draw(!full, false);
      switches.quantisation.draw(choice.quantisation === 'nf4', full);
      switches.optim.draw(choice.optim.includes('8bit'), false);
      switches.attention.draw(choice.attention === 'flash_attention_2', false);
    }
  };
}
