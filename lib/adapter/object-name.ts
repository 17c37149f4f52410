import { assert } from '../core/assert.ts';

const NAME_BYTES_MAX = 512;
/** A part becomes a file name of at most 255 bytes, with an ending. */
const NAME = /^[a-z0-9_-]{1,200}(\/[a-z0-9_-]{1,200})*$/;
const PREFIX = /^([a-z0-9_-]{1,200}\/)*[a-z0-9_-]{0,200}$/;

/** Names have no dots and no empty parts, so that none leads out of its folder ([OB4]). */
export function assertObjectName(name: string): void {
  assert(name.length <= NAME_BYTES_MAX && NAME.test(name), 'an object name is plain');
}

export function assertListing(args: { prefix: string; after?: string; limit: number }): void {
  assert(args.prefix.length <= NAME_BYTES_MAX && PREFIX.test(args.prefix), 'a prefix is plain');
  assert(
    Number.isInteger(args.limit) && args.limit >= 1 && args.limit <= 10_000,
    'a listing asks for 1 .. 10,000 names',
  );
}

/** The page of `names` that a listing asks for. Names are ASCII, so that `<` is the order of bytes. */
export function listPage(
  names: Iterable<string>,
  args: { prefix: string; after?: string; limit: number },
): string[] {
  const { prefix, after = '', limit } = args;
  const found = [...names].filter((name) => name.startsWith(prefix) && name > after);
  return found.sort().slice(0, limit);
}
