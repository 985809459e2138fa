/** The user's settings, where both the plugin (which reads them) and the renderers (which obey) can see them. */
export interface Preferences {
  /** Follow a run as soon as a trusted notebook shows it. */
  followRuns: boolean;
  /** Show marks for spaces in token views. */
  spaces: boolean;
}

export const preferences: Preferences = { followRuns: true, spaces: true };
