import { makeCrypto } from '../../lib/adapter/node-crypto.ts';
import { cryptoContract } from './crypto.contract.ts';

cryptoContract('node', async () => ({ make: makeCrypto, dispose: async () => undefined }));
