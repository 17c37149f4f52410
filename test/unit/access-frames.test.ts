import { describe, expect, test } from 'vitest';
import { parseFrame } from '../../access/frames.ts';

function codeOf(text: string): string {
  const frame = parseFrame(text);
  return frame.ok ? 'ok' : frame.code;
}

describe('parseFrame', () => {
  test('a request with its input checked and defaults filled in', () => {
    const text = '{"id":3,"op":"message.history","d":{"groupId":"17"},"traceparent":"00-ab"}';
    expect(parseFrame(text)).toEqual({
      ok: true,
      id: 3,
      op: 'message.history',
      d: { groupId: '17', fromSeq: 1, limit: 50, reverse: false },
    });
    expect(parseFrame('{"id":0,"op":"wallet.get"}')).toMatchObject({ ok: true, d: {} });
  });

  test.each([
    ['bad_json', '{"id":1,'],
    ['bad_json', ''],
    ['bad_frame', '"text"'],
    ['bad_frame', '{"op":"ping"}'],
    ['bad_frame', '{"id":1.5,"op":"ping"}'],
    ['bad_frame', '{"id":9007199254740992,"op":"ping"}'],
    ['bad_frame', '{"id":1,"op":7}'],
    ['bad_frame', '{"id":1,"op":"ping","__proto__":{}}'],
    ['unknown_op', '{"id":1,"op":"constructor"}'],
    ['unknown_op', '{"id":1,"op":"__proto__"}'],
    ['bad_argument', '{"id":1,"op":"packet.open","d":{"packetId":5}}'],
    ['bad_argument', '{"id":1,"op":"packet.open","d":{"packetId":"05"}}'],
    ['bad_argument', '{"id":1,"op":"packet.open","d":{"packetId":"5","x":1}}'],
    ['bad_argument', '{"id":1,"op":"packet.open","d":[]}'],
    ['ok', '{"id":1,"op":"packet.open","d":{"packetId":"9223372036854775807"}}'],
    ['bad_argument', '{"id":1,"op":"packet.open","d":{"packetId":"9223372036854775808"}}'],
  ])('%s: %s', (code, text) => {
    expect(codeOf(text)).toBe(code);
  });

  test('a key that is a trap for objects is left out', () => {
    const frame = parseFrame('{"id":1,"op":"ping","d":{"seen":{"__proto__":1,"7":2}}}');
    expect(frame.ok && Object.entries(frame.d as object)).toEqual([['seen', { '7': 2 }]]);
    expect(({} as Record<string, unknown>)['7']).toBeUndefined();
  });

  test('an input over its limits names the path', () => {
    const frame = parseFrame('{"id":4,"op":"message.history","d":{"groupId":"1","limit":101}}');
    expect(frame).toMatchObject({ ok: false, id: 4, op: 'message.history', code: 'bad_argument' });
    expect(frame.ok ? '' : frame.message).toMatch(/^d\.limit: /);
  });

  test('at most 200 marks in a hello', () => {
    const resume = (count: number): string => {
      const marks = Object.fromEntries(Array.from({ length: count }, (_, at) => [`${at + 1}`, 1]));
      return JSON.stringify({ id: 1, op: 'hello', d: { token: 'x', resume: marks } });
    };
    expect(codeOf(resume(200))).toBe('ok');
    expect(codeOf(resume(201))).toBe('bad_argument');
  });

  test('a message never quotes more than a little of what was sent', () => {
    const frame = parseFrame(JSON.stringify({ id: 1, op: 'ping', ['k'.repeat(10_000)]: 1 }));
    expect(frame.ok ? '' : frame.message.length).toBeLessThan(250);
  });

  test('depth is no danger', () => {
    expect(codeOf('['.repeat(16_000))).toBe('bad_json');
    const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;
    expect(codeOf(`{"id":1,"op":"ping","d":${deep}}`)).toBe('bad_argument');
  });
});
