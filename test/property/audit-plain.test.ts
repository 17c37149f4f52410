/** [AU5] What a checkpoint is made of: any plain values come back as they were, in any slices. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PlainWriter, readPlain } from '../../reconciler/audit/plain.ts';
import { NotTheFormat } from '../../reconciler/audit/reader.ts';

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium' },
    fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.constantFrom(Infinity, -0, 2 ** 32 - 1, 2 ** 32, 0.5),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array(),
    ),
    fc.array(tie('value')),
    fc.array(tie('value')).map((list) => new Set(list)),
    fc.array(fc.tuple(fc.string(), tie('value'))).map((pairs) => new Map(pairs)),
    fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 99n }), tie('value'))).map((all) => new Map(all)),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), tie('value'), { noNullPrototype: true }),
  ),
}));

function written(what: unknown, mayGoOn: () => boolean): { bytes: Buffer; slices: number } {
  const seen: Uint8Array[] = [];
  const writer = new PlainWriter(what, { onChunk: (chunk) => seen.push(new Uint8Array(chunk)) });
  let slices = 1;
  while (writer.advance(mayGoOn)) slices += 1;
  const bytes = Buffer.concat(writer.chunks);
  expect(Buffer.concat(seen)).toEqual(bytes);
  return { bytes, slices };
}

test('comes back as it was, in slices or at once', () => {
  fc.assert(
    fc.property(value, (what) => {
      const { bytes } = written(what, () => false);
      expect(readPlain(bytes)).toStrictEqual(what);
      expect(written(what, () => true).bytes).toEqual(bytes);
    }),
  );
});

test('bytes that are cut short, or go on, are not read', () => {
  fc.assert(
    fc.property(value, (what) => {
      const { bytes } = written(what, () => true);
      const longer = Buffer.concat([bytes, Buffer.from([0])]);
      expect(() => readPlain(longer)).toThrow(NotTheFormat);
      expect(() => readPlain(bytes.subarray(0, -1))).toThrow(NotTheFormat);
    }),
  );
});

test('a slice is a few values, a part is not much longer than it must be', () => {
  const long = 'x'.repeat(300_000);
  const what = new Map(Array.from({ length: 50_000 }, (_, at) => [BigInt(at), [`${at}`, at]]));
  const { bytes, slices } = written([long, what], () => false);
  expect(slices).toBeGreaterThan(4_000);
  expect(readPlain(bytes)).toStrictEqual([long, what]);
});

test('what is no plain value is a bug of who writes it', () => {
  expect(() => written([() => 1], () => true)).toThrow(/no plain value/);
  expect(() => written({ a: undefined }, () => true)).toThrow(/no plain value/);
});
