/** Settlement between real processes: reconcilers that are killed, and a NATS that goes away. */
import { afterEach, expect, test } from 'vitest';
import { Proxy } from '../../ops/rig/proxy.ts';
import { Rig } from '../../ops/rig/rig.ts';
import { SETS, SHARES, SettleWorld, pause, untilSo } from './settle-world.ts';

const LIMIT_MS = 120_000;
const [ONE, TWO] = SETS;

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.close();
  rig = null;
});

async function open(): Promise<{ rig: Rig; world: SettleWorld }> {
  rig = await Rig.open();
  return { rig, world: await SettleWorld.start(rig) };
}

test(
  '[S1] a reconciler killed between credit and acknowledgement: credited once, confirmed by the next',
  { timeout: LIMIT_MS },
  async () => {
    const { rig, world } = await open();
    const first = await world.reconciler('first');
    await world.gather();
    const [packet] = await world.packets(ONE, 1);
    await first.process.kill();

    // This one reaches Set 1 by a slow line: what it says there is late, and can be cut off.
    const ports = world.topology.sets.map(({ nodes }) => Number(nodes[0]?.primary.split(':')[1]));
    const line = await Proxy.open({ rig, serverPort: ports[0] ?? 0 });
    line.delay(300);
    const addresses = [`127.0.0.1:${line.port}`, `127.0.0.1:${ports[1]}`];
    const doomed = await world.reconciler('doomed', addresses);
    const before = await world.walletsOf(TWO);
    await world.openAll(packet!);
    await untilSo('the credits arrive', async () => (await world.walletsOf(TWO)) > before);
    line.cut('to-server');
    await doomed.process.kill();
    line.reset();
    const credited = await world.walletsOf(TWO);
    await pause(500);
    // Booked at Set 2, and Set 1 does not know.
    expect(await world.pendingOf(ONE)).toBe(SHARES);

    await world.reconciler('next');
    await world.settled();
    expect(await world.wrong()).toEqual([]);
    expect(await world.walletsOf(TWO)).toBe(credited);
  },
);

test(
  '[S2] two share the work; whichever is killed, the other settles within 3 s',
  { timeout: LIMIT_MS },
  async () => {
    const { world } = await open();
    let [dies, lives] = [await world.reconciler('left'), await world.reconciler('right')];
    await world.gather();
    const packets = [...(await world.packets(ONE, 3)), ...(await world.packets(TWO, 3))];
    for (const round of [0, 1]) {
      await untilSo('they know each other', async () => {
        const reports = await Promise.all([dies, lives].map((one) => world.casesOf(one)));
        return reports.every(({ members }) => members === 2);
      });
      await world.renewGrants();
      await dies.process.kill();
      const diedAtMs = performance.now();
      await Promise.all([packets[round]!, packets[round + 3]!].map((id) => world.openAll(id)));
      await world.settled();
      const tookMs = performance.now() - diedAtMs;
      console.log(`round ${round}: settled ${tookMs.toFixed(0)} ms after the kill`);
      expect(tookMs).toBeLessThan(3_000);
      expect(await world.wrong()).toEqual([]);
      await dies.process.start();
      [dies, lives] = [lives, dies];
    }
    expect((await world.casesOf(lives)).open).toEqual([]);
  },
);

test(
  '[S1] NATS is away under load: settlement goes on by looking, and nothing is lost',
  { timeout: LIMIT_MS },
  async () => {
    const { world } = await open();
    await world.reconciler('left');
    await world.reconciler('right');
    await world.gather();
    const packets = await world.packets(ONE, 8);
    await world.renewGrants();
    const load = (async () => {
      for (const packet of packets) {
        await world.openAll(packet);
        await pause(400);
      }
    })();
    await pause(300);
    await world.nats.kill();
    await pause(2_000);
    const tookMs = await untilSo(
      'claims of the time without NATS arrive',
      async () => (await world.pendingOf(ONE)) === 0,
      5_000,
    );
    expect(world.opens).toBeGreaterThan(2 * SHARES);
    await world.nats.start();
    await load;
    await world.settled(5_000);
    console.log(`without NATS settled after ${tookMs.toFixed(0)} ms`);
    expect(world.opens).toBe(8 * SHARES);
    expect(await world.wrong()).toEqual([]);
  },
);
