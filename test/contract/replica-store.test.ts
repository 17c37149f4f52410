import { openMemoryWorld } from '../../ops/sim/conformance/memory-world.ts';
import { replicaStoreContract } from './replica-store.contract.ts';
import { openSqliteWorld } from '../../ops/sim/conformance/sqlite-world.ts';
import { makeFolder } from './folder.ts';

replicaStoreContract('memory', async () => openMemoryWorld());
replicaStoreContract('sqlite', () => openSqliteWorld(makeFolder()));
