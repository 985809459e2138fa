/**
 * Browsing what a card shows one at a time: items that are in the output, others asked of the kernel, and what is said.
 */
import { NoKernelError } from './askKernel';
import { liveRegion } from './component';

const MOST_KEPT = 60;

export interface Positioned {
  readonly position: number;
}

/** What the kernel answers: an item, or the position of the next one with a problem. */
export interface Found<Item> {
  readonly item: Item | null;
  readonly position: number | null;
}

export interface BrowserWords {
  readonly empty: string;
  readonly onlySaved: string;
  readonly noProblem: string;
  readonly onlyProblem: string;
}

export interface BrowserHost<Item extends Positioned> {
  readonly words: BrowserWords;
  readonly count: () => number;
  readonly ask: (question: 'item' | 'problem', position: number) => Promise<Found<Item>>;
  /** Draw an item somebody went to; returns what a screen reader is told of it. */
  readonly arrive: (item: Item) => string;
  /** Draw the bar again: busy or not, or a position that was typed and does not exist. */
  readonly drawBar: () => void;
}

export class PositionBrowser<Item extends Positioned> {
  readonly live = liveRegion();
  private readonly kept = new Map<number, Item>();
  private current: Item;
  private asking = false;

  constructor(
    private readonly host: BrowserHost<Item>,
    items: readonly Item[],
    first: number
  ) {
    this.current = this.restart(items, first);
  }

  get item(): Item {
    return this.current;
  }

  get busy(): boolean {
    return this.asking;
  }

  /** Other items take the place of all; returns the one to show. */
  restart(items: readonly Item[], first: number): Item {
    this.kept.clear();
    items.forEach(item => this.kept.set(item.position, item));
    const found = this.kept.get(first) ?? items[0];
    if (found === undefined) {
      throw new Error(this.host.words.empty);
    }
    this.current = found;
    return found;
  }

  say(text: string, visible: boolean): void {
    this.live.node.classList.toggle('wb-vh', !visible);
    this.live.say(text);
  }

  /** Go by so many positions. */
  step(by: number): void {
    void this.goTo(this.current.position + by);
  }

  async goTo(position: number): Promise<void> {
    const outside = !(position >= 0 && position < this.host.count());
    if (this.asking || position === this.current.position || outside) {
      this.host.drawBar();
      return;
    }
    const item = this.kept.get(position) ?? (await this.fetch(position));
    if (item !== null) {
      this.current = item;
      this.say(this.host.arrive(item), false);
    }
  }

  async nextProblem(): Promise<void> {
    const { words } = this.host;
    const answer = await this.ask('problem', this.current.position);
    if (answer === null) {
      return;
    }
    if (answer.position === null) {
      this.say(words.noProblem, true);
    } else if (answer.position === this.current.position) {
      this.say(words.onlyProblem, true);
    } else {
      await this.goTo(answer.position);
    }
  }

  private async fetch(position: number): Promise<Item | null> {
    const item = (await this.ask('item', position))?.item ?? null;
    if (item !== null) {
      this.kept.set(position, item);
      const oldest = this.kept.keys().next().value;
      if (this.kept.size > MOST_KEPT && oldest !== undefined) {
        this.kept.delete(oldest);
      }
    }
    return item;
  }

  private async ask(question: 'item' | 'problem', position: number): Promise<Found<Item> | null> {
    this.setAsking(true);
    try {
      return await this.host.ask(question, position);
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      this.say(error instanceof NoKernelError ? this.host.words.onlySaved : told, true);
      return null;
    } finally {
      this.setAsking(false);
    }
  }

  private setAsking(asking: boolean): void {
    this.asking = asking;
    this.host.drawBar();
  }
}
