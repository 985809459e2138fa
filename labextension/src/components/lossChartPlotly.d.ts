/** The few functions of Plotly that the loss chart calls; the package ships no types. */
declare module 'plotly.js-basic-dist-min' {
  type Values = Readonly<Record<string, unknown>>;
  interface Plotly {
    newPlot(node: HTMLElement, data: readonly Values[], layout: Values, config: Values): Promise<unknown>;
    extendTraces(node: HTMLElement, update: Values, indices: readonly number[], maxPoints?: Values): Promise<unknown>;
    update(node: HTMLElement, data: Values, layout: Values, indices?: readonly number[]): Promise<unknown>;
    relayout(node: HTMLElement, layout: Values): Promise<unknown>;
    purge(node: HTMLElement): void;
  }
  const plotly: Plotly;
  export default plotly;
}
