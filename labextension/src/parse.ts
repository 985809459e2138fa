/**
 * From `unknown` to a type, or an error that names the field.
 *
 * A parser is a function of a value and its path. Types are inferred from parsers, so a shape is written once.
 */

export class WireError extends Error {
  override readonly name = 'WireError';

  constructor(path: string, expected: string, value: unknown) {
    super(`${path}: expected ${expected}, got ${describe(value)}`);
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) {
    return String(value);
  }
  if (Array.isArray(value)) {
    return `an array of ${value.length}`;
  }
  if (typeof value === 'object') {
    return 'an object';
  }
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

export type Parser<T> = (value: unknown, path: string) => T;
export type Parsed<P> = P extends Parser<infer T> ? T : never;

export const string: Parser<string> = (value, path) => {
  if (typeof value !== 'string') {
    throw new WireError(path, 'a string', value);
  }
  return value;
};

export const number: Parser<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new WireError(path, 'a number', value);
  }
  return value;
};

export const integer: Parser<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new WireError(path, 'a whole number', value);
  }
  return value;
};

export const boolean: Parser<boolean> = (value, path) => {
  if (typeof value !== 'boolean') {
    throw new WireError(path, 'true or false', value);
  }
  return value;
};

/** A missing member reads as null. */
export function nullable<T>(parser: Parser<T>): Parser<T | null> {
  return (value, path) => (value === null || value === undefined ? null : parser(value, path));
}

/** A missing member reads as `missing`. */
export function withDefault<T>(parser: Parser<T>, missing: T): Parser<T> {
  return (value, path) => (value === undefined ? missing : parser(value, path));
}

export function oneOf<const T extends string | number>(...choices: readonly T[]): Parser<T> {
  return (value, path) => {
    const found = choices.find(choice => choice === value);
    if (found === undefined) {
      throw new WireError(path, `one of ${choices.join(', ')}`, value);
    }
    return found;
  };
}

export function array<T>(parser: Parser<T>): Parser<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) {
      throw new WireError(path, 'an array', value);
    }
    return value.map((item, index) => parser(item, `${path}[${index}]`));
  };
}

export type Members = Readonly<Record<string, unknown>>;

export const members: Parser<Members> = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new WireError(path, 'an object', value);
  }
  return value as Members;
};

type Shape = Readonly<Record<string, Parser<unknown>>>;
export type ShapeOf<S extends Shape> = { readonly [K in keyof S]: Parsed<S[K]> };

/** Known members are parsed; members we do not know are left out. */
export function object<S extends Shape>(shape: S): Parser<ShapeOf<S>> {
  const entries = Object.entries(shape);
  return (value, path) => {
    const from = members(value, path);
    return Object.fromEntries(entries.map(([key, parser]) => [key, parser(from[key], `${path}.${key}`)])) as ShapeOf<S>;
  };
}

/** What a dictionary that is not there reads as; without a prototype, as every dictionary. */
export const nothing: Readonly<Record<string, never>> = Object.freeze(Object.create(null) as Record<string, never>);

export function dictionary<T>(parser: Parser<T>): Parser<Readonly<Record<string, T>>> {
  return (value, path) => {
    // Without a prototype: a key of the data may be called `constructor`.
    const found = Object.create(null) as Record<string, T>;
    for (const [key, item] of Object.entries(members(value, path))) {
      found[key] = parser(item, `${path}.${key}`);
    }
    return found;
  };
}
