/** Marks cells that have just changed, for a moment; what is drawn meanwhile is marked too. */

const TIME = 2000;

export class Flash {
  private tokens: ReadonlySet<number> = new Set();
  private timer = 0;

  constructor(private readonly node: HTMLElement) {}

  mark(tokens: readonly number[]): void {
    window.clearTimeout(this.timer);
    this.tokens = new Set(tokens);
    this.draw(true);
    this.timer = window.setTimeout(() => {
      this.tokens = new Set();
      this.draw(true);
    }, TIME);
  }

  /** Mark what has been drawn since; `all` also takes marks away. */
  draw(all = false): void {
    if (all || this.tokens.size > 0) {
      for (const node of this.node.querySelectorAll<HTMLElement>('.wb-tline [data-i]')) {
        node.classList.toggle('wb-flash', this.tokens.has(Number(node.dataset['i'])));
      }
    }
  }

  stop(): void {
    window.clearTimeout(this.timer);
  }
}
