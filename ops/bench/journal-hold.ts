import type { BenchSet } from './bench-set.ts';
import { SetLoad, StreamBroke } from './set-load.ts';
import type { SetPeople } from './set-people.ts';
import { OPENERS } from './set-people.ts';

export type Hold = {
  /** Acknowledged opens a second. */
  readonly perS: number;
  /** The longest that anything acknowledged was missing from any replica's tables, s. */
  readonly lagS: number;
  readonly p99Ms: number;
  /** Credits that had not arrived when it was over. */
  readonly pendingTransfers: number;
};

const LAG_MAX_S = 2;
const LOOK_MS = 250;
/** Below it the offered rate did not hold. */
const SHARE_ACKED = 0.97;
const STEP = 0.75;
const TRIES = 10;
/** A first look at a rate, before it has to hold for the whole time. */
const TRIAL_SECONDS = 6;
/** Members' grants are good for a minute. */
const GRANTS_MS = 20_000;
const SHARES = OPENERS;

/**
 * Rulings 24 (b): the greatest rate of a ladder (each step ¾ of the one before) at which all is
 * acknowledged and every replica's tables stay within 2 s, while the reconciler settles.
 */
export async function holdRate(args: {
  set: BenchSet;
  people: SetPeople;
  spread: number;
  startPerS: number;
  seconds: number;
  log: (line: string) => void;
}): Promise<Hold> {
  const { startPerS, seconds, log } = args;
  let perS = startPerS;
  for (let time = 0; time < TRIES; time++, perS *= STEP) {
    const trial = await holdOnce({ ...args, perS, seconds: Math.min(TRIAL_SECONDS, seconds) });
    log(`  trial of ${perS.toFixed(0)}/s: ${lineOf(trial)}`);
    if (!trial.held) continue;
    const whole = await holdOnce({ ...args, perS, seconds });
    log(`  ${seconds} s of ${perS.toFixed(0)}/s: ${lineOf(whole)}`);
    if (whole.held) return whole;
  }
  return { perS: 0, lagS: Number.NaN, p99Ms: Number.NaN, pendingTransfers: Number.NaN };
}

function lineOf({ held, perS, lagS, p99Ms, pendingTransfers }: Hold & { held: boolean }): string {
  return `${held ? 'held' : 'not held'}, ${perS.toFixed(0)} opens/s, lag ${lagS.toFixed(2)} s, p99 ${p99Ms.toFixed(1)} ms, ${pendingTransfers} transfers left`;
}

async function holdOnce(args: {
  set: BenchSet;
  people: SetPeople;
  spread: number;
  perS: number;
  seconds: number;
}): Promise<Hold & { held: boolean }> {
  const { set, people, spread, perS, seconds } = args;
  people.carry(true);
  const packets = await people.packets(packetsFor({ opens: perS * seconds, spread }));
  const load = await SetLoad.open({ address: set.address, openers: people.openers });
  load.useGrants(await people.grants());
  people.carry(false);
  await set.startCourier();
  let lagS = 0;
  const stores = await set.stores();
  const looking = setInterval(() => {
    for (const store of stores) {
      void store.projectedLsn().then((lsn) => {
        lagS = Math.max(lagS, load.acked.lagSeconds(lsn));
      });
    }
  }, LOOK_MS);
  const renewing = setInterval(() => {
    void people.grants().then((grants) => load.useGrants(grants));
  }, GRANTS_MS);
  try {
    const serverCpuUs = (): number => set.serverCpuUs();
    const run = await load.pace({ seconds, perS, packets, spread, serverCpuUs });
    const pendingTransfers = await people.pendingTransfers();
    const held = run.refused.size === 0 && run.opensPerS >= perS * SHARE_ACKED && lagS <= LAG_MAX_S;
    return { perS: run.opensPerS, lagS, p99Ms: run.p99Ms, pendingTransfers, held };
  } catch (error) {
    // The rate is not one that holds.
    if (!(error instanceof StreamBroke)) throw error;
    return { perS: 0, lagS, p99Ms: Number.NaN, pendingTransfers: Number.NaN, held: false };
  } finally {
    clearInterval(looking);
    clearInterval(renewing);
    load.close();
    await set.stopCourier();
  }
}

/** A little more than is opened, and whole rounds of those that are opened side by side. */
export function packetsFor(args: { opens: number; spread: number }): number {
  const { opens, spread } = args;
  return Math.ceil((opens * 1.02) / SHARES / spread) * spread + (spread === 1 ? 1 : 0);
}
