import { defineConfig } from 'vite';

/** `vite build client/web`; `ops/page.ts` calls the same. */
export default defineConfig({
  // Inlined files and polyfills would need a weaker content security policy.
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  // The same page whatever NODE_ENV says: development mode would write this machine's paths into it.
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact', development: false } },
});
