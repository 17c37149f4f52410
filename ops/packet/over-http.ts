/** A packet as a user of a running server sees it: what anybody can verify without a journal. */
import type { Packet, Verdict } from '../../client/index.ts';
import { HongbaoClient, fetchDevToken, verifyPacket } from '../../client/index.ts';

export type Seen = {
  readonly packet: Packet;
  readonly claims: Awaited<ReturnType<HongbaoClient['packet']['allClaims']>>;
  readonly verdict: Verdict;
};

/** Signs in as `userId`; `token` null: by a development token. Rejects with HongbaoError. */
export async function seePacket(args: {
  url: string;
  userId: string;
  token: string | null;
  packetId: string;
}): Promise<Seen> {
  const { url, userId, token, packetId } = args;
  const socket = new URL('/v1/ws', url);
  socket.protocol = socket.protocol === 'https:' ? 'wss:' : 'ws:';
  const client = new HongbaoClient({
    url: socket.href,
    token: () =>
      token === null ? fetchDevToken({ baseUrl: url, userId }) : Promise.resolve(token),
  });
  try {
    await client.connect();
    const packet = await client.packet.get(packetId);
    // Whoever may not see amounts is not shown the list either.
    const isShown = packet.totalCents !== null;
    const claims = isShown ? await client.packet.allClaims(packetId) : [];
    return { packet, claims, verdict: verifyPacket({ packet, claims }) };
  } finally {
    client.close();
  }
}
