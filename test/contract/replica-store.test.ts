import { makeMemoryWorld } from './memory-world.ts';
import { replicaStoreContract } from './replica-store.contract.ts';
import { makeSqliteWorld } from './sqlite-world.ts';

replicaStoreContract('memory', () => makeMemoryWorld());
replicaStoreContract('sqlite', makeSqliteWorld);
