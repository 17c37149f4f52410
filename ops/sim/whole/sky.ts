import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { NetworkWeather } from '../network.ts';
import { CALM_NETWORK } from '../network.ts';
import type { Weather } from '../replica-lines.ts';
import { CALM_LINES } from '../replica-lines.ts';
import type { BusWeather } from '../sim-bus.ts';
import { CALM_BUS } from '../sim-bus.ts';
import type { CacheWeather } from '../sim-cache.ts';
import { CALM_CACHE } from '../sim-cache.ts';
import type { GatewayWeather } from '../sim-gateway.ts';
import { CALM_GATEWAY } from '../sim-gateway.ts';
import type { LineWeather } from './line.ts';
import { CLEAR_LINES } from './line.ts';

/** How bad every kind of line is in one walk. */
export type Sky = {
  lines: Weather;
  network: NetworkWeather;
  sockets: LineWeather;
  bus: BusWeather;
  cache: CacheWeather;
  payments: GatewayWeather;
  /** Faults stop. */
  clear(): void;
};

/** Drawn once a walk; each kind of trouble is exactly zero in every third. */
export function drawSky(chance: SeededRandom): Sky {
  const upTo = (most: number): number => (chance.below(3) === 0 ? 0 : chance.below(most));
  return {
    lines: {
      lostRequest: upTo(20),
      lostAnswer: upTo(20),
      late: upTo(20),
      slow: upTo(100),
      disorderly: chance.below(2) === 0,
    },
    network: { slow: upTo(60), broken: upTo(3), refused: upTo(200), narrow: upTo(50) },
    sockets: { latencyMs: 1 + upTo(40), breaks: upTo(15), stalls: upTo(30) },
    bus: { lost: upTo(1_000), repeated: upTo(300), late: upTo(300) },
    cache: { forgotten: upTo(300), failed: upTo(300), lies: upTo(300) },
    payments: {
      lost: upTo(300),
      silent: upTo(600),
      repeated: upTo(500),
      slow: upTo(400),
      false: upTo(300),
    },
    clear() {
      this.lines = CALM_LINES;
      this.network = CALM_NETWORK;
      this.sockets = CLEAR_LINES;
      this.bus = CALM_BUS;
      this.cache = CALM_CACHE;
      this.payments = CALM_GATEWAY;
    },
  };
}
